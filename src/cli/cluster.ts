/** The cluster of a kube context as a source of objects: what `-f` is for files. */
import type { Client } from "../kube/client.ts";
import type { Connection } from "../kube/connection.ts";
import type { Decoded, Loaded, ReadOptions } from "../manifests/index.ts";
import { forbiddenMessage } from "./forbidden.ts";
import { CliError, type Io, writeLines } from "./io.ts";
import { type ListedKind, listedKinds } from "./listed-kinds.ts";
import type { ClusterOptions } from "./options.ts";

export interface Cluster {
  /** The context's, or -n. */
  readonly namespace: string;
  /** For messages: `context "prod" (https://10.0.0.1:6443)`. */
  readonly description: string;
  /** Reads everything that has a part in network policy, once. */
  load(options: ReadOptions, signal?: AbortSignal): Promise<Loaded>;
}

interface OpenOptions extends ClusterOptions {
  readonly namespace?: string;
  /** Standard input has manifests (`--with -`). */
  readonly isStdinTaken: boolean;
  /** false: ask nothing, say nothing (completion). */
  readonly isTerminal?: boolean;
}

/** Reads the kubeconfig; connects to nothing yet. @throws CliError */
export async function openCluster(options: OpenOptions, io: Io): Promise<Cluster> {
  const connection = await connect(options, io);
  const silence = requestTimeout(options.requestTimeout);
  const limits = silence === undefined ? {} : { silence };
  return {
    namespace: connection.namespace,
    description: connection.description,
    load: (read, signal) =>
      inWords(connection, () =>
        loadAll(connection, { read, ...limits, ...(signal === undefined ? {} : { signal }) }, io),
      ),
  };
}

async function connect(options: OpenOptions, io: Io): Promise<Connection> {
  const { kubeconfigConnection, KubeconfigError } = await import("../kube/kubeconfig.ts");
  try {
    return await kubeconfigConnection({ ...options, env: io.env });
  } catch (error) {
    if (!(error instanceof KubeconfigError)) throw error;
    if (!error.isAbsent) throw new CliError(error.message, error.hint);
    if (!options.context && !options.kubeconfig && (io.env["KUBERNETES_SERVICE_HOST"] ?? "") !== "")
      return (await import("../kube/in-cluster.ts")).inClusterConnection({ environment: io.env });
    throw new CliError(`no manifests given (-f FILE|DIR|-) and no cluster to read: ${error.message}`, error.hint);
  }
}

/** kubectl's durations. @returns ms; undefined: the default */
function requestTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? [];
  if (number === undefined) throw new CliError(`invalid --request-timeout "${text}": it must be like 1s, 2m or 3h`);
  const ms = Number(number) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1000);
  return ms === 0 ? 2 ** 31 - 1 : ms;
}

/** Errors of the connection and of the API server, as the user's. */
async function inWords<T>({ description }: Connection, work: () => Promise<T>): Promise<T> {
  const { ApiError, NetworkError } = await import("../kube/errors.ts");
  const { KubeconfigError } = await import("../kube/kubeconfig.ts");
  try {
    return await work();
  } catch (error) {
    if (error instanceof KubeconfigError) throw new CliError(`${description}: ${error.message}`, error.hint);
    if (error instanceof ApiError)
      throw new CliError(
        `${description}: ${error.message}`,
        error.status === 401
          ? "Log in again: the token or certificate has expired, or is another cluster's."
          : undefined,
      );
    if (error instanceof NetworkError)
      throw new CliError(
        error.message,
        "Is that the right cluster? kubectl config current-context; kubectl cluster-info",
      );
    throw error;
  }
}

interface Reading {
  readonly read: ReadOptions;
  /** ms */
  readonly silence?: number;
  readonly signal?: AbortSignal;
}

async function loadAll(connection: Connection, reading: Reading, io: Io): Promise<Loaded> {
  const { read } = reading;
  const { openClient } = await import("../kube/client.ts");
  const { loadStored } = await import("../manifests/index.ts");
  // An exec plugin may ask someone to log in, which no connection should wait for.
  await connection.tls();
  await connection.headers();
  const progress = new Progress(connection.description, io);
  const client = openClient(connection);
  try {
    const [first, ...others] = listedKinds.map((kind) => () => listOne(client, kind, reading, progress));
    // Credentials are settled by one request: the API server ends the connections of those that it does not accept.
    const answers = [await first!(), ...(await Promise.all(others.map((list) => list())))];
    progress.end();
    const refused = answers.filter((answer) => "refusal" in answer);
    if (refused.length > 0) refuse(connection, refused, read, io);
    return loadStored(
      answers.flatMap((answer) => ("objects" in answer ? answer.objects : [])),
      read,
    );
  } finally {
    progress.end();
    client.close();
  }
}

type Answer = { readonly objects: readonly Decoded[] } | Refusal;

interface Refusal {
  readonly kind: ListedKind;
  /** In the API server's words. */
  readonly refusal: string;
}

async function listOne(
  client: Client,
  kind: ListedKind,
  { read, ...limits }: Reading,
  progress: Progress,
): Promise<Answer> {
  const { listObjects } = await import("../kube/list.ts");
  const { ApiError } = await import("../kube/errors.ts");
  const { readStored } = await import("../manifests/index.ts");
  const { apiVersion, resource, labelSelector } = kind;
  const path = `/${apiVersion === "v1" ? "api" : "apis"}/${apiVersion}/${resource}`;
  try {
    const objects = await listObjects(client, path, (object) => readStored(object, kind, read), {
      onProgress: (count) => progress.tell(resource, count),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...limits,
    });
    return { objects: objects ?? [] };
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return { kind, refusal: error.message };
    throw error;
  }
}

/** @throws CliError unless an answer from less is good enough */
function refuse({ description }: Connection, refused: readonly Refusal[], read: ReadOptions, io: Io): void {
  const resources = refused.map(({ kind }) => kind.resource).join(", ");
  if (read.allowPartial !== true) throw new CliError(forbiddenMessage(description, refused));
  writeLines(io, `warning: you may not list ${resources}: the answer is given without them`);
}

/** How far the lists are, on a terminal, when they take long; ms. */
const patience = 500;

class Progress {
  readonly #what: string;
  readonly #io: Io;
  readonly #startedAt = performance.now();
  readonly #counts = new Map<string, number>();
  #isShown = false;

  constructor(what: string, io: Io) {
    this.#what = what;
    this.#io = io;
  }

  tell(resource: string, count: number): void {
    this.#counts.set(resource, count);
    if (!this.#io.stderr.isTTY || performance.now() - this.#startedAt < patience) return;
    const total = this.#counts.values().reduce((sum, n) => sum + n, 0);
    const line = `reading ${this.#what}: ${total.toLocaleString("en")} objects`;
    this.#io.stderr.write(`\r${line.slice(0, (this.#io.stderr.columns ?? 80) - 1)}\u001b[K`);
    this.#isShown = true;
  }

  end(): void {
    if (this.#isShown) this.#io.stderr.write("\r\u001b[K");
    this.#isShown = false;
  }
}
