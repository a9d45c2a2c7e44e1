/** One HTTP/2 connection: all watches share it, and pings tell whether it is still alive. */
import http2 from "node:http2";
import type { Duplex } from "node:stream";
import { NetworkError } from "./errors.ts";
import type { HttpRequest, HttpResponse } from "./transport.ts";

export interface SessionOptions {
  /** A ping goes out after each of these intervals, and must be answered within one; ms. */
  readonly pingInterval: number;
}

/** What the server may send ahead of what has been read, of one answer and of all; bytes. */
const streamWindow = 512 * 1024;
const sessionWindow = 4 * 2 ** 20;
/** Until the server says how many streams it takes: nothing more is known than RFC 9113's advice. */
const assumedStreams = 100;

/** The server took no notice of the request (REFUSED_STREAM, RFC 9113, 8.7): whatever it is, it can be sent again. */
export class RefusedStream extends NetworkError {}

export class Http2Session {
  /** Rejects when the connection fails before HTTP/2 is agreed on. */
  readonly ready: Promise<void>;
  readonly #session: http2.ClientHttp2Session;
  readonly #pings: NodeJS.Timeout;
  #streams = 0;
  #failure: Error | null = null;
  #answered = true;

  constructor(server: URL, socket: Duplex, { pingInterval }: SessionOptions) {
    const session = http2.connect(server.origin, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindow },
    });
    this.#session = session;
    this.ready = new Promise((resolve, reject) => {
      session.once("remoteSettings", () => {
        session.setLocalWindowSize(sessionWindow);
        resolve();
      });
      session.once("error", reject).once("close", () => reject(new NetworkError("the server closed the connection")));
    });
    this.ready.catch(() => undefined);
    session.on("error", (error) => {
      this.#failure ??= error;
    });
    this.#pings = setInterval(() => this.#ping(), pingInterval).unref();
    session.once("close", () => clearInterval(this.#pings));
  }

  /** Takes one more request: open, not told to go away, and below the server's number of streams. */
  get hasRoom(): boolean {
    const { closed, destroyed, remoteSettings } = this.#session;
    return !closed && !destroyed && this.#streams < (remoteSettings?.maxConcurrentStreams ?? assumedStreams);
  }

  whenClosed(then: () => void): void {
    this.#session.once("close", then);
  }

  /** What has not ended by then never comes to a good end. */
  close(): void {
    clearInterval(this.#pings);
    this.#fail(new NetworkError("the client is closed"));
  }

  send({ method, path, headers, body, signal }: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request(
        { ...headers, ":method": method, ":path": path },
        { endStream: body === null, signal },
      );
      this.#streams++;
      stream.once("close", () => {
        this.#streams--;
        reject(this.#failure ?? new NetworkError("the connection was closed before an answer came"));
      });
      stream.on("error", (error) => {
        const isRefused = stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
        reject(this.#failure ?? (isRefused ? new RefusedStream("the server refuses more requests at a time") : error));
      });
      stream.once("response", (answer) => {
        const header = (name: string): string => [answer[name]].flat()[0]?.toString() ?? "";
        resolve({ status: answer[":status"] ?? 0, header, body: this.#body(stream) });
      });
      if (body !== null) stream.end(body);
    });
  }

  /** What made the session fail says more than what it did to its streams. */
  async *#body(stream: http2.ClientHttp2Stream): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of chunks(stream)) {
        this.#answered = true; // an answer to a ping would stand behind all that is on its way
        yield chunk;
      }
    } catch (error) {
      throw this.#failure ?? error;
    }
    if (stream.aborted || stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR) {
      throw this.#failure ?? new NetworkError("the answer was cut off");
    }
  }

  #ping(): void {
    if (this.#answered) {
      this.#sendPing();
      return;
    }
    // A process that was held up has the answer and has not read it: that comes before immediates.
    setImmediate(() => {
      if (this.#answered) this.#sendPing();
      else this.#fail(new NetworkError("the server does not answer pings"));
    });
  }

  #fail(failure: NetworkError): void {
    this.#failure ??= failure;
    this.#session.destroy(this.#failure);
  }

  #sendPing(): void {
    this.#answered = false;
    const sent =
      !this.#session.destroyed &&
      this.#session.ping((error) => {
        this.#answered ||= error === null;
      });
    if (!sent) this.#answered = true; // closing, or too many pings under way: no evidence
  }
}

/**
 * What comes on a stream until its end; the stream goes with the iteration. Node's own iterator (24.20 and above) takes a stream
 * that has closed before anyone read it for one that was cut off, and its bytes are lost: nodejs/node#65677.
 * @throws NetworkError, or what the stream was destroyed with
 */
async function* chunks(stream: http2.ClientHttp2Stream): AsyncGenerator<Buffer> {
  let wake = (): void => undefined;
  for (const event of ["readable", "end", "close"]) stream.on(event, () => wake());
  try {
    for (;;) {
      const chunk = stream.read() as Buffer | null;
      if (chunk !== null) yield chunk;
      else if (stream.readableEnded) return;
      else if (stream.destroyed) throw stream.errored ?? new NetworkError("the answer was cut off");
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stream.destroy();
  }
}
