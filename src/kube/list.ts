/** One complete list of one kind, page by page; only what `decode` gives is kept. */
import { type Client, type Query, type RequestOptions, withoutSilence } from "./client.ts";
import { ApiError } from "./errors.ts";
import { readList } from "./list-body.ts";

export interface ListOptions {
  readonly labelSelector?: string;
  /** Without a part of the answer, ms; default 60 s. */
  readonly silence?: number;
  readonly signal?: AbortSignal;
  /** Told after each page how many objects there are so far. */
  readonly onProgress?: (count: number) => void;
}

/** Objects of a page. */
export const pageSize = 500;

/**
 * @param path `/api/v1/pods`
 * @returns null when the server does not have the kind
 */
export async function listObjects<T>(
  client: Client,
  path: string,
  decode: (object: unknown) => T,
  options: ListOptions = {},
): Promise<T[] | null> {
  try {
    return await list(client, path, decode, options, pageSize);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 404) return null;
    // The version of the first page is compacted away before the last one is read: all of it in one answer, then.
    if (error.isExpired) return list(client, path, decode, options, 0);
    throw error;
  }
}

/** @param limit objects of a page; 0: all */
async function list<T>(
  client: Client,
  path: string,
  decode: (object: unknown) => T,
  { labelSelector = "", silence = 60_000, signal, onProgress }: ListOptions,
  limit: number,
): Promise<T[]> {
  const found: T[] = [];
  const query = { ...(limit === 0 ? {} : { limit }), ...(labelSelector === "" ? {} : { labelSelector }) };
  const onItem = (text: Buffer): void => void found.push(decode(JSON.parse(text.toString())));
  await readPages(client, path, query, onItem, {
    silence,
    ...(signal === undefined ? {} : { signal }),
    onPage: () => onProgress?.(found.length),
  });
  return found;
}

export interface PageOptions extends Pick<RequestOptions, "signal" | "accept"> {
  /** Without a part of the answer, ms. */
  readonly silence: number;
  /** Told when a page is complete. */
  readonly onPage: () => void;
}

/**
 * Reads a list of the newest state: no resourceVersion is named. For "0", any, a server that is behind would give what it has.
 * @param query with `limit` for pages
 * @param onItem gets the JSON text of each object, which is not kept
 * @returns the list's resourceVersion; "" where it has none
 */
export async function readPages(
  client: Client,
  path: string,
  query: Query,
  onItem: (text: Buffer) => void,
  { silence, onPage, ...options }: PageOptions,
): Promise<string> {
  let rest = "";
  for (;;) {
    const page = { ...query, ...(rest === "" ? {} : { continue: rest }) };
    const body = await client.stream(path, page, { ...options, timeout: silence });
    const { metadata } = ((await readList(withoutSilence(body, silence), onItem)) ?? {}) as {
      readonly metadata?: { readonly continue?: unknown; readonly resourceVersion?: unknown };
    };
    onPage();
    rest = typeof metadata?.continue === "string" ? metadata.continue : "";
    if (rest === "") return typeof metadata?.resourceVersion === "string" ? metadata.resourceVersion : "";
  }
}
