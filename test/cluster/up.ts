/** `test/cluster/up`: starts the real cluster and leaves it running. */
import { parseArgs } from "node:util";
import { installBulkhead } from "./lib/bulkhead.ts";
import { startCluster } from "./lib/cluster.ts";
import { clusterFlags, clusterFlagsHelp, clusterOptions, UsageError } from "./lib/flags.ts";

const usage = `usage: test/cluster/up [options]

A real Kubernetes on this machine, each node in namespaces of its own, with Bulkhead installed from deploy/install.yaml.
A cluster of the same name is replaced. Then: test/cluster/kubectl get pods -A; test/cluster/down ends it.

  --bare                           without Bulkhead
  --cni-plugin                     Bulkhead's CNI plugin too: a pod starts when its rules are in force
${clusterFlagsHelp}`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      ...clusterFlags,
      bare: { type: "boolean", default: false },
      "cni-plugin": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return void process.stdout.write(usage);
  const started = performance.now();
  const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const cluster = await startCluster({ ...clusterOptions(values), owned: false });
  process.stderr.write(`cluster "${cluster.name}" is up after ${seconds()}\n`);
  if (!values.bare) {
    await installBulkhead(cluster, { cniPlugin: values["cni-plugin"] });
    process.stderr.write(`Bulkhead is ready on every node after ${seconds()}\n`);
  }
  process.stdout.write(await cluster.kubectl(["get", "nodes", "-o", "wide"]));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UsageError || error instanceof TypeError ? 2 : 1;
}
