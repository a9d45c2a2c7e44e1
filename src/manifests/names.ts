/** Hands out names so that none is there twice. */
export class UniqueNames {
  readonly #taken = new Set<string>();
  /** The number to try next for a name that is taken: each name is counted up once, however often it is asked for. */
  readonly #next = new Map<string, number>();

  /** @param scope names in different scopes have nothing to do with each other */
  take(scope: string, name: string, separator = ""): string {
    const key = `${scope}/${name}`;
    let free = name;
    let n = this.#next.get(key) ?? 2;
    while (this.#taken.has(`${scope}/${free}`)) free = `${name}${separator}${n++}`;
    this.#next.set(key, n);
    this.#taken.add(`${scope}/${free}`);
    return free;
  }
}
