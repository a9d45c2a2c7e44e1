/** The flags by which programs here are told what a cluster is like. */
import { type ClusterOptions, defaults } from "./options.ts";

export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** For `parseArgs`. */
export const clusterFlags = {
  name: { type: "string", default: process.env["BULKHEAD_CLUSTER"] ?? defaults.name },
  nodes: { type: "string", default: String(defaults.nodes) },
  proxy: { type: "string", default: defaults.proxy },
  cni: { type: "string", default: defaults.cni },
  "bridge-netfilter": { type: "string", default: "1" },
  families: { type: "string", default: defaults.families },
  "no-pod-cidrs": { type: "boolean", default: false },
  crds: { type: "string", default: "experimental" },
  audit: { type: "boolean", default: false },
} as const;

export const clusterFlagsHelp = `  --nodes 1-9                      default 2
  --proxy nftables|iptables        kube-proxy's mode
  --cni bridge|routed              how pods hang on a node: on one bridge, or each on a routed veth
  --bridge-netfilter 0|1           whether packets between pods of one bridge pass the netfilter hooks; default 1
  --families dual|ipv4|ipv6
  --no-pod-cidrs                   nodes do not tell their pod CIDRs
  --crds standard|experimental|none
  --audit                          the API server writes an audit log
  --name NAME                      default main, or BULKHEAD_CLUSTER
`;

type Values = {
  readonly [K in keyof typeof clusterFlags]: (typeof clusterFlags)[K]["type"] extends "string" ? string : boolean;
};

/** @throws UsageError */
export function clusterOptions(values: Values): Partial<ClusterOptions> {
  function oneOf<T extends string>(flag: keyof Values, ...choices: readonly T[]): T {
    const found = choices.find((choice) => choice === values[flag]);
    if (found === undefined) throw new UsageError(`--${flag} ${values[flag]}: one of ${choices.join(", ")}`);
    return found;
  }
  const crds = oneOf("crds", "standard", "experimental", "none");
  return {
    name: values.name,
    nodes: Number(oneOf("nodes", "1", "2", "3", "4", "5", "6", "7", "8", "9")),
    proxy: oneOf("proxy", "nftables", "iptables"),
    cni: oneOf("cni", "bridge", "routed"),
    bridgeNetfilter: oneOf("bridge-netfilter", "0", "1") === "1",
    families: oneOf("families", "dual", "ipv4", "ipv6"),
    podCIDRs: !values["no-pod-cidrs"],
    crds: crds === "none" ? null : crds,
    audit: values.audit,
  };
}
