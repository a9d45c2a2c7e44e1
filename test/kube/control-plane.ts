/** etcd and kube-apiserver on loopback, without nodes and controllers: ready in about a second, gone without a trace. */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "vitest";
import { type Client, type Connection, openClient } from "../../src/kube/index.ts";
import { assetPath, hasAsset } from "../cluster/lib/assets.ts";

const isThere = hasAsset("etcd") && hasAsset("kube-apiserver");

/** `describe` for suites that need a real API server: required with CI=true, left out where its programs are not built. */
export const describeApiServer = isThere || process.env["CI"] === "true" ? describe : describe.skip;

if (!isThere && process.env["CI"] !== "true") {
  process.stderr.write(
    "suites against a real API server are left out: test/cluster/build makes etcd and kube-apiserver\n",
  );
}

export interface ControlPlaneOptions {
  /** `WatchList=false` */
  readonly featureGates?: string;
  readonly apiserverFlags?: readonly string[];
}

export interface ControlPlane {
  readonly server: URL;
  readonly ca: Buffer;
  /** Of a user in system:masters. */
  readonly adminToken: string;
  /** A file for kubectl, as that user. */
  readonly kubeconfig: string;
  readonly admin: Client;
  /** A connection with another token. */
  connection(token: string): Connection;
  /** Both programs stay where they are; the API server's processes are new. @param kill without a chance to end well */
  restart(options?: { readonly kill?: boolean }): Promise<void>;
  stopApiserver(options?: { readonly kill?: boolean }): Promise<void>;
  startApiserver(): Promise<void>;
  /** Forgets all that happened in etcd until now. */
  compact(): Promise<void>;
  readonly pids: { readonly etcd: number; readonly apiserver: number };
  stop(): Promise<void>;
}

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-api-"));
  const [etcdPort, peerPort, apiPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const server = new URL(`https://127.0.0.1:${apiPort}`);
  const adminToken = randomBytes(16).toString("hex");
  const at = (name: string): string => join(folder, name);
  writeFileSync(at("tokens.csv"), `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(at("sa.key"), privateKey.export({ type: "sec1", format: "pem" }), { mode: 0o600 });
  writeFileSync(at("sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
  mkdirSync(at("certificates"));

  const etcd = await start(folder, "etcd", [
    `--data-dir=${at("etcd-data")}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    "--unsafe-no-fsync",
    "--quota-backend-bytes=8589934592",
    "--log-level=warn",
  ]);
  const apiserverArguments = [
    `--etcd-servers=${etcdUrl}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${apiPort}`,
    `--cert-dir=${at("certificates")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${at("sa.pub")}`,
    `--service-account-signing-key-file=${at("sa.key")}`,
    `--token-auth-file=${at("tokens.csv")}`,
    "--authorization-mode=RBAC",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--endpoint-reconciler-type=none", // loopback can't be anybody's endpoint
    "--disable-admission-plugins=ServiceAccount", // no controller makes accounts for pods
    "--shutdown-watch-termination-grace-period=1s",
    ...(options.featureGates === undefined ? [] : [`--feature-gates=${options.featureGates}`]),
    ...(options.apiserverFlags ?? []),
  ];
  let apiserver!: ChildProcess;
  const startApiserver = async (): Promise<void> => {
    apiserver = await start(folder, "kube-apiserver", apiserverArguments);
    await ready(server, folder, apiserver);
  };
  try {
    await startApiserver();
  } catch (error) {
    await Promise.all([end(etcd, "SIGKILL"), apiserver === undefined ? null : end(apiserver, "SIGKILL")]);
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const ca = readFileSync(at("certificates/apiserver.crt"));
  writeFileSync(at("ca.crt"), ca);
  writeFileSync(at("kubeconfig"), kubeconfig(server, at("ca.crt"), adminToken), { mode: 0o600 });

  const connection = (token: string): Connection => ({
    server,
    tls: async () => ({ ca, cert: null, key: null, servername: null, verify: true }),
    headers: async () => ({ authorization: `Bearer ${token}` }),
    unauthorized: () => undefined,
    proxy: null,
    namespace: "default",
    description: `test control plane (${server.origin})`,
  });
  const admin = openClient(connection(adminToken));
  const stopApiserver = ({ kill = false } = {}): Promise<void> => end(apiserver, kill ? "SIGKILL" : "SIGTERM");
  return {
    server,
    ca,
    adminToken,
    kubeconfig: at("kubeconfig"),
    admin,
    connection,
    stopApiserver,
    startApiserver,
    restart: async (how) => {
      await stopApiserver(how);
      await startApiserver();
    },
    compact: () => compact(etcdUrl),
    get pids() {
      return { etcd: etcd.pid!, apiserver: apiserver.pid! };
    },
    stop: async () => {
      admin.close();
      await Promise.all([end(apiserver, "SIGKILL"), end(etcd, "SIGKILL")]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function start(folder: string, name: string, args: readonly string[]): Promise<ChildProcess> {
  const log = openSync(join(folder, `${name}.log`), "a");
  const child = spawn(assetPath(name), args, { stdio: ["ignore", log, log], cwd: folder });
  closeSync(log);
  await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** A test that is interrupted leaves nothing behind. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await ended;
  clearTimeout(timer);
}

/** About a second where nothing else runs; ms. */
const startLimit = 90_000;

async function ready(server: URL, folder: string, child: ChildProcess): Promise<void> {
  const file = join(folder, "certificates/apiserver.crt");
  const deadline = performance.now() + startLimit;
  for (;;) {
    if (performance.now() > deadline) throw new Error(`kube-apiserver is not ready after ${startLimit / 1000} s`);
    if (child.exitCode !== null) {
      const log = readFileSync(join(folder, "kube-apiserver.log"), "utf8");
      throw new Error(`kube-apiserver ended: ${log.trimEnd().split("\n").slice(-5).join("\n")}`);
    }
    try {
      const ca = readFileSync(file);
      const client = openClient({
        server,
        tls: async () => ({ ca, cert: null, key: null, servername: null, verify: true }),
        headers: async () => ({}),
        unauthorized: () => undefined,
        proxy: null,
        namespace: "default",
        description: "",
      });
      try {
        for await (const _ of await client.stream("/readyz", {})); // readable by everyone
        return;
      } finally {
        client.close();
      }
    } catch {
      await sleep(20);
    }
  }
}

async function compact(etcdUrl: string): Promise<void> {
  const post = async (path: string, body: object): Promise<{ header: { revision: string } }> => {
    const answer = await fetch(`${etcdUrl}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd: ${await answer.text()}`);
    return (await answer.json()) as { header: { revision: string } };
  };
  const { header } = await post("/v3/kv/range", { key: Buffer.from("none").toString("base64") });
  await post("/v3/kv/compaction", { revision: header.revision, physical: true });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

const kubeconfig = (server: URL, ca: string, token: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server: server.origin, "certificate-authority": ca } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    "current-context": "test",
  });
