/** The address space split into pieces whose addresses are in the same address groups. */
import { type Address, AddressSet, type Family, families } from "../../net/address.ts";
import { bigintSteps, minus, type Range, type Ranges } from "../../net/interval.ts";
import { compareText } from "./order.ts";
import type { AddressGroup } from "./plan.ts";

/** Addresses that are in exactly these groups. */
export interface AddressPiece {
  /** Ascending ids. One array for each content, in this split and in those made from it. */
  readonly groups: readonly number[];
  readonly set: AddressSet;
}

/** What a pod without an address could get: what covers all of it, and what covers some of it only. */
export interface UnknownAddress {
  /** Ascending ids. */
  readonly covered: readonly number[];
  /** By key: ids tell in which order policies came. */
  readonly dependent: readonly AddressGroup[];
}

/**
 * Consecutive stretches of one family's address space, each of addresses in the same groups: where each starts,
 * ascending from 0, and its groups. INVARIANT: neighbours have different groups, equal contents are one array.
 */
interface Stretches {
  readonly starts: readonly bigint[];
  readonly groups: readonly (readonly number[])[];
}

type ByFamily<T> = Readonly<Record<Family, T>>;

const lastAddress: ByFamily<bigint> = { IPv4: 2n ** 32n - 1n, IPv6: 2n ** 128n - 1n };

/** Immutable: a change of the groups makes a new one, from the old one where the change is small. */
export class AddressSplit {
  readonly #groups: ReadonlyMap<number, AddressGroup>;
  readonly #stretches: ByFamily<Stretches>;
  #pieces: readonly AddressPiece[] | undefined;

  private constructor(groups: ReadonlyMap<number, AddressGroup>, stretches: ByFamily<Stretches>) {
    this.#groups = groups;
    this.#stretches = stretches;
  }

  static of(groups: Iterable<AddressGroup>): AddressSplit {
    const byId = new Map(Array.from(groups, (group) => [group.id, group]));
    const interned = new Map<string, readonly number[]>();
    return new AddressSplit(byId, { IPv4: sweep("IPv4", byId, interned), IPv6: sweep("IPv6", byId, interned) });
  }

  has({ id }: AddressGroup): boolean {
    return this.#groups.has(id);
  }

  /** The split with one more group. Takes time in the number of stretches, as `without` does. */
  with(group: AddressGroup): AddressSplit {
    const widened = new Map<readonly number[], readonly number[]>(); // different before, different after
    const add = (before: readonly number[]): readonly number[] => {
      let after = widened.get(before);
      if (after === undefined) {
        after = [...before, group.id].sort((a, b) => a - b);
        widened.set(before, after);
      }
      return after;
    };
    return this.#rewritten(new Map([...this.#groups, [group.id, group]]), group.set, add);
  }

