/** Where results are kept: of each fault the last run, and the page that tells of them. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { page, type Results, type Run } from "./page.ts";
import type { FaultResult } from "./scenario.ts";

export const resultsFile = join(import.meta.dirname, "results/latest.json");
const pageFile = join(import.meta.dirname, "../../docs/faults.md");

const commit = (): string => {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
};

/** Called before a run; the function it returns, after it. */
export function beginRun(): () => Run {
  const [before] = loadavg() as [number, number, number];
  const [date, at] = [new Date().toISOString().slice(0, 10), commit()];
  return () => ({ date, commit: at, load: [before, loadavg()[0]!], cpus: cpus().length });
}

export function readResults(file: string): Results {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Results) : { faults: [], fire: null };
}

/** Puts new results in the place of older ones; the page is written when they are the ones that are kept. */
export function keep(
  file: string,
  { faults = [], fire }: { faults?: readonly (FaultResult & Run)[]; fire?: Results["fire"] },
): void {
  const before = readResults(file);
  const names = new Set(faults.map(({ name }) => name));
  const results: Results = {
    faults: [...before.faults.filter(({ name }) => !names.has(name)), ...faults],
    fire: fire ?? before.fire,
  };
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  if (file === resultsFile) writeFileSync(pageFile, page(results));
}
