/** Who looks at what: finds the classes that share a group without going through all of them. */
import type { Hash } from "./names.ts";

interface Entry {
  readonly groups: Iterable<number>;
  readonly hasPorts: boolean;
}

export class GroupIndex {
  readonly #entries = new Map<Hash, Entry>();
  readonly #byGroup = new Map<number, Set<Hash>>();
  readonly #withPorts = new Set<Hash>();

  /** `hasPorts`: a subject that looks port names up, a peer that has some. */
  add(name: Hash, groups: Iterable<number>, hasPorts: boolean): void {
    this.#entries.set(name, { groups, hasPorts });
    for (const group of groups) {
      const own = this.#byGroup.get(group);
      if (own === undefined) this.#byGroup.set(group, new Set([name]));
      else own.add(name);
    }
    if (hasPorts) this.#withPorts.add(name);
  }

  remove(name: Hash): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#withPorts.delete(name);
    for (const group of entry.groups) {
      const own = this.#byGroup.get(group)!;
      own.delete(name);
      if (own.size === 0) this.#byGroup.delete(group);
    }
  }

  /** Those that share a group, and where `hasPorts` those that have ports as well. */
  meeting(groups: Iterable<number>, hasPorts: boolean): Set<Hash> {
    const found = new Set<Hash>(hasPorts ? this.#withPorts : []);
    for (const group of groups) for (const name of this.#byGroup.get(group) ?? []) found.add(name);
    return found;
  }
}
