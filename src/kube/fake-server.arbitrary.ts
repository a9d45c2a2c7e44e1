/** A small API server over real sockets, for what a real one can't be made to do on demand. */
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Connection } from "./connection.ts";

export interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
  };
  readonly [field: string]: unknown;
}

interface Event {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly path: string;
  readonly object: FakeObject;
}

/** What the next request of a path meets, instead of an answer or in the middle of it. */
export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly body?: unknown }
  /** The connection is reset after this many bytes of the answer. */
  | { readonly kind: "reset"; readonly after: number }
  /** The answer ends after this many bytes, as if that were all. */
  | { readonly kind: "end"; readonly after: number }
  /** Bytes put before the answer. */
  | { readonly kind: "garbage"; readonly text: string }
  /** Every event is sent twice. */
  | { readonly kind: "twice" }
  /** Nothing ever comes. */
  | { readonly kind: "silence" };

type Request = http.IncomingMessage | http2.Http2ServerRequest;
type Response = http.ServerResponse | http2.Http2ServerResponse;

interface Watcher {
  readonly path: string;
  send(event: object): void;
  end(): void;
}

/** All that a server knows at one moment. */
export interface Snapshot {
  readonly version: number;
  readonly objects: ReadonlyMap<string, ReadonlyMap<string, FakeObject>>;
}

export interface FakeServerOptions {
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
  /** Default true. */
  readonly http2?: boolean;
  /** Default true. */
  readonly watchList?: boolean;
  /** Most items of a page; default: as asked. */
  readonly pageSize?: number;
}

export class FakeServer {
  readonly requests: string[] = [];
  readonly headers: http.IncomingHttpHeaders[] = [];
  /** Paths whose kind is not installed. */
  readonly absent = new Set<string>();
  watchList: boolean;
  /** Watches from a version that is yet to come are left without a word, not refused. */
  isSilentAhead = false;
  readonly #options: FakeServerOptions;
  readonly #server: http.Server | https.Server | http2.Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  #objects = new Map<string, Map<string, FakeObject>>();
  readonly #history: Event[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #faults = new Map<string, Fault[]>();
  #version = 10;
  /** Events up to this version are compacted away. */
  #compacted = 0;

  constructor(options: FakeServerOptions = {}) {
    this.#options = options;
    this.watchList = options.watchList ?? true;
    const handler = (request: Request, response: Response): void => this.#handle(request, response);
    this.#server =
      options.tls === undefined
        ? http.createServer(handler)
        : options.http2 === false
          ? https.createServer(options.tls, handler)
          : http2.createSecureServer({ ...options.tls, allowHTTP1: true }, handler);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined).once("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("sessionError", () => undefined);
  }

