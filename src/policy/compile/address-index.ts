/** Who has which address; several can report the same one. */
import { type Address, type AddressSet, type Family, families } from "../../net/address.ts";

/** Addresses to owners, both by address and by range. Of most addresses there is one owner: a set of it would take most of the room. */
export class AddressIndex<T extends string | { readonly [key: string]: unknown }> {
  readonly #owners: Readonly<Record<Family, Map<bigint, T | Set<T>>>> = { IPv4: new Map(), IPv6: new Map() };
  /** The keys of `#owners`, ascending; made at the first question about a range, then kept. */
  readonly #ascending: Record<Family, bigint[] | null> = { IPv4: null, IPv6: null };

  add({ family, value }: Address, owner: T): void {
    const owners = this.#owners[family].get(value);
    if (owners !== undefined) {
      if (owners instanceof Set) owners.add(owner);
      else if (owners !== owner) this.#owners[family].set(value, new Set([owners, owner]));
      return;
    }
    this.#owners[family].set(value, owner);
    const list = this.#ascending[family];
    if (list !== null) list.splice(lowerBound(list, value), 0, value);
  }

  remove({ family, value }: Address, owner: T): void {
    const owners = this.#owners[family].get(value);
    if (owners === undefined) return;
    if (owners instanceof Set) {
      if (!owners.delete(owner) || owners.size > 0) return;
    } else if (owners !== owner) return;
    this.#owners[family].delete(value);
    const list = this.#ascending[family];
    if (list !== null) list.splice(lowerBound(list, value), 1);
  }

  at({ family, value }: Address): Iterable<T> {
    return all(this.#owners[family].get(value));
  }

  /** Owners of the addresses in a set. */
  *within(set: AddressSet): Generator<T> {
    for (const family of families) {
      for (const { start, end } of set.byFamily[family]) {
        const list = this.#sorted(family);
        for (let i = lowerBound(list, start); i < list.length && list[i]! <= end; i++) {
          yield* all(this.#owners[family].get(list[i]!));
        }
      }
    }
  }

  #sorted(family: Family): readonly bigint[] {
    this.#ascending[family] ??= [...this.#owners[family].keys()].sort((a, b) => (a < b ? -1 : 1));
    return this.#ascending[family];
  }
}

const all = <T extends string | object>(owners: T | ReadonlySet<T> | undefined): Iterable<T> =>
  owners === undefined ? [] : owners instanceof Set ? owners : [owners as T];

/** Index of the first element that is not below `value`. */
function lowerBound(list: readonly bigint[], value: bigint): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
