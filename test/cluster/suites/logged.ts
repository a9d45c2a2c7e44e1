/** How a suite's program is run: in the control plane's network, with a log that can be followed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { searchPath } from "../lib/assets.ts";
import type { Cluster } from "../lib/cluster.ts";
import { RunError } from "../lib/run.ts";

/**
 * @returns what it wrote, also when it ended with failures: these are in the suite's report
 * @param hours after which it is killed
 */
export async function runLogged(
  cluster: Cluster,
  name: string,
  command: readonly string[],
  hours: number,
): Promise<string> {
  const log = join(cluster.folder, `${name}.log`);
  process.stderr.write(`tail -f ${log}\n`);
  const env = { ...process.env, PATH: searchPath(), KUBECONFIG: cluster.kubeconfig };
  await cluster.control
    .execInNetwork(["sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log, ...command], {
      within: hours * 3_600_000,
      cwd: cluster.folder,
      env,
    })
    .catch((error: unknown) => {
      if (!(error instanceof RunError) || error.exitCode === null) throw error;
    });
  return readFileSync(log, "utf8");
}
