/**
 * All benchmarks: `npm run bench -- [--quick] [--out FILE] [SUITE...]`. Leaves the results as JSON, from which
 * `npm run docs:performance` makes docs/performance.md and `npm run bench:compare` compares two runs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { commit, latest, loadNow, machine, type Results, readSuite, type Suite, writeJson } from "./results.ts";

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false }, out: { type: "string" } },
  allowPositionals: true,
});
const { quick } = values;
const out = values.out ?? (quick ? undefined : latest);
const names = positionals.length > 0 ? positionals : ["analysis", "kernel"];

const folder = mkdtempSync(join(tmpdir(), "bulkhead-bench-"));
const load = loadNow();
const suites: Suite[] = [];
const failed: string[] = [];
try {
  for (const name of names) {
    const script = new URL(`${name}.ts`, import.meta.url).pathname;
    const file = join(folder, `${name}.json`);
    const { status } = spawnSync(process.execPath, [script, ...(quick ? ["--quick"] : []), "--out", file], {
      stdio: "inherit",
    });
    if (existsSync(file)) suites.push(readSuite(file));
    if (status !== 0 || !existsSync(file)) failed.push(name);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const results: Results = { commit: commit(), date: new Date().toISOString(), quick, machine: machine(load), suites };
if (out !== undefined && suites.length > 0) {
  mkdirSync(dirname(out), { recursive: true });
  writeJson(out, results);
  process.stdout.write(`${out}\n`);
}
if (failed.length > 0) {
  process.stderr.write(`error: no complete results of ${failed.join(", ")}\n`);
  process.exitCode = 1;
}
