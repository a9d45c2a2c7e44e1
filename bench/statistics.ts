/** Middle and spread of samples. Medians: on a shared machine a few samples are always far too long. */
import type { Figure } from "./results.ts";

const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** @param q 0 to 1; between two samples the values are interpolated */
export function quantile(values: readonly number[], q: number): number {
  const sorted = ascending(values);
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low]! + (at - low) * (sorted[Math.ceil(at)]! - sorted[low]!);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Median absolute deviation from the median. */
export function medianDeviation(values: readonly number[]): number {
  const middle = median(values);
  return median(values.map((value) => Math.abs(value - middle)));
}

/**
 * A confidence interval of at least 95 % for the median, by the binomial distribution of how many samples lie below it: no
 * shape is assumed. With fewer than six samples there is none, and it is their whole range.
 */
export function medianInterval(values: readonly number[]): readonly [low: number, high: number] {
  const sorted = ascending(values);
  const n = sorted.length;
  let outside = 0;
  let probability = 2 ** -n;
  let skipped = 0;
  while (skipped < n) {
    outside += 2 * probability;
    if (outside > 0.05) break;
    probability *= (n - skipped) / (skipped + 1);
    skipped++;
  }
  const first = Math.max(0, skipped - 1);
  return [sorted[first]!, sorted[n - 1 - first]!];
}

/** The number that a figure stands for. */
export function figureValue({ statistic, better, samples }: Figure): number {
  if (statistic === "median") return median(samples);
  const share = { best: 0, p95: 0.95, p99: 0.99, worst: 1 }[statistic];
  return quantile(samples, better === "less" ? share : 1 - share);
}

/** null: it has no target. */
export function isMet(figure: Figure): boolean | null {
  const { target } = figure;
  if (target === undefined) return null;
  const value = figureValue(figure);
  return "atMost" in target ? value <= target.atMost : value >= target.atLeast;
}
