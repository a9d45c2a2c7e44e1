/**
 * All benchmarks: `npm run bench -- [--quick] [--out FILE] [SUITE...]`, suites being analysis, kernel, agent, and agent-scale, which
 * runs only when it is named. Leaves the results as JSON, from which `npm run docs:performance` makes docs/performance.md and
 * `npm run bench:compare` compares two runs; suites that are not named stay as an earlier run left them.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { missingPrograms } from "../test/light/control-plane.ts";
import {
  commit,
  keptSuites,
  latest,
  loadNow,
  machine,
  type Results,
  readResults,
  readSuite,
  type Suite,
  writeJson,
} from "./results.ts";

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false }, out: { type: "string" } },
  allowPositionals: true,
});
const { quick } = values;
const out = values.out ?? (quick ? undefined : latest);
const missing = missingPrograms();
if (positionals.length === 0 && missing.length > 0) {
  process.stderr.write(`agent is left out: test/cluster/build makes ${missing.join(" and ")}\n`);
}
const names = positionals.length > 0 ? positionals : ["analysis", "kernel", ...(missing.length === 0 ? ["agent"] : [])];
/** The script of a suite, and its flags. */
const scripts: Readonly<Record<string, readonly string[]>> = { "agent-scale": ["agent.ts", "--scale"] };

function order({ name }: Suite): number {
  return ["analysis", "kernel", "agent", "agent-scale"].indexOf(name);
}

const folder = mkdtempSync(join(tmpdir(), "bulkhead-bench-"));
const load = loadNow();
const suites: Suite[] = [];
const failed: string[] = [];
try {
  for (const name of names) {
    const [script, ...flags] = scripts[name] ?? [`${name}.ts`];
    const path = new URL(script!, import.meta.url).pathname;
    const file = join(folder, `${name}.json`);
    const { status } = spawnSync(process.execPath, [path, ...flags, ...(quick ? ["--quick"] : []), "--out", file], {
      stdio: "inherit",
    });
    if (existsSync(file)) suites.push(readSuite(file));
    if (status !== 0 || !existsSync(file)) failed.push(name);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (out !== undefined && existsSync(out)) {
  const renewed = suites.map(({ name }) => name);
  suites.unshift(...keptSuites(readResults(out), renewed));
  suites.sort((a, b) => order(a) - order(b));
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
