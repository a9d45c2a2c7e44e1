/** Whether the tests that need a real cluster can run, and the build that they wait for in CI. */

import { build } from "../parts/builder.ts";
import { partSets } from "../parts/list.ts";
import { missingAssets } from "./cluster.ts";

const inCI = process.env["CI"] === "true";

/**
 * Why the tests are left out, as one line; null: they run. In CI they are never left out: what is missing is built, see
 * `readyForCluster`.
 */
export function whyNoCluster(nodes?: number): string | null {
  if (inCI) return null;
  if (process.env["BULKHEAD_SKIP_KERNEL"] === "1") return "BULKHEAD_SKIP_KERNEL=1";
  if (process.getuid?.() !== 0) return "a real cluster needs root";
  const missing = missingAssets(nodes);
  if (missing.length === 0) return null;
  return `${missing.length === 1 ? missing[0] : `${missing[0]} and ${missing.length - 1} more`} missing: run test/cluster/build once (12 minutes, Go 1.26)`;
}

/**
 * In CI: builds what is missing, or waits for the build that `scripts/test` began. It is the same build: whoever comes second
 * waits, and goes on if the first was stopped.
 * @throws BuildError with the last lines of what failed
 */
export async function readyForCluster(): Promise<void> {
  if (inCI) await build(partSets.cluster, (line) => process.stderr.write(`cluster: ${line}\n`));
}

/** CI has 90 minutes, and the build has to be the slower part of it before tests give up. */
export const clusterHookTimeout = 75 * 60_000;
