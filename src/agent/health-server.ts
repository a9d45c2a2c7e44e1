/** /healthz, /livez, /readyz and /metrics over plain HTTP. */
import { createServer, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Condition, conditionLine, firstFailure } from "./condition.ts";

/** `127.0.0.1:9650`, `[::1]:9650`, `:9650` (every address). */
export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

/** @returns null for what is no address with a port */
export function parseListenAddress(text: string): ListenAddress | null {
  const [, host, port] = /^(\[[0-9a-fA-F:.%]+\]|[^:[\]\s]*):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535) return null;
  return { host: host === "" ? undefined : host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

export interface HealthSources {
  conditions(): readonly Condition[];
  /** Why the process should be started again; null when it is alive. */
  dead(): string | null;
}

/** Either may be missing: then its paths are not found. */
export interface Pages {
  readonly health?: HealthSources;
  readonly metrics?: { readonly contentType: string; text(): Promise<string> };
}

function send(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
  response.end(text);
}

async function answer(path: string, verbose: boolean, pages: Pages, response: ServerResponse): Promise<void> {
  const { health, metrics } = pages;
  if (health !== undefined && (path === "/healthz" || path === "/livez")) {
    const why = health.dead();
    return send(response, why === null ? 200 : 500, `${why ?? "ok"}\n`);
  }
  if (health !== undefined && path === "/readyz") {
    const conditions = health.conditions();
    const failure = firstFailure(conditions);
    const lines = [...conditions.map(conditionLine), failure === null ? "readyz passed" : "readyz failed"];
    return send(
      response,
      failure === null ? 200 : 503,
      failure === null && !verbose ? "ok\n" : `${lines.join("\n")}\n`,
    );
  }
  if (metrics !== undefined && path === "/metrics")
    return send(response, 200, await metrics.text(), metrics.contentType);
  const known = [...(health === undefined ? [] : ["/healthz", "/livez", "/readyz"]), ...(metrics ? ["/metrics"] : [])];
  send(response, 404, `not found; there are ${known.join(", ")}\n`);
}

export interface Patience {
  readonly signal: AbortSignal;
  /** Told once that the address is in use. */
  readonly waits: (why: Error) => void;
}

const pause = 500; // ms

/**
 * Serves the pages. While another process has the address (the agent that this one follows may need a moment to end) it is
 * tried again and again, in the background: enforcement does not wait for it.
 * @throws Error when the address cannot be listened on for another reason
 */
export async function serveHealth(address: ListenAddress, pages: Pages, { signal, waits }: Patience): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return send(response, 405, "GET only\n");
    // What a caller writes there need not be a URL: it is cut at the question mark and compared, no more.
    const [path = "/", query = ""] = (request.url ?? "/").split("?", 2);
    answer(path, new URLSearchParams(query).has("verbose"), pages, response).catch((error: unknown) =>
      send(response, 500, `${error instanceof Error ? error.message : String(error)}\n`),
    );
  });
  server.maxConnections = 64;
  server.requestTimeout = 10_000;
  server.unref(); // answers as long as the agent runs, and holds nobody up
  try {
    await listen(server, address);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    waits(error as Error);
    void again();
  }
  return server;

  async function again(): Promise<void> {
    while (!signal.aborted) {
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
      const isServed = await listen(server, address).then(
        () => true,
        () => false,
      );
      if (isServed) return;
    }
  }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
