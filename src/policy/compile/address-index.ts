/** Who has which address; several can report the same one. */
import { type Address, type AddressSet, type Family, families } from "../../net/address.ts";
import type { Range } from "../../net/interval.ts";

/** Of most addresses there is one owner: a set of it would take most of the room. */
type Owners<T> = T | Set<T>;

/** The low bits of an address; a number where it is one exactly, as a bigint takes more room. */
type Low = number | bigint;

/** Low bits that tell the addresses of one block apart: a block is about what one node's pods get. */
const lowBits: Readonly<Record<Family, bigint>> = { IPv4: 8n, IPv6: 64n };

const lowOf = (family: Family, value: bigint): Low => {
  const low = BigInt.asUintN(Number(lowBits[family]), value);
  return low <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(low) : low;
};

/** Addresses `start..end` that some have owners of. */
export interface AddressBlock<T> {
  readonly family: Family;
  readonly start: bigint;
  readonly end: bigint;
  /** Counted from `start`. */
  readonly owners: Iterable<readonly [offset: number | bigint, owners: Iterable<T>]>;
}

/** Addresses to owners, both by address and by range. */
export class AddressIndex<T extends string | { readonly [key: string]: unknown }> {
  /** By the high bits, then by the low bits. */
  readonly #blocks: Readonly<Record<Family, Map<bigint, Map<Low, Owners<T>>>>> = { IPv4: new Map(), IPv6: new Map() };

  add({ family, value }: Address, owner: T): void {
    const blocks = this.#blocks[family];
    const high = value >> lowBits[family];
    let block = blocks.get(high);
    if (block === undefined) {
      block = new Map();
      blocks.set(high, block);
    }
    const low = lowOf(family, value);
    const owners = block.get(low);
    if (owners === undefined) block.set(low, owner);
    else if (owners instanceof Set) owners.add(owner);
    else if (owners !== owner) block.set(low, new Set([owners, owner]));
  }

  remove({ family, value }: Address, owner: T): void {
    const high = value >> lowBits[family];
    const block = this.#blocks[family].get(high);
    const low = lowOf(family, value);
    const owners = block?.get(low);
    if (block === undefined || owners === undefined) return;
    if (owners instanceof Set) {
      if (!owners.delete(owner) || owners.size > 0) return;
    } else if (owners !== owner) return;
    block.delete(low);
    if (block.size === 0) this.#blocks[family].delete(high);
  }

  at({ family, value }: Address): Iterable<T> {
    return all(this.#blocks[family].get(value >> lowBits[family])?.get(lowOf(family, value)));
  }

  /** All addresses that have owners. */
  *blocks(): Generator<AddressBlock<T>> {
    for (const family of families)
      for (const [high, block] of this.#blocks[family])
        yield { family, ...blockRange(family, high), owners: each(block) };
  }

  /** Owners of the addresses in a set. */
  *within(set: AddressSet): Generator<T> {
    for (const family of families) {
      const ranges = set.byFamily[family];
      if (ranges.length === 0) continue;
      for (const [high, block] of this.#blocks[family]) {
        const { start, end } = blockRange(family, high);
        for (const range of overlapping(ranges, start, end)) yield* inRange(block, start, end, range);
      }
    }
  }
}

function blockRange(family: Family, high: bigint): Range<bigint> {
  const start = high << lowBits[family];
  return { start, end: start + (1n << lowBits[family]) - 1n };
}

function* each<T extends string | object>(block: ReadonlyMap<Low, Owners<T>>): Generator<[Low, Iterable<T>]> {
  for (const [low, owners] of block) yield [low, all(owners)];
}

const all = <T extends string | object>(owners: Owners<T> | undefined): Iterable<T> =>
  owners === undefined ? [] : owners instanceof Set ? owners : [owners as T];

function* inRange<T extends string | object>(
  block: ReadonlyMap<Low, Owners<T>>,
  start: bigint,
  end: bigint,
  range: Range<bigint>,
): Generator<T> {
  const isWhole = range.start <= start && end <= range.end;
  const from = range.start - start;
  const to = range.end - start;
  for (const [low, owners] of block) if (isWhole || (low >= from && low <= to)) yield* all(owners);
}

/** Those of some ascending, disjoint ranges that have addresses of `start..end`. */
function* overlapping(ranges: readonly Range<bigint>[], start: bigint, end: bigint): Generator<Range<bigint>> {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle]!.end < start) low = middle + 1;
    else high = middle;
  }
  for (let i = low; i < ranges.length && ranges[i]!.start <= end; i++) yield ranges[i]!;
}
