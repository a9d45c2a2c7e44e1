/**
 * Two runs side by side: `npm run bench:compare -- A B`, each a file of results, or a commit whose bench/results/latest.json
 * is meant. A difference counts only where it is larger than the noise of both.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type Figure, latest, type Results, readResults } from "./results.ts";
import { figureValue, medianInterval } from "./statistics.ts";
import { formatValue } from "./table.ts";

export interface Comparison {
  readonly before: Figure;
  readonly after: Figure;
  /** after / before */
  readonly ratio: number;
  /** null: within the noise, or there are not enough samples to know. */
  readonly change: "better" | "worse" | null;
}

/** So few samples give no interval at 95 %. */
const enough = 6;

export function compare(before: Figure, after: Figure): Comparison {
  const ratio = figureValue(after) / figureValue(before);
  const [a, b] = [medianInterval(before.samples), medianInterval(after.samples)];
  const isApart = a[1] < b[0] || b[1] < a[0];
  const isKnown = before.samples.length >= enough && after.samples.length >= enough;
  // With fewer, the whole ranges must be apart, and by a tenth at least.
  const counts = isApart && (isKnown || Math.abs(ratio - 1) > 0.1);
  const isLess = ratio < 1;
  const change = counts ? (isLess === (after.better === "less") ? "better" : "worse") : null;
  return { before, after, ratio, change };
}

function compareAll(before: Results, after: Results): Comparison[] {
  const known = new Map(before.suites.flatMap(({ figures }) => figures).map((figure) => [figure.id, figure]));
  return after.suites
    .flatMap(({ figures }) => figures)
    .flatMap((figure) => {
      const other = known.get(figure.id);
      return other === undefined ? [] : [compare(other, figure)];
    });
}

/** @throws {Error} when there are no results */
function resultsOf(name: string): Results {
  if (existsSync(name)) return readResults(name);
  return JSON.parse(execFileSync("git", ["show", `${name}:${latest}`], { encoding: "utf8" })) as Results;
}

function lines(before: Results, after: Results): string[] {
  const all = compareAll(before, after);
  const width = Math.max(0, ...all.map(({ after: { id } }) => id.length));
  const about = ({ commit, date, machine, quick }: Results): string =>
    `${commit}, ${date}, load ${machine.load.map((load) => load.toFixed(1)).join(" → ")}${quick ? ", quick" : ""}`;
  return [
    `A  ${about(before)}`,
    `B  ${about(after)}`,
    `${"".padEnd(width)}  ${"A".padStart(10)}  ${"B".padStart(10)}     B/A`,
    ...all.map(
      ({ before: a, after: b, ratio, change }) =>
        `${b.id.padEnd(width)}  ${formatValue(a).padStart(10)}  ${formatValue(b).padStart(10)}  ${ratio.toFixed(2).padStart(6)}  ${change ?? "within noise"}`,
    ),
    "better, worse: the 95 % intervals of the medians do not overlap; with fewer than 6 samples, the ranges do not, by more than 10 %.",
  ];
}

if (import.meta.main) {
  const [a, b] = process.argv.slice(2);
  if (a === undefined || b === undefined) {
    process.stderr.write("usage: npm run bench:compare -- A B\n");
    process.exitCode = 2;
  } else process.stdout.write(`${lines(resultsOf(a), resultsOf(b)).join("\n")}\n`);
}
