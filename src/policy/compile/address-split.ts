/** The address space split into pieces whose addresses are in the same address groups. */
import { type Address, AddressSet, type Family, families } from "../../net/address.ts";
import { bigintSteps, minus, type Range } from "../../net/interval.ts";
import { compareText } from "./order.ts";
import type { AddressGroup } from "./plan.ts";

/** Addresses that are in exactly these groups. */
export interface AddressPiece {
  /** Ascending ids. */
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

interface Piece extends AddressPiece {
  readonly ranges: Readonly<Record<Family, Range<bigint>[]>>;
}

/** Starts of consecutive stretches of one family's address space, ascending from 0, and the piece of each. */
interface Stretches {
  readonly starts: bigint[];
  readonly pieces: Piece[];
}

const lastAddress: Readonly<Record<Family, bigint>> = { IPv4: 2n ** 32n - 1n, IPv6: 2n ** 128n - 1n };

/** Immutable: a change of the groups makes a new one. */
export class AddressSplit {
  readonly #groups: readonly AddressGroup[];
  readonly #stretches: Readonly<Record<Family, Stretches>>;
  readonly #pieces = new Map<string, Piece>();

  constructor(groups: Iterable<AddressGroup>) {
    this.#groups = [...groups].sort((a, b) => a.id - b.id);
    this.#stretches = { IPv4: this.#sweep("IPv4"), IPv6: this.#sweep("IPv6") };
  }

  /** Disjoint, together every address. */
  get pieces(): readonly AddressPiece[] {
    return [...this.#pieces.values()];
  }

  find({ family, value }: Address): AddressPiece {
    const { starts, pieces } = this.#stretches[family];
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= value) low = middle;
      else high = middle - 1;
    }
    return pieces[low]!;
  }

  /** Groups over an address of `family` of which only this is known: it is in `possible`, or anywhere if that is empty. */
  unknown(family: Family, possible: AddressSet): UnknownAddress {
    const own = possible.byFamily[family];
    const space = own.length > 0 ? own : AddressSet.all.byFamily[family];
    const within = AddressSet.ofRanges(family, space);
    const covered: number[] = [];
    const dependent: AddressGroup[] = [];
    for (const group of this.#groups) {
      if (minus(space, group.set.byFamily[family], bigintSteps).length === 0) covered.push(group.id);
      else if (!group.set.intersect(within).isEmpty) dependent.push(group);
    }
    return { covered, dependent: dependent.sort((a, b) => compareText(a.key, b.key)) };
  }

  #sweep(family: Family): Stretches {
    const enter = new Map<bigint, number[]>();
    const leave = new Map<bigint, number[]>();
    const note = (map: Map<bigint, number[]>, at: bigint, id: number): void => {
      const list = map.get(at);
      if (list === undefined) map.set(at, [id]);
      else list.push(id);
    };
    for (const { id, set } of this.#groups) {
      for (const { start, end } of set.byFamily[family]) {
        note(enter, start, id);
        if (end < lastAddress[family]) note(leave, end + 1n, id);
      }
    }
    const starts = [...new Set([0n, ...enter.keys(), ...leave.keys()])].sort((a, b) => (a < b ? -1 : 1));
    const inside = new Set<number>();
    const pieces = starts.map((start, i) => {
      for (const id of leave.get(start) ?? []) inside.delete(id);
      for (const id of enter.get(start) ?? []) inside.add(id);
      const piece = this.#piece([...inside].sort((a, b) => a - b));
      const next = starts[i + 1];
      piece.ranges[family].push({ start, end: next === undefined ? lastAddress[family] : next - 1n });
      return piece;
    });
    return { starts, pieces };
  }

  #piece(groups: readonly number[]): Piece {
    const key = groups.join();
    let piece = this.#pieces.get(key);
    if (piece === undefined) {
      const ranges: Record<Family, Range<bigint>[]> = { IPv4: [], IPv6: [] };
      let set: AddressSet | undefined;
      piece = {
        groups,
        ranges,
        get set() {
          set ??= families
            .map((family) => AddressSet.ofRanges(family, ranges[family]))
            .reduce((all, one) => all.union(one), AddressSet.empty);
          return set;
        },
      };
      this.#pieces.set(key, piece);
    }
    return piece;
  }
}
