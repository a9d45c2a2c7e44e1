/** The API server and the identity that a pod gets from its kubelet. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Connection } from "./connection.ts";
import { NetworkError } from "./errors.ts";

export interface InClusterOptions {
  /** Default: `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where the kubelet mounts the service account. */
  readonly folder?: string;
  /** In ms; default `performance.now`. */
  readonly now?: () => number;
}

/** Tokens rotate long before they expire: read again at least this often, in ms. */
const tokenAge = 60_000;

/**
 * Reads token and CA of the pod's service account, again and again as they rotate. Nothing is read before it is needed.
 * @throws NetworkError outside of a cluster
 */
export function inClusterConnection(options: InClusterOptions = {}): Connection {
  const {
    environment = process.env,
    folder = "/var/run/secrets/kubernetes.io/serviceaccount",
    now = () => performance.now(),
  } = options;
  const host = environment["KUBERNETES_SERVICE_HOST"] ?? "";
  const port = environment["KUBERNETES_SERVICE_PORT"] ?? "";
  if (host === "" || port === "") {
    throw new NetworkError("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  const server = new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`);
  const file = async (name: string): Promise<Buffer> => {
    try {
      return await readFile(join(folder, name));
    } catch (error) {
      throw new NetworkError(`the pod's service account can't be read: ${(error as Error).message}`, { cause: error });
    }
  };
  let token: { readonly header: string; readonly readAt: number } | null = null;
  return {
    server,
    tls: async () => ({ ca: await file("ca.crt"), cert: null, key: null, servername: null, verify: true }),
    headers: async () => {
      if (token === null || now() - token.readAt >= tokenAge) {
        token = { header: `Bearer ${(await file("token")).toString().trim()}`, readAt: now() };
      }
      return { authorization: token.header };
    },
    unauthorized: () => {
      token = null;
    },
    proxy: null,
    namespace: "default",
    description: `the cluster's API server (${server.origin})`,
  };
}
