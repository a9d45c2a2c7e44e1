/** `test/cluster/up`: starts the real cluster and leaves it running. */
import { parseArgs } from "node:util";
import { installBulkhead } from "./lib/bulkhead.ts";
import { startCluster } from "./lib/cluster.ts";
import { defaults } from "./lib/options.ts";

const usage = `usage: test/cluster/up [options]

A real Kubernetes on this machine, each node in namespaces of its own, with Bulkhead installed from deploy/install.yaml.
A cluster of the same name is replaced. Then: test/cluster/kubectl get pods -A; test/cluster/down ends it.

  --bare                           without Bulkhead
  --cni-plugin                     Bulkhead's CNI plugin too: a pod starts when its rules are in force
  --nodes 1-9                      default 2
  --proxy nftables|iptables        kube-proxy's mode
  --cni bridge|routed              how pods hang on a node: on one bridge, or each on a routed veth
  --bridge-netfilter 0|1           whether packets between pods of one bridge pass the netfilter hooks; default 1
  --families dual|ipv4|ipv6
  --no-pod-cidrs                   nodes do not tell their pod CIDRs
  --crds standard|experimental|none
  --audit                          the API server writes an audit log
  --name NAME                      default main; BULKHEAD_CLUSTER
`;

class UsageError extends Error {}

function oneOf<T extends string>(flag: string, value: string, ...choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw new UsageError(`--${flag} ${value}: one of ${choices.join(", ")}`);
  return found;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      bare: { type: "boolean", default: false },
      "cni-plugin": { type: "boolean", default: false },
      nodes: { type: "string", default: String(defaults.nodes) },
      proxy: { type: "string", default: defaults.proxy },
      cni: { type: "string", default: defaults.cni },
      "bridge-netfilter": { type: "string", default: "1" },
      families: { type: "string", default: defaults.families },
      "no-pod-cidrs": { type: "boolean", default: false },
      crds: { type: "string", default: "experimental" },
      audit: { type: "boolean", default: false },
      name: { type: "string", default: process.env["BULKHEAD_CLUSTER"] ?? defaults.name },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return void process.stdout.write(usage);
  const crds = oneOf("crds", values.crds, "standard", "experimental", "none");
  const started = performance.now();
  const cluster = await startCluster({
    name: values.name,
    nodes: Number(oneOf("nodes", values.nodes, "1", "2", "3", "4", "5", "6", "7", "8", "9")),
    proxy: oneOf("proxy", values.proxy, "nftables", "iptables"),
    cni: oneOf("cni", values.cni, "bridge", "routed"),
    bridgeNetfilter: oneOf("bridge-netfilter", values["bridge-netfilter"], "0", "1") === "1",
    families: oneOf("families", values.families, "dual", "ipv4", "ipv6"),
    podCIDRs: !values["no-pod-cidrs"],
    crds: crds === "none" ? null : crds,
    audit: values.audit,
    owned: false,
  });
  const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
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
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
