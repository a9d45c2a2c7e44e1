/** What a run of an upstream suite said, as it is kept beside docs/conformance.md. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import type { ClusterOptions } from "../lib/options.ts";

export const suiteNames = ["e2e", "cnp", "cyclonus", "cyclonus-more"] as const;
export type SuiteName = (typeof suiteNames)[number];

export interface Case {
  readonly name: string;
  readonly outcome: "pass" | "fail" | "skip";
  readonly seconds: number;
  /** Why it failed or was not run. */
  readonly why?: string;
}

export interface SuiteResult {
  readonly suite: SuiteName;
  /** `Kubernetes v1.36.3` */
  readonly version: string;
  /** Of Bulkhead. */
  readonly commit: string;
  readonly date: string;
  readonly kernel: string;
  readonly cluster: Pick<ClusterOptions, "nodes" | "families" | "cni" | "bridgeNetfilter" | "proxy"> & {
    readonly cniPlugin: boolean;
  };
  /** Only a part of the suite was asked for; null: all of it. */
  readonly focus: string | null;
  readonly seconds: number;
  readonly cases: readonly Case[];
}

export const resultsFolder = join(import.meta.dirname, "../results");

const fileOf = ({ suite, cluster }: SuiteResult): string =>
  join(resultsFolder, `${[suite, cluster.proxy, cluster.cni, cluster.families].join("-")}.json`);

/** In place of an earlier run of the same suite on the same kind of cluster. Gives the file's path. */
export function keep(result: SuiteResult): string {
  mkdirSync(resultsFolder, { recursive: true });
  const path = fileOf(result);
  writeFileSync(path, `${JSON.stringify(result, null, 1)}\n`);
  return path;
}

/** All that are kept, in the order of the suites. */
export function keptResults(): readonly SuiteResult[] {
  if (!existsSync(resultsFolder)) return [];
  return readdirSync(resultsFolder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(resultsFolder, name), "utf8")) as SuiteResult)
    .sort((a, b) => suiteNames.indexOf(a.suite) - suiteNames.indexOf(b.suite));
}

export const count = ({ cases }: Pick<SuiteResult, "cases">, outcome: Case["outcome"]): number =>
  cases.filter((one) => one.outcome === outcome).length;

/** `62 of 62 passed, 3 not run` */
export function summary(result: Pick<SuiteResult, "cases">): string {
  const skipped = count(result, "skip");
  const ran = result.cases.length - skipped;
  return `${count(result, "pass")} of ${ran} passed${skipped > 0 ? `, ${skipped} not run` : ""}`;
}

export function circumstances(): Pick<SuiteResult, "commit" | "date" | "kernel"> {
  const root = join(import.meta.dirname, "../../..");
  const git = (...args: readonly string[]): string => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", "src") === "" ? "" : " and changes";
  return {
    commit: `${git("rev-parse", "--short", "HEAD")}${changed}`,
    date: new Date().toISOString(),
    kernel: release(),
  };
}
