import { expect, test } from "vitest";
import { compare } from "../../bench/compare.ts";
import type { Figure } from "../../bench/results.ts";

const figure = (samples: readonly number[], better: Figure["better"] = "less"): Figure => ({
  id: "x",
  what: "x",
  unit: "ms",
  better,
  statistic: "median",
  samples,
});
const around = (middle: number): number[] => Array.from({ length: 10 }, (_, i) => middle + i - 5);

test.each([
  ["far apart", around(100), around(50), "better"],
  ["far apart, the other way", around(50), around(100), "worse"],
  ["overlapping", around(100), around(103), null],
  ["few samples, ranges apart", [10, 11], [20, 21], "worse"],
  ["few samples, hardly apart", [10, 10.1], [10.2, 10.3], null],
] as const)("%s", (_, before, after, change) => {
  expect(compare(figure(before), figure(after)).change).toBe(change);
});

test("more can be better", () => {
  const { change, ratio } = compare(figure(around(100), "more"), figure(around(200), "more"));
  expect(change).toBe("better");
  expect(ratio).toBeCloseTo(2, 1);
});
