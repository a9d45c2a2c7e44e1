/** etcd and kube-apiserver on loopback, without nodes and controllers: ready in about a second, gone without a trace. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { type Client, type Connection, openClient } from "../../src/kube/index.ts";
import { missingPrograms, ControlPlane as Programs } from "../light/control-plane.ts";

const isThere = missingPrograms().length === 0;

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
  /** @param kill without a chance to end well */
  stopApiserver(options?: { readonly kill?: boolean }): Promise<void>;
  startApiserver(): Promise<void>;
  /** Forgets all that happened in etcd until now. */
  compact(): Promise<void>;
  stop(): Promise<void>;
}

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { featureGates, apiserverFlags = [] } = options;
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-api-"));
  const [etcd, peers, apiserver] = await Promise.all([freePort(), freePort(), freePort()]);
  const programs = new Programs({
    folder,
    address: "127.0.0.1",
    listen: "127.0.0.1",
    ports: { etcd, peers, apiserver },
    token: randomBytes(16).toString("hex"),
    flags: [...(featureGates === undefined ? [] : [`--feature-gates=${featureGates}`]), ...apiserverFlags],
  });
  const admin = openClient(programs.connection);
  const stop = async (): Promise<void> => {
    admin.close();
    await programs.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await programs.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    server: programs.server,
    ca: programs.ca,
    adminToken: programs.token,
    kubeconfig: programs.kubeconfig,
    admin,
    connection: (token) => programs.connectionAs(token),
    stopApiserver: ({ kill = false } = {}) => (kill ? programs.apiserver.kill() : programs.apiserver.stop(15_000)),
    startApiserver: () => programs.startApiserver(),
    compact: () => programs.compact(),
    stop,
  };
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
