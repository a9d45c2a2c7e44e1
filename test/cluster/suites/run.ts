/**
 * Runs upstream suites on a real cluster with Bulkhead: `npm run test:cluster -- --suite e2e|cnp|cyclonus|cyclonus-more|all`.
 * What they say is kept in test/cluster/results, from which `npm run conformance` makes its page.
 */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { assetPath, images } from "../lib/assets.ts";
import { installBulkhead } from "../lib/bulkhead.ts";
import { type Cluster, startCluster } from "../lib/cluster.ts";
import { clusterFlags, clusterFlagsHelp, clusterOptions } from "../lib/flags.ts";
import { defaults } from "../lib/options.ts";
import { run } from "../lib/run.ts";
import { build } from "../parts/builder.ts";
import { partSets, type SuiteImages } from "../parts/list.ts";
import { runCnp } from "./cnp.ts";
import { agnhostName, runCyclonus, type Selection } from "./cyclonus.ts";
import { runE2e, type SuiteRun } from "./e2e.ts";
import { circumstances, keep, type SuiteName, type SuiteResult, suiteNames, summary } from "./result.ts";

const usage = `usage: npm run test:cluster -- --suite e2e|cnp|cyclonus|cyclonus-more|all [--focus TEXT] [--procs 3] [--keep] [options]

Runs upstream suites, unchanged, on a real cluster with Bulkhead installed; keeps what they say in test/cluster/results.

  --suite   cyclonus: the cases that it runs by default; cyclonus-more: the others
  --focus   only what this regular expression matches (cyclonus: tags); results of a part are printed and not kept
  --procs   specs of e2e at the same time; default 3
  --keep    leave the cluster running
  --bare    without Bulkhead, to see what a suite says then; not kept
${clusterFlagsHelp}`;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    ...clusterFlags,
    suite: { type: "string", default: "all" },
    focus: { type: "string" },
    procs: { type: "string", default: "3" },
    keep: { type: "boolean", default: false },
    bare: { type: "boolean", default: false },
    "cni-plugin": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

/** Whether SCTP sockets can be opened; a kernel that has them as a module says so only when it is loaded. */
async function hasSctp(): Promise<boolean> {
  if (!existsSync("/proc/net/sctp")) await run("modprobe", ["-q", "sctp"]).catch(() => {});
  return existsSync("/proc/net/sctp");
}

/** Gives the suites' images the names that the suites ask for. */
async function nameImages(cluster: Cluster): Promise<void> {
  await cluster.importImage(assetPath("suites/agnhost-without-sctp.tar"));
  const { e2e, cnp } = JSON.parse(readFileSync(assetPath("suites/images.json"), "utf8")) as SuiteImages;
  for (const node of cluster.nodes) {
    for (const name of e2e) await node.tagImage(images.agnhost, name);
    for (const name of cnp) await node.tagImage(images.agnhostWithoutSctp, name);
  }
  const ofCyclonus = assetPath("cyclonus-agnhost.tar");
  if (!existsSync(ofCyclonus)) return; // another suite is to run
  await cluster.importImage(ofCyclonus);
  for (const node of cluster.nodes) await node.tagImage(images.agnhostOfCyclonus, agnhostName);
}

const cyclonus = (selection: Selection) => (cluster: Cluster, how: SuiteRun) => runCyclonus(cluster, how, selection);

const runners = {
  e2e: runE2e,
  cnp: runCnp,
  cyclonus: cyclonus("usual"),
  "cyclonus-more": cyclonus("more"),
} as const;

async function runSuite(cluster: Cluster, suite: SuiteName, how: SuiteRun): Promise<SuiteResult> {
  say(`running ${suite}`);
  const started = performance.now();
  const when = circumstances();
  const { version, cases } = await runners[suite](cluster, how);
  const { nodes, families, cni, bridgeNetfilter, proxy } = cluster.options;
  return {
    suite,
    version,
    ...when,
    cluster: { nodes, families, cni, bridgeNetfilter, proxy, cniPlugin: values["cni-plugin"] },
    focus: how.focus,
    seconds: Math.round((performance.now() - started) / 1000),
    cases,
  };
}

/** Whether all passed. */
function tell(result: SuiteResult): boolean {
  for (const { name, outcome, seconds, why } of result.cases)
    process.stdout.write(
      `${outcome}  ${name}${seconds > 0 ? ` (${seconds.toFixed(0)} s)` : ""}${why ? `: ${why}` : ""}\n`,
    );
  process.stdout.write(`${result.version}: ${summary(result)}, ${result.seconds} s\n`);
  return (
    result.cases.some(({ outcome }) => outcome === "pass") && result.cases.every(({ outcome }) => outcome !== "fail")
  );
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const suites = values.suite === "all" ? suiteNames : suiteNames.filter((name) => name === values.suite);
  if (suites.length === 0) {
    process.stderr.write(usage);
    return 2;
  }
  for (const suite of suites) await build(partSets[suite], say);
  const how: SuiteRun = { focus: values.focus ?? null, parallel: Number(values.procs), sctp: await hasSctp() };
  const cluster = await startCluster({
    ...clusterOptions(values),
    name: values.name === defaults.name ? "suites" : values.name,
    owned: !values.keep,
  });
  try {
    if (!values.bare) await installBulkhead(cluster, { cniPlugin: values["cni-plugin"] });
    await nameImages(cluster);
    let good = true;
    for (const suite of suites) {
      const result = await runSuite(cluster, suite, how);
      good = tell(result) && good;
      if (result.focus === null && !values.bare) say(`kept in ${keep(result)}`);
    }
    return good ? 0 : 1;
  } finally {
    if (!values.keep) await cluster.down();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
