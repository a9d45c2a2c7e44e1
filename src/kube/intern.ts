/** One object for equal contents: pods of one workload share labels, ports and names of nodes. */

/**
 * Remembers what was used lately, at most twice `capacity`; what has not been asked for since is forgotten, so that a
 * pool that lives for months does not grow. Equal contents can then be two objects: sharing saves memory, nothing else.
 */
export class Pool<T> {
  readonly #capacity: number;
  #recent = new Map<string, T>();
  #older = new Map<string, T>();
  /** What was asked for last: in a list the replicas of a workload come one after another. */
  #last: { readonly key: string; readonly value: T } | null = null;

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  get(key: string, value: T): T {
    if (this.#last?.key !== key) this.#last = { key, value: this.#find(key, value) };
    return this.#last.value;
  }

  #find(key: string, value: T): T {
    const found = this.#recent.get(key);
    if (found !== undefined) return found;
    const kept = this.#older.get(key) ?? value;
    if (this.#recent.size >= this.#capacity) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, kept);
    return kept;
  }
}

/** Longer texts are of things that few have in common. */
const longestShared = 256;

/**
 * Shares the parts of JSON values: selectors, ports and peers that many policies have are in memory once. The values that
 * come out are equal to those that went in, and must not be changed.
 */
export class Parts {
  readonly #parts: Pool<object>;

  constructor(capacity?: number) {
    this.#parts = new Pool(capacity);
  }

  /** Nothing in it may be undefined. */
  share<T>(value: T): T {
    if (typeof value !== "object" || value === null) return value;
    const shared = Array.isArray(value)
      ? value.map((item) => this.share<unknown>(item))
      : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.share<unknown>(item)]));
    const text = JSON.stringify(shared);
    return (text.length > longestShared ? shared : this.#parts.get(text, shared)) as T;
  }
}
