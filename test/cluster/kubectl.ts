/** `test/cluster/kubectl ARGUMENTS`: kubectl in the cluster's network, with the terminal's own input and output. */
import { spawnSync } from "node:child_process";
import { assetPath } from "./lib/assets.ts";
import { Cluster } from "./lib/cluster.ts";
import { defaults } from "./lib/options.ts";

try {
  const cluster = Cluster.attach(process.env["BULKHEAD_CLUSTER"] ?? defaults.name);
  const kubectl = [assetPath("kubectl"), `--kubeconfig=${cluster.kubeconfig}`, ...process.argv.slice(2)];
  const { status, error } = spawnSync("nsenter", [`--net=${cluster.control.netns}`, "--", ...kubectl], {
    stdio: "inherit",
  });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 1;
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
