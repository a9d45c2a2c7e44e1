/** One object for equal contents: pods of one workload share labels, ports and names of nodes. */

/**
 * Remembers what was used lately, at most twice `capacity`; what has not been asked for since is forgotten, so that a
 * pool that lives for months does not grow. Equal contents can then be two objects: sharing saves memory, nothing else.
 */
export class Pool<T> {
  readonly #capacity: number;
  #recent = new Map<string, T>();
  #older = new Map<string, T>();

  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  get(key: string, value: T): T {
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
