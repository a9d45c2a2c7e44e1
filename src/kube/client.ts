/** Requests to one API server, in its own terms: JSON objects, Status errors, streams. */
import type { Connection } from "./connection.ts";
import { NetworkError, networkError, statusError } from "./errors.ts";
import { type HttpRequest, type HttpResponse, Transport } from "./transport.ts";

export type Query = Readonly<Record<string, string | number | boolean>>;

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** Default `application/json`. */
  readonly accept?: string;
  /** Until the answer begins, in ms; default 60 s. An answer that falls silent for as long fails too, but for streams. */
  readonly timeout?: number;
}

/** Everything that reads or writes a cluster goes through one of these. Failures are `ApiError` or `NetworkError`. */
export interface Client {
  readonly connection: Connection;
  /** The parsed JSON of an answer of at most 64 MiB. */
  get(path: string, query?: Query, options?: RequestOptions): Promise<unknown>;
  post(path: string, body: unknown, options?: RequestOptions): Promise<unknown>;
  /** @param type `application/merge-patch+json` by default */
  patch(path: string, body: unknown, options?: RequestOptions & { readonly type?: string }): Promise<unknown>;
  delete(path: string, options?: RequestOptions): Promise<unknown>;
  /** An answer as it comes. Resolves when the server has accepted the request. */
  stream(path: string, query: Query, options?: RequestOptions): Promise<AsyncIterable<Buffer>>;
  close(): void;
}

export interface ClientOptions {
  readonly userAgent?: string;
  /** Between pings of an HTTP/2 connection, which must be answered before the next; ms, default 10 s. */
  readonly pingInterval?: number;
}

const answerLimit = 64 * 2 ** 20;
const defaultTimeout = 60_000;

export function openClient(connection: Connection, options: ClientOptions = {}): Client {
  return new HttpClient(connection, options);
}

interface Asked extends RequestOptions {
  readonly method: HttpRequest["method"];
  readonly path: string;
  readonly query: Query;
  readonly body?: { readonly type: string; readonly value: unknown };
}

class HttpClient implements Client {
  readonly connection: Connection;
  readonly #transport: Transport;
  readonly #userAgent: string;

  constructor(connection: Connection, { userAgent = "bulkhead", pingInterval = 10_000 }: ClientOptions) {
    this.connection = connection;
    this.#transport = new Transport(connection, { pingInterval });
    this.#userAgent = userAgent;
  }

  get(path: string, query: Query = {}, options: RequestOptions = {}): Promise<unknown> {
    return this.#object({ ...options, method: "GET", path, query });
  }

