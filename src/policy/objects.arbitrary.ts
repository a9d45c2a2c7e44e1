/** Objects for tests, every field filled in: what a test does not say is as plain as it can be. All are in `shop`. */
import { namespaceNameLabel } from "./model/labels.ts";
import type { ClusterPolicy, ClusterPolicySpec, NetworkPolicy, NetworkPolicySpec } from "./model/policy.ts";
import { type Namespace, type Node, type Pod, plainPod, type Service } from "./model/world.ts";

/** A pod of its own, without address and node. */
export const podNamed = (name: string, more: Partial<Pod> = {}): Pod =>
  plainPod("shop", name, { labels: { app: name }, ...more });

/** What a Deployment of one replica would make. */
export const templateNamed = (name: string, more: Partial<Pod> = {}): Pod =>
  podNamed(name, { workload: { kind: "Deployment", name }, template: true, replicas: 1, ...more });

export const nodeNamed = (name: string, ...ips: readonly string[]): Node => ({
  name,
  labels: {},
  ips,
  podCIDRs: [],
  source: null,
});

export const shopNamespace: Namespace = {
  name: "shop",
  labels: { [namespaceNameLabel]: "shop" },
  defined: true,
  source: null,
};

/** A ClusterIP Service without address. */
export const serviceNamed = (name: string, more: Partial<Service> = {}): Service => ({
  namespace: "shop",
  name,
  type: "ClusterIP",
  clusterIPs: [],
  headless: false,
  selector: { app: name },
  ports: [],
  endpoints: [],
  source: null,
  ...more,
});

/** Of the Admin tier, on all pods. */
export const clusterPolicyNamed = (name: string, spec: Partial<ClusterPolicySpec>): ClusterPolicy => ({
  kind: "ClusterNetworkPolicy",
  metadata: { namespace: "", name },
  spec: { tier: "Admin", priority: 1, subject: { namespaces: {} }, ...spec },
  source: null,
});

export const policyNamed = (name: string, spec: NetworkPolicySpec): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { namespace: "shop", name },
  spec,
  source: null,
});
