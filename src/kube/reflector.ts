/** One kind of objects, listed and watched for ever, kept slim. */
import { Backoff, type Timing } from "./backoff.ts";
import type { Client } from "./client.ts";
import { ApiError, messageOf, NetworkError, statusError } from "./errors.ts";
import type { SourceStatus } from "./feed.ts";
import { Installation } from "./installation.ts";
import { lines } from "./lines.ts";
import { pageSize, readPages } from "./list.ts";
import { type Projection, projector } from "./project.ts";
import type { Patience, Reachability } from "./reachability.ts";
import type { Resource } from "./resource.ts";
import { type Sink, Store } from "./store.ts";
import { isOlder } from "./version.ts";

export interface ReflectorOptions {
  readonly timing: Timing;
  /** Shared by all streams to the server. */
  readonly reachability: Reachability;
  /** How long the server keeps a watch open: this many seconds, plus up to as many again. Default 300. */
  readonly watchSeconds?: number;
  /** Without an answer, or in the middle of a list, ms; default 60 s. */
  readonly silence?: number;
}

/** A watch that the server ends sooner than this, without an event, counts as failed; ms. */
const shortWatch = 1000;
/** After so many failed watches from one version, the list is read again. */
const mostFailures = 5;
/** So often the server has to say that its newest state is older than one that was seen, until that is believed. */
const mostSetbacks = 5;

type WatchEvent = { readonly type: string; readonly object: unknown };

export class Reflector<T> {
  readonly synced: Promise<void>;
  readonly #resource: Resource<T>;
  readonly #client: Client;
  readonly #sink: Sink<T>;
  readonly #store: Store<T>;
  readonly #options: Required<ReflectorOptions>;
  /** Between tries that the server refuses. */
  readonly #backoff: Backoff;
  /** Between tries that don't reach it. */
  readonly #patience: Patience;
  readonly #installation: Installation;
  readonly #readItem: (text: Buffer) => unknown;
  readonly #readEvent: (text: Buffer) => unknown;
  #isSynced: () => void = () => undefined;
  /** Where the watch goes on; null: the list has to be read (again). */
  #version: string | null = null;
  /** The newest version that was seen, "" before: nothing older is taken for the state. */
  #seen = "";
  #setbacks = 0;
  #hasWatchList = true;
  /** The last try with a WatchList broke off: a plain list is next. */
  #listNext = false;
  #failedWatches = 0;
  /** A watch from the last complete state on has gone well. */
  #hadWatch = false;
  /** Events and bookmarks that were not replays. */
  #news = 0;
  /** The server said that there is no such kind. */
  #isAbsent = false;
  #status: SourceStatus;

