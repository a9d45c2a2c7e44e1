/** Counts users of something, and remembers what came and went since the last `settle`. */
export class Uses<T, K = string> {
  readonly #live = new Map<K, { value: T; users: number }>();
  readonly #came = new Set<K>();
  readonly #gone = new Map<K, T>();

  get came(): ReadonlySet<K> {
    return this.#came;
  }

  get gone(): ReadonlyMap<K, T> {
    return this.#gone;
  }

  get changed(): boolean {
    return this.#came.size + this.#gone.size > 0;
  }

  get(key: K): T | undefined {
    return this.#live.get(key)?.value;
  }

  /** One more user; the newest value stays. */
  add(key: K, value: T): void {
    const entry = this.#live.get(key);
    if (entry !== undefined) {
      entry.users++;
      entry.value = value;
      return;
    }
    this.#live.set(key, { value, users: 1 });
    if (!this.#gone.delete(key)) this.#came.add(key);
  }

  release(key: K): void {
    const entry = this.#live.get(key);
    if (entry === undefined || --entry.users > 0) return;
    this.#live.delete(key);
    if (!this.#came.delete(key)) this.#gone.set(key, entry.value);
  }

  settle(): void {
    this.#came.clear();
    this.#gone.clear();
  }
}
