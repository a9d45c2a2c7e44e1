/** The agent's end of the socket that the CNI plugin asks: may this pod start? */
import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import {
  accepted,
  longestLine,
  longestWait,
  ProtocolError,
  parseRequest,
  type Request,
  type Response,
  refuse,
} from "../cni/protocol.ts";
import { formatAddress, parseAddress } from "../net/address.ts";
import type { PodGate } from "./pod-gate.ts";

/** One question of the plugin and how it ended, for log and metrics. */
export interface CniCall {
  readonly operation: Request["operation"];
  readonly pod: Request["pod"];
  readonly response: Response;
  /** From the question to the answer. */
  readonly milliseconds: number;
}

export interface CniServerOptions {
  /** Called for every answer. */
  readonly onCall?: (call: CniCall) => void;
  /** What kept a question from being answered at all: it could not be read, or the caller went away. */
  readonly onProblem?: (message: string) => void;
}

export interface CniServer {
  /** Ends open questions unanswered (the plugin asks again until its own time is over) and removes the socket. */
  close(): Promise<void>;
}

/** Callers at a time. Only root can connect; a node starts at most some hundred pods at once. */
const mostConnections = 1024;
/** Milliseconds for a connected caller to send its question. */
const askingTime = 5_000;

/**
 * Listens on a unix socket that only root can use (0600, in a folder made 0755). What a killed agent left there is replaced;
 * a file that is no socket is not.
 * @throws Error when the path can't be listened on
 */
export async function serveCni(path: string, gate: PodGate, options: CniServerOptions = {}): Promise<CniServer> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const standing = lstatSync(path, { throwIfNoEntry: false });
  if (standing !== undefined && !standing.isSocket()) throw new Error(`${path} exists and is not a socket`);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    answer(socket, gate, options);
  });
  server.maxConnections = mostConnections;
  // Under its final name the socket is ready and closed to others; a rename replaces what is there in one step.
  const fresh = `${path}.${process.pid}`;
  rmSync(fresh, { force: true });
  await listen(server, fresh);
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
  const mine = lstatSync(path).ino;
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
      // A successor may have replaced it already.
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === mine) rmSync(path, { force: true });
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function answer(socket: Socket, gate: PodGate, { onCall, onProblem }: CniServerOptions): void {
  let received = "";
  const gone = new AbortController();
  const timer = setTimeout(() => {
    onProblem?.("a caller connected and asked nothing");
    socket.destroy();
  }, askingTime);
  socket.setEncoding("utf8");
  socket.on("error", () => undefined); // "close" follows
  socket.on("close", () => {
    clearTimeout(timer);
    gone.abort(new Error("the container runtime gave up"));
  });
  const listen = (chunk: string): void => {
    received += chunk;
    const length = received.indexOf("\n");
    if (length < 0 && received.length <= longestLine) return;
    clearTimeout(timer);
    socket.off("data", listen);
    socket.resume(); // or the end of the caller would not be seen
    void reply(length < 0 ? null : received.slice(0, length));
  };
  socket.on("data", listen);

  const reply = async (line: string | null): Promise<void> => {
    const began = performance.now();
    let request: Request | undefined;
    let response: Response;
    try {
      if (line === null) throw new ProtocolError("the question has no end");
      request = parseRequest(line);
      response = await judge(request, gate, gone.signal);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof ProtocolError) onProblem?.(`a question that can't be answered: ${message}`);
      response = refuse(error instanceof ProtocolError ? "invalid" : "failed", message);
    }
    if (gone.signal.aborted) {
      if (request?.pod != null)
        onProblem?.(`pod ${request.pod.namespace}/${request.pod.name}: the caller of ${request.operation} went away`);
      return;
    }
    socket.end(`${JSON.stringify(response)}\n`);
    if (request !== undefined)
      onCall?.({
        operation: request.operation,
        pod: request.pod,
        response,
        milliseconds: performance.now() - began,
      });
  };
}

/** @throws ProtocolError */
async function judge(request: Request, gate: PodGate, gone: AbortSignal): Promise<Response> {
  const { operation, pod } = request;
  const ips = canonical(request.ips);
  if (operation === "del") {
    if (pod !== null) await gate.release(pod, ips);
    return accepted;
  }
  const why = gate.unready();
  if (why !== null) return refuse("not-ready", why);
  if (pod === null) return accepted;
  if (ips.length === 0) throw new ProtocolError("ips: the plugins before bulkhead gave the pod no address");
  // A little before the plugin gives up, so that it hears why.
  const milliseconds = Math.min(Math.max(request.timeout - 500, request.timeout / 2), longestWait);
  const time = AbortSignal.timeout(milliseconds);
  try {
    await gate.admit(pod, ips, AbortSignal.any([gone, time]));
    return accepted;
  } catch (error) {
    if (!time.aborted) throw error;
    const reason = error instanceof Error && error !== time.reason ? `: ${error.message}` : "";
    return refuse("failed", `not within ${(milliseconds / 1000).toFixed(1)} s${reason}`);
  }
}

/** @throws ProtocolError */
function canonical(ips: readonly string[]): string[] {
  const texts = ips.map((text) => {
    const address = parseAddress(text);
    if (address === null) throw new ProtocolError(`ips: ${JSON.stringify(text)} is not an IP address`);
    return formatAddress(address);
  });
  return [...new Set(texts)];
}