  post(path: string, body: unknown, options: RequestOptions = {}): Promise<unknown> {
    return this.#object({
      ...options,
      method: "POST",
      path,
      query: {},
      body: { type: "application/json", value: body },
    });
  }

  patch(path: string, body: unknown, options: RequestOptions & { readonly type?: string } = {}): Promise<unknown> {
    const { type = "application/merge-patch+json", ...rest } = options;
    return this.#object({ ...rest, method: "PATCH", path, query: {}, body: { type, value: body } });
  }

  delete(path: string, options: RequestOptions = {}): Promise<unknown> {
    return this.#object({ ...options, method: "DELETE", path, query: {} });
  }

  async stream(path: string, query: Query, options: RequestOptions = {}): Promise<AsyncIterable<Buffer>> {
    const asked: Asked = { ...options, method: "GET", path, query };
    const { response, signal } = await this.#send(asked);
    return named(this.connection.description, response.body, signal);
  }

  close(): void {
    this.#transport.close();
  }

  async #object(asked: Asked): Promise<unknown> {
    const { response, signal } = await this.#send(asked);
    const bytes = await this.#all(response, asked.timeout ?? defaultTimeout, signal);
    try {
      return JSON.parse(bytes.toString());
    } catch (error) {
      throw new NetworkError(`${this.connection.description}: the answer to ${askedWords(asked)} is no JSON`, {
        cause: error,
      });
    }
  }

  /** @throws ApiError when the status is not 2xx */
  async #send(asked: Asked): Promise<{ readonly response: HttpResponse; readonly signal: AbortSignal }> {
    const first = await this.#sendOnce(asked);
    if (first.response.status !== 401) return this.#checked(asked, first);
    this.connection.unauthorized();
    const end = new AbortController();
    await this.#all(first.response, defaultTimeout, end.signal).catch(() => undefined);
    return this.#checked(asked, await this.#sendOnce(asked));
  }

  async #sendOnce(asked: Asked): Promise<{ readonly response: HttpResponse; readonly signal: AbortSignal }> {
    const { method, path, query, body, accept = "application/json", timeout = defaultTimeout } = asked;
    asked.signal?.throwIfAborted();
    const credentials = await this.connection.headers().catch((error: unknown) => {
      throw networkError(this.connection.description, error);
    });
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeout);
    const signal = asked.signal === undefined ? late.signal : AbortSignal.any([asked.signal, late.signal]);
    const text = new URLSearchParams(
      Object.entries(query).map(([key, value]): [string, string] => [key, `${value}`]),
    ).toString();
    try {
      signal.throwIfAborted();
      const response = await this.#transport.send({
        method,
        path: `${this.connection.server.pathname.replace(/\/$/, "")}${path}${text === "" ? "" : `?${text}`}`,
        headers: {
          accept,
          "user-agent": this.#userAgent,
          ...(body === undefined ? {} : { "content-type": body.type }),
          ...credentials,
        },
        body: body === undefined ? null : Buffer.from(JSON.stringify(body.value)),
        signal,
      });
      return { response, signal };
    } catch (error) {
      asked.signal?.throwIfAborted();
      const why = late.signal.aborted ? new NetworkError(`no answer within ${timeout / 1000} s`) : error;
      throw networkError(this.connection.description, why);
    } finally {
      clearTimeout(timer);
    }
  }

  async #checked<T extends { readonly response: HttpResponse; readonly signal: AbortSignal }>(
    asked: Asked,
    sent: T,
  ): Promise<T> {
    const { response, signal } = sent;
    if (response.status >= 200 && response.status < 300) return sent;
    const bytes = await this.#all(response, defaultTimeout, signal);
    const retryAfter = Number(response.header("retry-after")) || 0;
    throw statusError(parsedOr(bytes), askedWords(asked), response.status, retryAfter);
  }

  async #all(response: HttpResponse, timeout: number, signal: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    const body = withoutSilence(named(this.connection.description, response.body, signal), timeout);
    for await (const part of body) {
      parts.push(part);
      size += part.length;
      if (size > answerLimit) throw new NetworkError(`${this.connection.description}: an answer of over 64 MiB`);
    }
    return Buffer.concat(parts, size);
  }
}

function parsedOr(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return { message: bytes.toString("utf8", 0, 200).trim() };
  }
}

async function* named(server: string, body: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    signal.throwIfAborted();
    throw networkError(server, error);
  }
}

/** Ends with an error when nothing comes for `timeout` ms. */
export async function* withoutSilence(body: AsyncIterable<Buffer>, timeout: number): AsyncGenerator<Buffer> {
  const iterator = body[Symbol.asyncIterator]();
  let fail: (error: Error) => void = () => undefined;
  const timer = setTimeout(
    () => fail(new NetworkError(`nothing came for ${timeout / 1000} s in the middle of an answer`)),
    timeout,
  );
  try {
    for (;;) {
      // No Promise.race: whatever lives through all rounds would keep what each round brought.
      const { done, value } = await new Promise<IteratorResult<Buffer>>((resolve, reject) => {
        fail = reject;
        iterator.next().then(resolve, reject);
      });
      if (done) return;
      timer.refresh();
      yield value;
    }
  } finally {
    clearTimeout(timer);
    void iterator.return?.(undefined)?.catch(() => undefined);
  }
}

const verbs = { GET: "get", POST: "create", PATCH: "patch", PUT: "update", DELETE: "delete" } as const;

/** `list pods`, `watch networkpolicies.networking.k8s.io`, `get namespaces "shop"`: as RBAC calls it. */
function askedWords({ method, path, query }: Pick<Asked, "method" | "path" | "query">): string {
  const steps = path.split("/").filter((step) => step !== "");
  const group = steps[0] === "apis" ? `.${steps[1] ?? ""}` : "";
  const rest = steps.slice(steps[0] === "apis" ? 3 : 2);
  if (rest.length === 0) return `${verbs[method]} ${path}`;
  if (rest[0] === "namespaces" && rest.length > 2) {
    const [, namespace, resource, ...more] = rest;
    return words(method, query, `${resource}${group}`, more, ` in namespace "${namespace}"`);
  }
  const [resource, ...more] = rest;
  return words(method, query, `${resource}${group}`, more, "");
}

function words(
  method: HttpRequest["method"],
  query: Query,
  resource: string,
  [name, subresource]: readonly string[],
  where: string,
): string {
  const of = subresource === undefined ? resource : `${resource}/${subresource}`;
  const verb = method !== "GET" ? verbs[method] : query["watch"] ? "watch" : name === undefined ? "list" : "get";
  return `${verb} ${of}${name === undefined ? "" : ` "${name}"`}${where}`;
}
