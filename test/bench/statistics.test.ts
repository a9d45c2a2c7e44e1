import { expect, test } from "vitest";
import type { Figure } from "../../bench/results.ts";
import { figureValue, isMet, median, medianDeviation, medianInterval, quantile } from "../../bench/statistics.ts";

test("quantiles interpolate", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([1, 2, 3, 10])).toBe(2.5);
  expect(quantile([1, 2, 3, 4, 5], 0.25)).toBe(2);
  expect(quantile([7], 0.99)).toBe(7);
  expect(medianDeviation([1, 1, 2, 2, 4, 6, 9])).toBe(1);
});

// Tables of the sign test: of 10 samples the 2nd and 9th, of 20 the 6th and 15th.
test.each([
  [5, 1, 5],
  [6, 1, 6],
  [10, 2, 9],
  [20, 6, 15],
])("the interval of %i samples", (n, low, high) => {
  expect(medianInterval(Array.from({ length: n }, (_, i) => i + 1))).toEqual([low, high]);
});

test("targets hold the value of the statistic", () => {
  const figure: Figure = { id: "x", what: "x", unit: "ms", better: "less", statistic: "best", samples: [9, 3, 5] };
  expect(figureValue(figure)).toBe(3);
  expect(figureValue({ ...figure, better: "more" })).toBe(9);
  expect(isMet(figure)).toBeNull();
  expect(isMet({ ...figure, target: { atMost: 3 } })).toBe(true);
  expect(isMet({ ...figure, target: { atLeast: 4 } })).toBe(false);
});
