/** `test/cluster/down [--name NAME]`: ends the cluster and removes all that it left. */
import { parseArgs } from "node:util";
import { stopCluster } from "./lib/cluster.ts";
import { defaults } from "./lib/options.ts";

try {
  const { values } = parseArgs({
    options: { name: { type: "string", default: process.env["BULKHEAD_CLUSTER"] ?? defaults.name } },
  });
  await stopCluster(values.name);
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
