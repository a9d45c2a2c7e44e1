/**
 * Sets of integers as sorted, disjoint, non-adjacent, inclusive ranges. One implementation serves ports (number)
 * and addresses (bigint): only order and "the next value" are needed.
 */

/** Inclusive range; `start <= end`. */
export interface Range<T> {
  readonly start: T;
  readonly end: T;
}

/** How to step through the integers of a type. */
export interface Steps<T> {
  readonly next: (value: T) => T;
  readonly previous: (value: T) => T;
}

export const numberSteps: Steps<number> = { next: (v) => v + 1, previous: (v) => v - 1 };
export const bigintSteps: Steps<bigint> = { next: (v) => v + 1n, previous: (v) => v - 1n };

/** INVARIANT of every value of this type: sorted by start, disjoint, and no two ranges touch. */
export type Ranges<T> = readonly Range<T>[];

/** Brings ranges in any order, overlapping or not, into the invariant form. */
export function normalize<T extends number | bigint>(ranges: readonly Range<T>[], steps: Steps<T>): Ranges<T> {
  const sorted = ranges
    .filter((r) => r.start <= r.end)
    .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const out: Range<T>[] = [];
  for (const range of sorted) {
    const last = out.at(-1);
    if (last !== undefined && range.start <= steps.next(last.end)) {
      if (range.end > last.end) out[out.length - 1] = { start: last.start, end: range.end };
    } else {
      out.push(range);
    }
  }
  return out;
}

export function union<T extends number | bigint>(a: Ranges<T>, b: Ranges<T>, steps: Steps<T>): Ranges<T> {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  return normalize([...a, ...b], steps);
}

export function intersect<T extends number | bigint>(a: Ranges<T>, b: Ranges<T>): Ranges<T> {
  if (a.length === 0) return a;
  if (b.length === 0) return b;
  const out: Range<T>[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const x = a[i]!;
    const y = b[j]!;
    const start = x.start > y.start ? x.start : y.start;
    const end = x.end < y.end ? x.end : y.end;
    if (start <= end) out.push({ start, end });
    if (x.end < y.end) i++;
    else j++;
  }
  return out;
}

/** What is in `a` and not in `b`. */
export function minus<T extends number | bigint>(a: Ranges<T>, b: Ranges<T>, steps: Steps<T>): Ranges<T> {
  if (a.length === 0 || b.length === 0) return a;
  const out: Range<T>[] = [];
  let j = 0;
  for (const range of a) {
    let start = range.start;
    while (j < b.length && b[j]!.end < start) j++;
    let k = j;
    while (k < b.length && b[k]!.start <= range.end) {
      const hole = b[k]!;
      if (hole.start > start) out.push({ start, end: steps.previous(hole.start) });
      start = steps.next(hole.end);
      k++;
    }
    if (start <= range.end) out.push({ start, end: range.end });
  }
  return out;
}

/** The one of sorted, disjoint ranges that holds a value. */
export function rangeAt<T extends number | bigint, R extends Range<T>>(ranges: readonly R[], value: T): R | undefined {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle]!;
    if (value < range.start) high = middle - 1;
    else if (value > range.end) low = middle + 1;
    else return range;
  }
  return undefined;
}

export const contains = <T extends number | bigint>(ranges: Ranges<T>, value: T): boolean =>
  rangeAt(ranges, value) !== undefined;
