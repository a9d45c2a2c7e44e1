import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bigintSteps,
  contains,
  intersect,
  minus,
  normalize,
  numberSteps,
  type Range,
  type Ranges,
  union,
} from "./interval.ts";

/** The naive model: a set of the integers 0 to 40. */
const top = 40;
const point = fc.nat({ max: top });
const ranges = fc.array(
  fc.tuple(point, point).map(([start, end]) => ({ start, end })), // inverted ones too: they are empty
  { maxLength: 8 },
);

const pointsOf = (list: readonly Range<number>[]): Set<number> =>
  new Set(list.flatMap(({ start, end }) => Array.from({ length: Math.max(0, end - start + 1) }, (_, i) => start + i)));

function expectSet(actual: Ranges<number>, expected: (value: number) => boolean): void {
  for (let value = 0; value <= top; value++) expect(contains(actual, value), `${value}`).toBe(expected(value));
  expect([...pointsOf(actual)].every((value) => value >= 0 && value <= top)).toBe(true);
  for (const [i, range] of actual.entries()) {
    expect(range.start).toBeLessThanOrEqual(range.end);
    const next = actual[i + 1];
    if (next !== undefined) expect(next.start).toBeGreaterThan(range.end + 1); // sorted, disjoint, not touching
  }
}

describe("against sets of points", () => {
  test("normalize", () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const points = pointsOf(list);
        expectSet(normalize(list, numberSteps), (value) => points.has(value));
      }),
    );
  });

  test("union, intersect, minus", () => {
    fc.assert(
      fc.property(ranges, ranges, (left, right) => {
        const [a, b] = [pointsOf(left), pointsOf(right)];
        const [x, y] = [normalize(left, numberSteps), normalize(right, numberSteps)];
        expectSet(union(x, y, numberSteps), (value) => a.has(value) || b.has(value));
        expectSet(intersect(x, y), (value) => a.has(value) && b.has(value));
        expectSet(minus(x, y, numberSteps), (value) => a.has(value) && !b.has(value));
      }),
    );
  });

  test("numbers and bigints agree", () => {
    const big = (list: readonly Range<number>[]) =>
      list.map(({ start, end }) => ({ start: BigInt(start), end: BigInt(end) }));
    fc.assert(
      fc.property(ranges, ranges, (left, right) => {
        const [x, y] = [normalize(left, numberSteps), normalize(right, numberSteps)];
        const [bigX, bigY] = [normalize(big(left), bigintSteps), normalize(big(right), bigintSteps)];
        expect(union(bigX, bigY, bigintSteps)).toEqual(big(union(x, y, numberSteps)));
        expect(intersect(bigX, bigY)).toEqual(big(intersect(x, y)));
        expect(minus(bigX, bigY, bigintSteps)).toEqual(big(minus(x, y, numberSteps)));
      }),
    );
  });
});

test("operations leave their arguments alone", () => {
  const list: readonly Range<number>[] = Object.freeze([
    Object.freeze({ start: 5, end: 9 }),
    Object.freeze({ start: 1, end: 4 }),
  ]);
  expect(normalize(list, numberSteps)).toEqual([{ start: 1, end: 9 }]);
  expect(list).toEqual([
    { start: 5, end: 9 },
    { start: 1, end: 4 },
  ]);
});
