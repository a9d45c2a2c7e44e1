/** A real etcd and kube-apiserver, without kubelets and controllers, in the network namespace of the calling thread. */
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../../src/kube/client.ts";
import type { Connection } from "../../src/kube/connection.ts";
import { assetPath, hasAsset } from "../cluster/lib/assets.ts";
import { Program } from "./program.ts";

export interface Ports {
  readonly etcd: number;
  readonly peers: number;
  readonly apiserver: number;
}

export interface ControlPlaneOptions {
  /** For everything that it writes; must exist. */
  readonly folder: string;
  /** Where nodes reach the API server. */
  readonly address: string;
  /** Where the API server listens; default: on all addresses of the network namespace. */
  readonly listen?: string;
  readonly ports?: Ports;
  /** Of a user in system:masters; default: no secret, as the API server is reachable from its own network only. */
  readonly token?: string;
  /** Of kube-apiserver. */
  readonly flags?: readonly string[];
}

/** The programs that are missing here; empty when a control plane can be started. */
export const missingPrograms = (): string[] => ["etcd", "kube-apiserver"].filter((name) => !hasAsset(name));

const usualPorts: Ports = { etcd: 2379, peers: 2380, apiserver: 6443 };
const patience = 300_000; // ms
const serviceNetworks = "10.96.0.0/16,fd00:10:96::/112";

export class ControlPlane {
  readonly etcd: Program;
  readonly apiserver: Program;
  readonly etcdUrl: string;
  readonly server: URL;
  readonly token: string;
  /** For the calling thread's network. */
  readonly connection: Connection;
  /** A path; for programs on nodes. */
  readonly kubeconfig: string;
  /** A folder with token and ca.crt, as pods have it. */
  readonly serviceAccount: string;
  readonly #folder: string;

  constructor(options: ControlPlaneOptions) {
    const { folder, address, listen = "0.0.0.0", ports = usualPorts, token = "admin", flags = [] } = options;
    this.#folder = folder;
    this.token = token;
    const at = (name: string): string => join(folder, name);
    makeCredentials(folder, token);
    const peerUrl = `http://127.0.0.1:${ports.peers}`;
    this.etcdUrl = `http://127.0.0.1:${ports.etcd}`;
    this.etcd = new Program(
      "etcd",
      [
        assetPath("etcd"),
        `--data-dir=${at("etcd")}`,
        `--listen-client-urls=${this.etcdUrl}`,
        `--advertise-client-urls=${this.etcdUrl}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=default=${peerUrl}`,
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
        `--etcd-servers=${this.etcdUrl}`,
        `--bind-address=${listen}`,
        `--advertise-address=${address}`,
        `--secure-port=${ports.apiserver}`,
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
    this.server = new URL(`https://${address}:${ports.apiserver}`);
    const file = kubeconfig(this.server.origin, at("certificates/apiserver.crt"), token);
    writeFileSync(this.kubeconfig, file, { mode: 0o600 });
    this.connection = this.connectionAs(token);
  }

  /** Of the API server's certificate, once it has been started. */
  get ca(): Buffer {
    return readFileSync(join(this.#folder, "certificates/apiserver.crt"));
  }

  connectionAs(token: string): Connection {
    return {
      server: this.server,
      tls: async () => ({ ca: this.ca, cert: null, key: null, servername: null, verify: true }),
      headers: async () => ({ authorization: `Bearer ${token}` }),
      unauthorized: () => undefined,
      proxy: null,
      namespace: "default",
      description: `the test's API server (${this.server.origin})`,
    };
  }

  /** Resolves when the API server is ready. @throws Error with the last lines of the log of what failed */
  async start(): Promise<void> {
    await this.startEtcd();
    await this.startApiserver();
  }

  async startEtcd(): Promise<void> {
    this.etcd.start();
    await this.#until(this.etcd, async () => (await answer(`${this.etcdUrl}/health`)) === 200);
  }

  async startApiserver(): Promise<void> {
    this.apiserver.start();
    await this.#until(this.apiserver, async () => {
      if (!existsSync(join(this.#folder, "certificates/apiserver.crt"))) return false;
      const client = openClient(this.connection);
      try {
        for await (const _ of await client.stream("/readyz", {}, { timeout: 2000 }));
        await client.get("/api/v1/namespaces/default", {}, { timeout: 2000 });
        return true;
      } catch {
        return false;
      } finally {
        client.close();
      }
    });
  }

  /** Forgets all that happened in etcd until now. */
  async compact(): Promise<void> {
    const post = async (path: string, body: object): Promise<{ readonly header: { readonly revision: string } }> => {
      const answer = await fetch(new URL(path, this.etcdUrl), { method: "POST", body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`etcd: ${await answer.text()}`);
      return (await answer.json()) as { header: { revision: string } };
    };
    const { header } = await post("/v3/kv/range", { key: Buffer.from("none").toString("base64") });
    await post("/v3/kv/compaction", { revision: header.revision, physical: true });
  }

  /** At once: nothing of it is kept. */
  async stop(): Promise<void> {
    await this.apiserver.kill();
    await this.etcd.kill();
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

function makeCredentials(folder: string, token: string): void {
  const write = (name: string, content: string | Buffer): void =>
    writeFileSync(join(folder, name), content, { mode: 0o600 });
  mkdirSync(join(folder, "certificates"), { recursive: true });
  write("tokens.csv", `${token},admin,admin,"system:masters"\n`);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  write("sa.key", privateKey.export({ type: "sec1", format: "pem" }));
  write("sa.pub", publicKey.export({ type: "spki", format: "pem" }));
}

const kubeconfig = (server: string, certificate: string, token: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority": certificate } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
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
