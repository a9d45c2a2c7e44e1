/**
 * One object for each content, for as long as anyone holds it. What nobody holds is forgotten, so that a plan that
 * follows a cluster for months does not grow.
 */
export class Interner<T extends WeakKey> {
  readonly #live = new Map<string, WeakRef<T>>();
  readonly #gone = new FinalizationRegistry<string>((key) => {
    if (this.#live.get(key)?.deref() === undefined) this.#live.delete(key);
  });

  get(key: string, make: () => T): T {
    const held = this.#live.get(key)?.deref();
    if (held !== undefined) return held;
    const made = make();
    this.#live.set(key, new WeakRef(made));
    this.#gone.register(made, key);
    return made;
  }
}
