/** One complete list of one kind, page by page; only what `decode` gives is kept. */
import { type Client, withoutSilence } from "./client.ts";
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

const pageSize = 500;

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
  let rest = "";
  do {
    const query = {
      ...(limit === 0 ? {} : { limit }),
      ...(labelSelector === "" ? {} : { labelSelector }),
      ...(rest === "" ? {} : { continue: rest }),
    };
    const body = await client.stream(path, query, { timeout: silence, ...(signal === undefined ? {} : { signal }) });
    const answer = await readList(withoutSilence(body, silence), (text) => {
      found.push(decode(JSON.parse(text.toString())));
    });
    onProgress?.(found.length);
    const { metadata } = (answer ?? {}) as { readonly metadata?: { readonly continue?: unknown } };
    rest = typeof metadata?.continue === "string" ? metadata.continue : "";
  } while (rest !== "");
  return found;
}
