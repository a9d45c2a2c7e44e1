/** HTTP requests over as few connections as the server allows: one for all where it speaks HTTP/2. */
import http from "node:http";
import type { Duplex } from "node:stream";
import type { Connection } from "./connection.ts";
import { type Dialled, dial } from "./dial.ts";
import { NetworkError } from "./errors.ts";
import { Http2Session, RefusedStream, type SessionOptions } from "./http2-session.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  header(name: string): string;
  /** Ends when the answer does; throws when the connection breaks first. */
  readonly body: AsyncIterable<Buffer>;
}

/** Of a request that the server refuses unseen. */
const mostTries = 3;

/** What `work` gives, which goes on for others that wait for it. @throws the signal's reason */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error);
    const settled = (): void => signal.removeEventListener("abort", aborted);
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) aborted();
    work.finally(settled).then(resolve, reject);
  });
}

export class Transport {
  readonly #connection: Connection;
  readonly #options: SessionOptions;
  readonly #sessions = new Set<Http2Session>();
  #dialling: Promise<Http2Session | null> | null = null;
  /** What the server speaks; null until the first connection. */
  #protocol: Dialled["protocol"] | null = null;
  /** Connections of HTTP/1.1, kept for the next request. */
  readonly #agent: DialAgent;
  readonly #closing = new AbortController();

  constructor(connection: Connection, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#agent = new DialAgent(async () => {
      const { socket, protocol } = await dial(connection, this.#closing.signal);
      if (protocol === "http/1.1") return socket;
      this.#protocol = null; // the server was replaced by a newer one
      socket.destroy();
      throw new NetworkError("the server changed its protocol");
    });
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    for (let tries = 1; ; tries++) {
      if (this.#closing.signal.aborted) throw new NetworkError("the client is closed");
      const session = await unlessAborted(this.#session(), request.signal);
      if (session === null) return this.#sendHttp1(request);
      try {
        return await session.send(request);
      } catch (error) {
        if (!(error instanceof RefusedStream) || tries === mostTries) throw error;
      }
    }
  }

  close(): void {
    this.#closing.abort(new NetworkError("the client is closed"));
    for (const session of this.#sessions) session.close();
    this.#agent.destroy();
  }

  /** A session with a stream to spare; null where the server speaks HTTP/1.1 only. */
  async #session(): Promise<Http2Session | null> {
    if (this.#protocol === "http/1.1") return null;
    for (const session of this.#sessions) if (session.hasRoom) return session;
    this.#dialling ??= this.#dial().finally(() => {
      this.#dialling = null;
    });
    return this.#dialling;
  }

  async #dial(): Promise<Http2Session | null> {
    const { socket, protocol } = await dial(this.#connection, this.#closing.signal);
    this.#protocol = protocol;
    if (protocol === "http/1.1") {
      this.#agent.offer(socket);
      return null;
    }
    const session = new Http2Session(this.#connection.server, socket, this.#options);
    this.#sessions.add(session);
    session.whenClosed(() => this.#sessions.delete(session));
    await session.ready;
    return session;
  }

  #sendHttp1({ method, path, headers, body, signal }: HttpRequest): Promise<HttpResponse> {
    const { server } = this.#connection;
    return new Promise((resolve, reject) => {
      const request = http.request({
        agent: this.#agent,
        // The agent files its connections by these; what is dialled is the connection's own business.
        host: server.hostname,
        port: server.port || 80,
        method,
        path,
        headers: {
          host: server.host,
          ...headers,
          ...(body === null ? {} : { "content-length": String(body.length) }),
        },
        signal,
      });
      request.once("response", (response) => {
        resolve({
          status: response.statusCode ?? 0,
          header: (name) => [response.headers[name]].flat()[0] ?? "",
          body: response,
        });
      });
      request.on("error", reject);
      request.end(body ?? undefined);
    });
  }
}

/** Gives requests of HTTP/1.1 connections that were dialled as the connection says. */
class DialAgent extends http.Agent {
  readonly #dial: () => Promise<Duplex>;
  #offered: Duplex | null = null;

  constructor(dialled: () => Promise<Duplex>) {
    super({ keepAlive: true, maxFreeSockets: 4 });
    this.#dial = dialled;
  }

  /** A connection that is open already, for the next request. */
  offer(socket: Duplex): void {
    socket.on("error", () => undefined); // nobody may ever ask for it
    this.#offered?.destroy();
    this.#offered = socket;
  }

  override destroy(): void {
    this.#offered?.destroy();
    super.destroy();
  }

  override createConnection(
    _options: unknown,
    done?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const offered = this.#offered;
    this.#offered = null;
    if (offered !== null && !offered.destroyed) return offered;
    this.#dial().then(
      (socket) => done?.(null, socket),
      (error: unknown) => done?.(error as Error, undefined as never),
    );
    return undefined;
  }
}
