import type { Families } from "./addresses.ts";

/** What a cluster is like. */
export interface ClusterOptions {
  /** Names its folder, its host names and its cgroups; clusters of different names don't meet. Default `main`. */
  readonly name: string;
  /** 0 to 9; 0 is an API server with etcd and controllers only. */
  readonly nodes: number;
  readonly families: Families;
  /** `bridge`: the pods of a node hang on one bridge. `routed`: each on a veth with a route (the ptp plugin). */
  readonly cni: "bridge" | "routed";
  /** net.bridge.bridge-nf-call-ip(6)tables of the nodes. */
  readonly bridgeNetfilter: boolean;
  readonly proxy: "nftables" | "iptables";
  /** Nodes tell their `spec.podCIDRs`. */
  readonly podCIDRs: boolean;
  /** Of network-policy-api; null: its kinds do not exist. */
  readonly crds: "standard" | "experimental" | null;
  /** The API server writes who asked for what (the Metadata level) to `audit.log` in the cluster's folder. */
  readonly audit: boolean;
  /** Besides the cluster's own: `--feature-gates=WatchList=false`. */
  readonly apiserverFlags: readonly string[];
  /** The cluster ends with the process that started it, however that ends. */
  readonly owned: boolean;
}

export const defaults: ClusterOptions = {
  name: "main",
  nodes: 2,
  families: "dual",
  cni: "bridge",
  bridgeNetfilter: true,
  proxy: "nftables",
  podCIDRs: true,
  crds: "experimental",
  audit: false,
  apiserverFlags: [],
  owned: true,
};
