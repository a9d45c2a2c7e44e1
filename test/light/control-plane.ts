/** A real etcd and kube-apiserver, without kubelets and controllers, in the network namespace of the calling thread. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../../src/kube/client.ts";
import type { Connection } from "../../src/kube/connection.ts";
import { assetPath, hasAsset } from "../cluster/lib/assets.ts";
import { Program } from "./program.ts";

export interface ControlPlaneOptions {
  /** For everything that it writes; must exist. */
  readonly folder: string;
  /** Where nodes reach the API server. */
  readonly address: string;
  readonly flags?: readonly string[];
}

/** The programs that are missing here; empty when a control plane can be started. */
export const missingPrograms = (): string[] => ["etcd", "kube-apiserver"].filter((name) => !hasAsset(name));

const etcdUrl = "http://127.0.0.1:2379";
const port = 6443;
/** Not secrets: the API server is reachable from its own network only. */
const token = "admin";
const patience = 300_000; // ms
const serviceNetworks = "10.96.0.0/16,fd00:10:96::/112";

export class ControlPlane {
  readonly etcd: Program;
  readonly apiserver: Program;
  readonly etcdUrl = etcdUrl;
  /** For the calling thread's network. */
  readonly connection: Connection;
  /** A path; for programs on nodes. */
  readonly kubeconfig: string;
  /** A folder with token and ca.crt, as pods have it. */
  readonly serviceAccount: string;
  readonly #folder: string;

  constructor({ folder, address, flags = [] }: ControlPlaneOptions) {
    this.#folder = folder;
    const at = (name: string): string => join(folder, name);
    makeKeys(folder);
    this.etcd = new Program(
      "etcd",
      [
        assetPath("etcd"),
        `--data-dir=${at("etcd")}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync", // it does not outlive the test
        "--quota-backend-bytes=8589934592",
        "--log-level=warn",
      ],
      { log: at("etcd.log") },
    );
    this.apiserver = new Program(
      "kube-apiserver",
      [
        assetPath("kube-apiserver"),
        `--etcd-servers=${etcdUrl}`,
        "--bind-address=0.0.0.0",
        `--advertise-address=${address}`,
        `--secure-port=${port}`,
        `--cert-dir=${at("certificates")}`, // signs itself a certificate for the advertised address and localhost
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-key-file=${at("sa.pub")}`,
        `--service-account-signing-key-file=${at("sa.key")}`,
        `--token-auth-file=${at("tokens.csv")}`,
        "--authorization-mode=RBAC",
        `--service-cluster-ip-range=${serviceNetworks}`,
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount", // no controller makes any
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        "--shutdown-watch-termination-grace-period=1s",
        ...flags,
      ],
      { log: at("kube-apiserver.log") },
    );
    this.kubeconfig = at("kubeconfig");
    this.serviceAccount = at("serviceaccount");
    mkdirSync(this.serviceAccount);
    writeFileSync(join(this.serviceAccount, "token"), token, { mode: 0o600 });
    symlinkSync(at("certificates/apiserver.crt"), join(this.serviceAccount, "ca.crt"));
    const server = `https://${address}:${port}`;
    writeFileSync(this.kubeconfig, kubeconfig(server, at("certificates/apiserver.crt")), { mode: 0o600 });
    this.connection = {
      server: new URL(server),
      tls: async () => ({ ca: this.#certificate(), cert: null, key: null, servername: null, verify: true }),
      headers: async () => ({ authorization: `Bearer ${token}` }),
      unauthorized: () => undefined,
      proxy: null,
      namespace: "default",
      description: `the test's API server (${server})`,
    };
  }

  /** Resolves when the API server is ready. @throws Error with the last lines of the log of what failed */
  async start(): Promise<void> {
    await this.startEtcd();
    await this.startApiserver();
  }

  async startEtcd(): Promise<void> {
    this.etcd.start();
    await this.#until(this.etcd, async () => (await answer(`${etcdUrl}/health`)) === 200);
  }

  async startApiserver(): Promise<void> {
    this.apiserver.start();
    await this.#until(this.apiserver, async () => {
      if (!existsSync(join(this.#folder, "certificates/apiserver.crt"))) return false;
      const client = openClient(this.connection);
      try {
        await client.get("/api/v1/namespaces/default", {}, { timeout: 2000 });
        return true;
      } catch {
        return false;
      } finally {
        client.close();
      }
    });
  }

  /** At once: nothing of it is kept. */
  async stop(): Promise<void> {
    await this.apiserver.kill();
    await this.etcd.kill();
  }

  #certificate(): Buffer {
    return readFileSync(join(this.#folder, "certificates/apiserver.crt"));
  }

  async #until(program: Program, isUp: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + patience;
    while (!(await isUp())) {
      if (program.pid === null) throw new Error(`${program.name} ended: ${program.tail()}`);
      if (performance.now() > deadline) throw new Error(`${program.name} does not get ready: ${program.tail()}`);
      await sleep(50);
    }
  }
}

function makeKeys(folder: string): void {
  mkdirSync(join(folder, "certificates"), { recursive: true });
  writeFileSync(join(folder, "tokens.csv"), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  if (existsSync(join(folder, "sa.pub"))) return;
  const openssl = (...args: readonly string[]): void =>
    void execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "sa.key");
  openssl("pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub");
}

const kubeconfig = (server: string, certificate: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "light", cluster: { server, "certificate-authority": certificate } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "light", context: { cluster: "light", user: "admin" } }],
    "current-context": "light",
  });

/** The HTTP status, null when there is no answer. */
const answer = (url: string): Promise<number | null> =>
  new Promise((resolve) => {
    const request = http.get(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? null);
    });
    request.once("error", () => resolve(null));
  });
