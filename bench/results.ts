/** What a run of the benchmarks leaves behind: figures with all their samples, as JSON. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

/** One thing measured. */
export interface Figure {
  /** Stable: two runs are compared by it. `analysis/1000/compile` */
  readonly id: string;
  /** What was measured it of: the tables have a part for each. */
  readonly group?: string;
  readonly what: string;
  readonly unit: string;
  readonly better: "less" | "more";
  /** Which of the samples counts; p95 and p99: that share of them is better, or as good. */
  readonly statistic: "median" | "best" | "worst" | "p95" | "p99";
  readonly samples: readonly number[];
  readonly target?: Target;
  /** What the number leaves open: counts, checksums, CPU time. */
  readonly detail?: string;
}

export type Target = { readonly atMost: number } | { readonly atLeast: number };

export interface Suite {
  readonly name: string;
  readonly command: string;
  readonly seconds: number;
  readonly figures: readonly Figure[];
  /** Sentences for the reader. */
  readonly notes: readonly string[];
  /** Figures of this run beside those that others have published. */
  readonly comparison?: Comparison;
  /** Of the run that it is from, where that is not the file's own. */
  readonly run?: Run;
}

export interface Run {
  readonly commit: string;
  readonly date: string;
  /** See `Machine`. */
  readonly load: Machine["load"];
}

export interface Comparison {
  readonly title: string;
  /** Of the columns; the first is that of the measures. */
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Where the figures of others are from. */
  readonly sources: readonly string[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMB: number;
  readonly kernel: string;
  readonly node: string;
  /** Load of the last minute before and after the run: above the number of cores, times are too long. */
  readonly load: readonly [before: number, after: number];
}

export interface Results {
  readonly commit: string;
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly suites: readonly Suite[];
}

/** The suites of earlier results that a new run leaves as they are, each with the run that it is from. */
export const keptSuites = ({ suites, commit, date, machine: { load } }: Results, renewed: readonly string[]): Suite[] =>
  suites.filter(({ name }) => !renewed.includes(name)).map((suite) => ({ run: { commit, date, load }, ...suite }));

/** Where a full run leaves its results; committed, so that commits can be compared. */
export const latest = "bench/results/latest.json";

/** @throws {Error} when there is none */
export const readResults = (path: string): Results => JSON.parse(readFileSync(path, "utf8")) as Results;
export const readSuite = (path: string): Suite => JSON.parse(readFileSync(path, "utf8")) as Suite;

export const writeJson = (path: string, value: Results | Suite): void =>
  writeFileSync(path, `${JSON.stringify(value, null, 1)}\n`);

export const loadNow = (): number => loadavg()[0]!;

export const machine = (loadBefore: number): Machine => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryMB: Math.round(totalmem() / 2 ** 20),
  kernel: release(),
  node: process.version,
  load: [loadBefore, loadNow()],
});

/** The commit that is measured, marked when files differ from it. */
export function commit(): string {
  const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no", "src") === "" ? "" : "+changes";
    return git("rev-parse", "--short", "HEAD") + changed;
  } catch {
    return "unknown";
  }
}
