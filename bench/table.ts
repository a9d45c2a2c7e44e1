/** Figures as text. */
import type { ConnectivityClasses } from "../src/policy/analyze/connectivity-classes.ts";
import type { Figure, Suite } from "./results.ts";
import { figureValue, isMet, median, medianDeviation, medianInterval } from "./statistics.ts";

/** Three significant digits, no exponent. */
function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return size >= 100
    ? value.toFixed(0)
    : size >= 10
      ? value.toFixed(1)
      : size >= 1
        ? value.toFixed(2)
        : value.toFixed(3);
}

const withUnit = (value: number, unit: string): string =>
  unit === "ms" && Math.abs(value) >= 1000
    ? `${formatNumber(value / 1000)} s`
    : `${formatNumber(value)}${unit === "" ? "" : ` ${unit}`}`;

export const formatValue = (figure: Figure): string => withUnit(figureValue(figure), figure.unit);

/** `median 12.1, ± 0.3 (MAD), 95 % 11.8 to 12.9, 20 samples`. */
export function formatNoise({ samples, statistic, unit, better }: Figure): string {
  const n = `${samples.length} sample${samples.length === 1 ? "" : "s"}`;
  if (samples.length === 1) return n;
  const worst = better === "less" ? Math.max(...samples) : Math.min(...samples);
  if (statistic === "best") return `best of ${samples.length}, worst ${withUnit(worst, unit)}`;
  if (statistic !== "median")
    return `${statistic} of ${samples.length}, median ${withUnit(median(samples), unit)}, worst ${withUnit(worst, unit)}`;
  const [low, high] = medianInterval(samples);
  const range = samples.length < 6 ? "all" : "95 %";
  return `median of ${samples.length}, MAD ${withUnit(medianDeviation(samples), unit)}, ${range} in ${formatNumber(low)} to ${formatNumber(high)}`;
}

export function formatTarget(figure: Figure): string {
  const { target, unit } = figure;
  if (target === undefined) return "";
  const goal = "atMost" in target ? `≤ ${withUnit(target.atMost, unit)}` : `≥ ${withUnit(target.atLeast, unit)}`;
  return `${goal}: ${isMet(figure) ? "met" : "NOT met"}`;
}

/** Groups in the order in which they come; "" for figures without one. */
export const byGroup = (figures: readonly Figure[]): ReadonlyMap<string, readonly Figure[]> =>
  Map.groupBy(figures, ({ group }) => group ?? "");

export function suiteLines({ name, seconds, figures }: Suite): string[] {
  const width = Math.max(...figures.map(({ what }) => what.length));
  const line = (figure: Figure): string =>
    [
      `  ${figure.what.padEnd(width)}`,
      formatValue(figure).padStart(10),
      formatTarget(figure).padEnd(20),
      [formatNoise(figure), figure.detail].filter((part) => part !== undefined).join("; "),
    ].join("  ");
  return [
    `${name}, ${seconds.toFixed(0)} s`,
    ...Array.from(byGroup(figures), ([group, members]) => [group, ...members.map(line)].filter((text) => text !== "")),
  ].flat();
}

/** A map that is not printed. */
export const describeSum = ({ endpoints, classes, connections, checksum }: ConnectivityClasses): string =>
  `${endpoints} × ${endpoints} pairs in ${classes} classes, ${connections} connected, checksum ${checksum}`;