  without(group: AddressGroup): AddressSplit {
    const rest = new Map(this.#groups);
    rest.delete(group.id);
    const interned = new Map<string, readonly number[]>();
    for (const family of families)
      for (const groups of this.#stretches[family].groups) interned.set(groups.join(), groups);
    const narrowed = new Map<readonly number[], readonly number[]>();
    const remove = (before: readonly number[]): readonly number[] => {
      let after = narrowed.get(before);
      if (after === undefined) {
        after = before.filter((id) => id !== group.id);
        after = intern(interned, after);
        narrowed.set(before, after);
      }
      return after;
    };
    return this.#rewritten(rest, group.set, remove);
  }

  /** Disjoint, together every address. */
  get pieces(): readonly AddressPiece[] {
    this.#pieces ??= this.#collect();
    return this.#pieces;
  }

  /** The groups that an address is in: the array of its piece. */
  find({ family, value }: Address): readonly number[] {
    const { starts, groups } = this.#stretches[family];
    return groups[stretchOf(starts, value)]!;
  }

  /** The same for all addresses `start..end`; null where they differ. */
  findAll(family: Family, { start, end }: Range<bigint>): readonly number[] | null {
    const { starts, groups } = this.#stretches[family];
    const first = stretchOf(starts, start);
    return end <= endOfStretch(family, starts, first) ? groups[first]! : null;
  }

  /** Groups over an address of `family` of which only this is known: it is in `possible`, or anywhere if that is empty. */
  unknown(family: Family, possible: AddressSet): UnknownAddress {
    const own = possible.byFamily[family];
    const space = own.length > 0 ? own : AddressSet.all.byFamily[family];
    const within = AddressSet.ofRanges(family, space);
    const covered: number[] = [];
    const dependent: AddressGroup[] = [];
    for (const group of this.#groups.values()) {
      if (minus(space, group.set.byFamily[family], bigintSteps).length === 0) covered.push(group.id);
      else if (!group.set.intersect(within).isEmpty) dependent.push(group);
    }
    return {
      covered: covered.sort((a, b) => a - b),
      dependent: dependent.sort((a, b) => compareText(a.key, b.key)),
    };
  }

  #rewritten(
    groups: ReadonlyMap<number, AddressGroup>,
    where: AddressSet,
    change: (groups: readonly number[]) => readonly number[],
  ): AddressSplit {
    const of = (family: Family) => rewrite(family, this.#stretches[family], where.byFamily[family], change);
    return new AddressSplit(groups, { IPv4: of("IPv4"), IPv6: of("IPv6") });
  }

  #collect(): AddressPiece[] {
    const ranges = new Map<readonly number[], Record<Family, Range<bigint>[]>>();
    for (const family of families) {
      const { starts, groups } = this.#stretches[family];
      for (const [i, start] of starts.entries()) {
        const own = ranges.get(groups[i]!) ?? { IPv4: [], IPv6: [] };
        ranges.set(groups[i]!, own);
        own[family].push({ start, end: endOfStretch(family, starts, i) });
      }
    }
    return Array.from(ranges, ([groups, own]): AddressPiece => {
      let set: AddressSet | undefined;
      return {
        groups,
        get set() {
          set ??= AddressSet.ofRanges("IPv4", own.IPv4).union(AddressSet.ofRanges("IPv6", own.IPv6));
          return set;
        },
      };
    });
  }
}

/** The stretch that an address is in. */
function stretchOf(starts: readonly bigint[], value: bigint): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

const endOfStretch = (family: Family, starts: readonly bigint[], i: number): bigint => {
  const next = starts[i + 1];
  return next === undefined ? lastAddress[family] : next - 1n;
};

function intern(interned: Map<string, readonly number[]>, groups: readonly number[]): readonly number[] {
  const key = groups.join();
  const held = interned.get(key);
  if (held !== undefined) return held;
  interned.set(key, groups);
  return groups;
}

/** From nothing: walks over all places where some group begins or ends. */
function sweep(
  family: Family,
  groups: ReadonlyMap<number, AddressGroup>,
  interned: Map<string, readonly number[]>,
): Stretches {
  const enter = new Map<bigint, number[]>();
  const leave = new Map<bigint, number[]>();
  const note = (map: Map<bigint, number[]>, at: bigint, id: number): void => {
    const list = map.get(at);
    if (list === undefined) map.set(at, [id]);
    else list.push(id);
  };
  for (const { id, set } of groups.values()) {
    for (const { start, end } of set.byFamily[family]) {
      note(enter, start, id);
      if (end < lastAddress[family]) note(leave, end + 1n, id);
    }
  }
  const starts = [...new Set([0n, ...enter.keys(), ...leave.keys()])].sort((a, b) => (a < b ? -1 : 1));
  const inside = new Set<number>();
  return {
    starts,
    groups: starts.map((start) => {
      for (const id of leave.get(start) ?? []) inside.delete(id);
      for (const id of enter.get(start) ?? []) inside.add(id);
      return intern(
        interned,
        [...inside].sort((a, b) => a - b),
      );
    }),
  };
}

/** Changes the groups of the addresses in some ranges; cuts stretches where these begin and end, joins equal neighbours. */
function rewrite(
  family: Family,
  { starts, groups }: Stretches,
  where: Ranges<bigint>,
  change: (groups: readonly number[]) => readonly number[],
): Stretches {
  if (where.length === 0) return { starts, groups };
  const newStarts: bigint[] = [];
  const newGroups: (readonly number[])[] = [];
  const push = (start: bigint, own: readonly number[]): void => {
    if (newGroups.at(-1) === own) return;
    newStarts.push(start);
    newGroups.push(own);
  };
  let next = 0; // the first range that does not end before the stretch
  for (const [i, own] of groups.entries()) {
    let start = starts[i]!;
    const end = endOfStretch(family, starts, i);
    for (let range = where[next]; range !== undefined && range.start <= end; range = where[next]) {
      if (range.start > start) push(start, own);
      push(range.start > start ? range.start : start, change(own));
      start = range.end + 1n;
      if (range.end > end) break;
      next++;
    }
    if (start <= end) push(start, own);
  }
  return { starts: newStarts, groups: newGroups };
}
