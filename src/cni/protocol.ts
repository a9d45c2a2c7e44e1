/**
 * What the plugin on the host and the agent say to each other over the agent's unix socket: one line of JSON each way, then
 * the connection ends. The two are updated at different moments, so either may be older: fields are only ever added, and
 * what is added must be optional. A change that isn't so raises `protocolVersion`.
 */
export const protocolVersion = 1;

/** Where the agent listens, on the host. */
export const defaultSocket = "/run/bulkhead/cni.sock";

/** Bytes of the longest line. A request is some 500 bytes. */
export const longestLine = 64 * 1024;

/** Milliseconds that the agent works for one request at the most, whatever the plugin asks for. */
export const longestWait = 300_000;

/** Addresses of one sandbox at the most. */
export const mostAddresses = 32;

/** `check`: do the rules of this pod still stand? `status`: can the agent admit pods? */
export type Operation = "add" | "check" | "del" | "status";

export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | null;
  /** CNI_CONTAINERID; missing from plugins that were installed before it was sent. */
  readonly sandbox?: string | null;
}

export interface Request {
  readonly version: number;
  readonly operation: Operation;
  /** Milliseconds after which the plugin gives up. */
  readonly timeout: number;
  /** Null for `status` only. */
  readonly pod: PodName | null;
  /** As the network plugin gave them; empty when a `del` knows none. */
  readonly ips: readonly string[];
}

/** `not-ready`: ask again soon. `invalid`: asking again won't help. `failed`: this pod could not be admitted now. */
export type Refusal = "not-ready" | "invalid" | "failed";

export type Response =
  | { readonly version: number; readonly ok: true }
  | { readonly version: number; readonly ok: false; readonly refusal: Refusal; readonly message: string };

export const accepted: Response = { version: protocolVersion, ok: true };

export const refuse = (refusal: Refusal, message: string): Response => ({
  version: protocolVersion,
  ok: false,
  refusal,
  message,
});

/** Something that was sent and can't be understood; the message says what is wrong. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ProtocolError("not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ProtocolError("not a JSON object");
  const version = (value as Record<string, unknown>)["version"];
  if (version !== protocolVersion)
    throw new ProtocolError(
      `protocol version ${JSON.stringify(version)} is not spoken here, only ${protocolVersion}: plugin and agent differ too much, install both anew`,
    );
  return value as Record<string, unknown>;
}

const operations: readonly string[] = ["add", "check", "del", "status"] satisfies Operation[];
const refusals: readonly string[] = ["not-ready", "invalid", "failed"] satisfies Refusal[];

/** Names of namespaces and pods: RFC 1123 subdomains, as the API server demands. */
const objectName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
/** UIDs and ids of sandboxes are opaque: anything printable without spaces. */
const idText = /^[!-~]{1,128}$/;

/** @throws ProtocolError */
export function parseRequest(line: string): Request {
  const { operation, timeout, pod, ips } = parseObject(line);
  if (typeof operation !== "string" || !operations.includes(operation))
    throw new ProtocolError(`unknown operation ${JSON.stringify(operation)}`);
  if (typeof timeout !== "number" || !(timeout > 0)) throw new ProtocolError("timeout: not a number above 0");
  if (!Array.isArray(ips) || ips.length > mostAddresses || !ips.every((ip) => typeof ip === "string"))
    throw new ProtocolError(`ips: not a list of at most ${mostAddresses} texts`);
  const request = { version: protocolVersion, operation: operation as Operation, timeout, ips: ips as string[] };
  if (operation === "status") return { ...request, pod: null };
  return { ...request, pod: parsePod(pod) };
}

function parsePod(pod: unknown): PodName {
  if (typeof pod !== "object" || pod === null) throw new ProtocolError("pod: not an object");
  const { namespace, name, uid, sandbox = null } = pod as Record<string, unknown>;
  if (typeof namespace !== "string" || !objectName.test(namespace))
    throw new ProtocolError("pod.namespace: not a name of a namespace");
  if (typeof name !== "string" || !objectName.test(name)) throw new ProtocolError("pod.name: not a name of a pod");
  if (uid !== null && (typeof uid !== "string" || !idText.test(uid))) throw new ProtocolError("pod.uid: not a UID");
  if (sandbox !== null && (typeof sandbox !== "string" || !idText.test(sandbox)))
    throw new ProtocolError("pod.sandbox: not the id of a sandbox");
  return { namespace, name, uid, ...(sandbox === null ? {} : { sandbox }) };
}

/** @throws ProtocolError */
export function parseResponse(line: string): Response {
  const { ok, refusal, message } = parseObject(line);
  if (ok === true) return accepted;
  if (ok !== false || typeof message !== "string") throw new ProtocolError("neither accepted nor refused");
  // A newer agent's reasons are unknown here: no less final than a failure.
  const known = typeof refusal === "string" && refusals.includes(refusal) ? (refusal as Refusal) : "failed";
  return refuse(known, message);
}