  constructor(resource: Resource<T>, client: Client, sink: Sink<T>, options: ReflectorOptions) {
    this.#resource = resource;
    this.#client = client;
    this.#sink = sink;
    this.#store = new Store(resource, sink);
    const { timing, reachability } = options;
    this.#options = { watchSeconds: 300, silence: 60_000, ...options };
    this.#installation = new Installation(resource.name, client, timing);
    this.#backoff = new Backoff(timing);
    this.#patience = reachability.join();
    this.#readItem = projector(resource.reads);
    this.#readEvent = projector(eventProjection(resource.reads));
    this.#status = {
      resource: resource.name,
      installed: true,
      synced: false,
      connected: false,
      error: null,
      restarts: 0,
    };
    this.synced = new Promise((resolve) => {
      this.#isSynced = resolve;
    });
  }

  /** The last known state, by key. */
  get objects(): ReadonlyMap<string, T> {
    return this.#store.objects;
  }

  get status(): SourceStatus {
    return this.#status;
  }

  /** Follows the kind until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#version === null && (!this.#hasWatchList || this.#listNext)) {
          await this.#list(signal);
          continue;
        }
        await this.#watch(this.#version === null ? new Map() : null, signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.#recover(error, signal);
      }
      this.#tell({ restarts: this.#status.restarts + 1 });
    }
  }

  #tell(change: Partial<SourceStatus>): void {
    this.#status = { ...this.#status, ...change };
  }

  // ---- what went wrong ----------------------------------------------------------------------------------------------

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    if (error instanceof ApiError) {
      if (this.#resource.optional && error.isUnknownKind) return this.#absent(signal);
      if (this.#version === null && this.#hasWatchList && !this.#listNext && isUnknownToServer(error)) {
        this.#hasWatchList = false;
        return;
      }
      if (this.#version !== null && (error.isExpired || error.isAheadOfServer)) {
        this.#version = null;
        if (this.#hadWatch) return; // at once: the state is known to be old
      }
    }
    this.#tell({ connected: false, error: messageOf(error) });
    if (isUnreachable(error)) await this.#patience.wait();
    else await this.#backoff.wait(signal, error instanceof ApiError ? error.retryAfter * 1000 : 0);
  }

  /** A watch goes on, or there is nothing to watch. */
  #wentWell(): void {
    this.#hadWatch = true;
    this.#backoff.reset();
    this.#patience.reset();
  }

  /**
   * The kind is not installed: there are no objects of it. A CRD's objects are deleted before it is, so where some are left
   * the answer may be somebody else's (a proxy's, a server's that is starting): they stay until it has been given twice.
   */
  async #absent(signal: AbortSignal): Promise<void> {
    if (this.#store.objects.size > 0 && !this.#isAbsent) {
      this.#isAbsent = true;
      this.#tell({ connected: false, error: `the server says that it has no ${this.#resource.name} any more` });
      await this.#installation.pause(signal);
      return;
    }
    this.#store.replace(new Map(), performance.now());
    this.#version = null;
    this.#wentWell();
    this.#tell({ installed: false, synced: true, connected: false, error: null });
    this.#isSynced();
    await this.#installation.likely(signal);
  }

  // ---- list ---------------------------------------------------------------------------------------------------------

  async #list(signal: AbortSignal): Promise<void> {
    this.#listNext = false;
    const { path } = this.#resource;
    const next = new Map<string, T>();
    const onItem = (text: Buffer): void => {
      const object = this.#decode(this.#parse(text, this.#readItem));
      if (object !== null) this.#store.collect(next, object);
    };
    const { silence, reachability } = this.#options;
    const version = await readPages(this.#client, path, { limit: pageSize }, onItem, {
      signal,
      silence,
      accept: this.#accept("PartialObjectMetadataList"),
      onPage: () => reachability.answered(),
    });
    if (version === "") throw new NetworkError(`the list of ${this.#resource.name} has no resourceVersion`);
    this.#replace(next, version, performance.now());
  }

  #accept(kind: string): string {
    return this.#resource.metadataOnly ? `application/json;as=${kind};g=meta.k8s.io;v=v1` : "application/json";
  }

  #parse(text: Buffer, parser: (text: Buffer) => unknown): unknown {
    try {
      return parser(text);
    } catch (error) {
      throw new NetworkError(`the server sent broken JSON: ${messageOf(error)}`, { cause: error });
    }
  }

  #decode(object: unknown): T | null {
    const decoded = this.#resource.decode(object);
    if (decoded === null) this.#sink.unreadable(this.#resource.name, "an object without a name");
    return decoded;
  }

  /**
   * A complete state, as of `version`. Only the newest is ever asked for, so an older one is of a server that breaks its word,
   * or of an etcd that was restored from a backup.
   */
  #replace(next: Map<string, T>, version: string, receivedAt: number): void {
    if (isOlder(version, this.#seen) && ++this.#setbacks < mostSetbacks) {
      const { name } = this.#resource;
      throw new SetbackError(`the newest ${name} of the server are older than those seen: ${version} < ${this.#seen}`);
    }
    this.#setbacks = 0;
    this.#isAbsent = false;
    this.#hadWatch = false;
    this.#store.replace(next, receivedAt);
    this.#version = version;
    this.#seen = version;
    this.#failedWatches = 0;
    this.#tell({ installed: true, synced: true, connected: true, error: null });
    this.#isSynced();
  }

  // ---- watch --------------------------------------------------------------------------------------------------------

  /** @param initial collects the state that the server sends first (WatchList); null: the watch goes on from `#version` */
  async #watch(initial: Map<string, T> | null, signal: AbortSignal): Promise<void> {
    const { timing, watchSeconds, silence } = this.#options;
    const seconds = Math.ceil(watchSeconds * (1 + timing.random()));
    const { path } = this.#resource;
    const query = {
      watch: true,
      allowWatchBookmarks: true,
      timeoutSeconds: seconds,
      ...(initial === null
        ? { resourceVersion: this.#version ?? "" }
        : { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" }), // than now: there is no resourceVersion
    };
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(), (seconds + 5) * 1000);
    let openedAt = Number.POSITIVE_INFINITY;
    let closed: (wasGood: boolean) => void = () => undefined;
    const newsBefore = this.#news;
    try {
      const accept = this.#accept("PartialObjectMetadata");
      const both = AbortSignal.any([signal, end.signal]);
      const body = await this.#client.stream(path, query, { signal: both, timeout: silence, accept });
      openedAt = performance.now();
      closed = this.#options.reachability.opened();
      this.#isAbsent = false;
      if (initial === null) this.#tell({ connected: true, error: null });
      else this.#listNext = true; // unless the bookmark comes
      let state = initial;
      for await (const found of lines(body)) {
        const receivedAt = performance.now();
        try {
          for (const line of found) state = this.#event(this.#parse(line, this.#readEvent), state, receivedAt);
        } finally {
          // Also what came before an event that says that the watch is over.
          if (state === null) this.#sink.flush(receivedAt);
        }
        if (state !== null) continue;
        this.#failedWatches = 0;
        this.#wentWell();
      }
      if (state !== null) throw new NetworkError("the watch ended before the initial state was complete");
    } catch (error) {
      if (!end.signal.aborted) throw this.#failed(error);
      if (this.#listNext) throw new NetworkError("the initial state was not complete in time");
    } finally {
      clearTimeout(timer);
      end.abort();
      const wasGood = this.#version !== null && performance.now() - openedAt >= shortWatch;
      if (wasGood) this.#wentWell();
      closed(wasGood);
    }
    if (this.#news > newsBefore) return;
    const lived = performance.now() - openedAt;
    if (lived < shortWatch) throw this.#failed(new NetworkError("the server ends watches at once"));
    // Not even a bookmark, which come every minute: as it is with a version that the server has yet to reach.
    if (lived >= seconds * 500) this.#version = null;
  }

  /** A watch that goes on failing from one version is begun again from a list. */
  #failed(error: unknown): unknown {
    if (this.#version !== null && ++this.#failedWatches >= mostFailures) {
      this.#failedWatches = 0;
      this.#version = null;
    }
    return error;
  }

  /** @returns the initial state as far as it is known; null once it is complete */
  #event(event: unknown, initial: Map<string, T> | null, receivedAt: number): Map<string, T> | null {
    const { type, object } = (event ?? {}) as Partial<WatchEvent>;
    const { metadata } = (object ?? {}) as { metadata?: Metadata };
    const version = metadata?.resourceVersion;
    if (initial === null && typeof version === "string" && isOlder(version, this.#seen)) return null; // a replay
    this.#news++;
    if (initial === null && typeof version === "string") {
      this.#version = version;
      this.#seen = version;
    }
    switch (type) {
      case "ADDED":
      case "MODIFIED":
      case "DELETED": {
        const decoded = this.#decode(object);
        if (decoded !== null) {
          if (initial === null) this.#store.change(decoded, type === "DELETED");
          else if (type === "DELETED") initial.delete(this.#resource.key(decoded));
          else this.#store.collect(initial, decoded);
        }
        break;
      }
      case "BOOKMARK":
        if (initial !== null && metadata?.annotations?.["k8s.io/initial-events-end"] === "true") {
          if (typeof version !== "string") throw new NetworkError("a bookmark without a resourceVersion");
          this.#listNext = false;
          this.#replace(initial, version, receivedAt);
          return null;
        }
        break;
      case "ERROR":
        throw statusError(object, `watch ${this.#resource.name}`);
      default:
        throw new NetworkError(`an event of unknown type ${JSON.stringify(type)?.slice(0, 50)}`);
    }
    return initial;
  }
}

/** The object of an event is one of the kind, a bookmark or a Status. */
function eventProjection(reads: Projection): Projection {
  const metadata = reads["metadata"];
  const object: Projection = {
    ...reads,
    metadata: {
      ...(metadata === true ? {} : metadata),
      resourceVersion: true,
      annotations: { "k8s.io/initial-events-end": true },
    },
    ...status,
  };
  return { type: true, object };
}

/** None of these is a field of a kind that is followed. */
const status: Projection = { code: true, reason: true, message: true, details: true };

interface Metadata {
  readonly resourceVersion?: unknown;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/** Servers without WatchList reject its parameters: as invalid, or as forbidden by validation. */
const isUnknownToServer = ({ status, reason, message }: ApiError): boolean =>
  status === 400 || status === 422 || reason === "Invalid" || (status === 403 && message.includes("sendInitialEvents"));

/** A state that was not taken for one. */
class SetbackError extends Error {}

/** Nobody answered, or somebody in place of the server, or a server that can't: not a server's word to wait. */
const isUnreachable = (error: unknown): boolean =>
  error instanceof NetworkError || (error instanceof ApiError && error.status >= 500 && error.retryAfter === 0);