  async start(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  get url(): URL {
    const { port } = this.#server.address() as AddressInfo;
    return new URL(`${this.#options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`);
  }

  get connection(): Connection {
    const { tls } = this.#options;
    const settings = tls === undefined ? null : { ca: tls.cert, cert: null, key: null, servername: null, verify: true };
    return {
      server: this.url,
      tls: async () => settings,
      headers: async () => ({ authorization: "Bearer secret" }),
      unauthorized: () => undefined,
      proxy: null,
      namespace: "default",
      description: `fake (${this.url.origin})`,
    };
  }

  async stop(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  get watches(): number {
    return this.#watchers.size;
  }

  /** Connections break: all, or those chosen. */
  reset(isChosen: (socket: Socket) => boolean = () => true): void {
    for (const socket of this.#sockets) if (isChosen(socket)) socket.resetAndDestroy();
  }

  /** Every watch ends, as they do when their time is over. */
  endWatches(): void {
    for (const watcher of [...this.#watchers]) watcher.end();
  }

  /** What has happened until now can't be watched any more. */
  compact(): void {
    this.#compacted = this.#version;
    this.#history.length = 0;
  }

  /** For the next requests of a path, one each. */
  fail(path: string, ...faults: readonly Fault[]): void {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  put(path: string, object: FakeObject): void {
    const all = this.#objects.get(path) ?? new Map<string, FakeObject>();
    this.#objects.set(path, all);
    const key = keyOf(object);
    const type = all.has(key) ? "MODIFIED" : "ADDED";
    const stored = this.#versioned(object);
    all.set(key, stored);
    this.#happened({ version: this.#version, type, path, object: stored });
  }

  remove(path: string, key: string): void {
    const object = this.#objects.get(path)?.get(key);
    if (object === undefined) return;
    this.#objects.get(path)!.delete(key);
    this.#happened({ version: this.#version + 1, type: "DELETED", path, object: this.#versioned(object) });
  }

  /** Objects of a path change without an event: as a relist finds them after a compaction. */
  replaceSilently(path: string, objects: readonly FakeObject[]): void {
    this.#objects.set(path, new Map(objects.map((object) => [keyOf(object), this.#versioned(object)])));
    this.compact();
  }

  snapshot(): Snapshot {
    return { version: this.#version, objects: copied(this.#objects) };
  }

  /** Another server answers from now on, which has come so far, or the same one with a restored etcd. */
  become({ version, objects }: Snapshot): void {
    this.#version = version;
    this.#objects = copied(objects);
    this.compact();
    this.reset();
  }

  objects(path: string): readonly FakeObject[] {
    return [...(this.#objects.get(path)?.values() ?? [])];
  }

  bookmark(path: string): void {
    for (const watcher of this.#watchers) if (watcher.path === path) watcher.send(this.#bookmark({}));
  }

  #versioned(object: FakeObject): FakeObject {
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } };
  }

  #happened(event: Event): void {
    this.#history.push(event);
    for (const watcher of this.#watchers) {
      if (watcher.path === event.path) watcher.send({ type: event.type, object: event.object });
    }
  }

  #bookmark(annotations: Readonly<Record<string, string>>): object {
    return { type: "BOOKMARK", object: { metadata: { resourceVersion: String(this.#version), annotations } } };
  }

  #handle(request: Request, response: Response): void {
    const url = new URL(request.url ?? "/", "http://fake");
    this.requests.push(`${request.method} ${request.url}`);
    this.headers.push(request.headers);
    const fault = this.#faults.get(url.pathname)?.shift() ?? null;
    if (fault?.kind === "silence") return;
    if (fault?.kind === "status") {
      answer(response, fault.status, fault.body ?? { kind: "Status", code: fault.status, message: "as told" });
      return;
    }
    if (this.absent.has(url.pathname)) {
      const message = "the server could not find the requested resource";
      answer(response, 404, { kind: "Status", code: 404, reason: "NotFound", message });
      return;
    }
    const client = request.socket.remotePort;
    const out = new Faulty(response, fault, () => this.reset(({ remotePort }) => remotePort === client));
    if (url.searchParams.has("watch")) this.#watch(url, out);
    else this.#list(url, out);
  }

  #list(url: URL, out: Faulty): void {
    const { searchParams: query, pathname: path } = url;
    const all = this.objects(path);
    const rest = query.get("continue");
    const [from, version] = rest === null ? [0, this.#version] : (rest.split("@").map(Number) as [number, number]);
    if (rest !== null && version < this.#compacted) {
      out.status(410, "Expired", "The provided continue parameter is too old");
      return;
    }
    const size = this.#options.pageSize ?? Number(query.get("limit") ?? all.length);
    const items = all.slice(from, from + size);
    const more = from + size < all.length ? { continue: `${from + size}@${version}` } : {};
    out.write(
      JSON.stringify({
        kind: "List",
        apiVersion: "v1",
        metadata: { resourceVersion: String(version), ...more },
        items,
      }),
    );
    out.end();
  }

  #watch(url: URL, out: Faulty): void {
    const { searchParams: query, pathname: path } = url;
    const initial = query.get("sendInitialEvents") === "true";
    const version = Number(query.get("resourceVersion") ?? 0);
    if (initial && !this.watchList) {
      out.status(
        422,
        "Invalid",
        "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
      );
      return;
    }
    if (!initial && version > this.#version && !this.isSilentAhead) {
      out.status(504, "Timeout", `Too large resource version: ${version}, current: ${this.#version}`);
      return;
    }
    if (!initial && version < this.#compacted) {
      out.status(410, "Expired", `too old resource version: ${version}`);
      return;
    }
    const watcher: Watcher = {
      path,
      send: (event) => out.write(`${JSON.stringify(event)}\n`),
      end: () => {
        this.#watchers.delete(watcher);
        out.end();
      },
    };
    out.start();
    this.#watchers.add(watcher);
    out.closed(() => this.#watchers.delete(watcher));
    if (initial) {
      for (const object of this.objects(path)) watcher.send({ type: "ADDED", object });
      watcher.send(this.#bookmark({ "k8s.io/initial-events-end": "true" }));
    } else {
      for (const event of this.#history) {
        if (event.path === path && event.version > version) watcher.send({ type: event.type, object: event.object });
      }
    }
  }
}

const copied = (objects: Snapshot["objects"]): Map<string, Map<string, FakeObject>> =>
  new Map([...objects].map(([path, all]) => [path, new Map(all)]));

const keyOf = ({ metadata: { namespace = "", name } }: FakeObject): string => `${namespace}/${name}`;

function answer(response: Response, status: number, body: unknown): void {
  const plain = response as http.ServerResponse;
  plain.writeHead(status, { "content-type": "application/json" });
  plain.end(JSON.stringify(body));
}

/** An answer that breaks where it is told to. */
class Faulty {
  readonly #response: http.ServerResponse;
  readonly #fault: Fault | null;
  readonly #reset: () => void;
  #sent = 0;
  #garbled = false;
  #over = false;

  constructor(response: Response, fault: Fault | null, reset: () => void) {
    this.#response = response as http.ServerResponse;
    this.#fault = fault;
    this.#reset = reset;
  }

  status(code: number, reason: string, message: string): void {
    this.#over = true;
    answer(this.#response, code, { kind: "Status", code, reason, message });
  }

  start(): void {
    this.#response.writeHead(200, { "content-type": "application/json" });
    this.#response.flushHeaders();
    this.#garble();
  }

  write(text: string): void {
    if (this.#over || this.#response.destroyed) return;
    const fault = this.#fault;
    if (this.#sent === 0) this.#garble();
    if (fault?.kind === "reset" || fault?.kind === "end") {
      const left = fault.after - this.#sent;
      if (left < text.length) {
        this.#over = true;
        this.#response.write(text.slice(0, Math.max(left, 0)), () => {
          if (fault.kind === "end") this.#response.end();
          else this.#reset();
        });
        return;
      }
    }
    this.#sent += text.length;
    this.#response.write(fault?.kind === "twice" ? text + text : text);
  }

  #garble(): void {
    if (this.#fault?.kind === "garbage" && !this.#garbled) this.#response.write(this.#fault.text);
    this.#garbled = true;
  }

  end(): void {
    if (!this.#over) this.#response.end();
    this.#over = true;
  }

  closed(then: () => void): void {
    this.#response.once("close", then);
  }
}

/** A way to a server that can go silent: connections stay open, and nothing passes. */
export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(to: URL) {
    this.#server = createServer((near) => {
      const far = connect(Number(to.port), to.hostname);
      near.pipe(far).pipe(near);
      for (const end of [near, far]) {
        this.#sockets.add(end);
        end
          .on("error", () => undefined)
          .on("close", () => {
            near.destroy();
            far.destroy();
          });
      }
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** The same server, by this way. */
  through(connection: Connection): Connection {
    const server = new URL(connection.server);
    server.port = String(this.#port);
    return { ...connection, server };
  }

  /** From now on nothing passes on the connections that are open. */
  silence(): void {
    for (const socket of this.#sockets) socket.unpipe().resume();
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
