/** The facts that policies are judged over: what a cluster, or a folder of manifests, says there is. */
import type { PortProtocol } from "../../net/ports.ts";
import type { Labels } from "./labels.ts";
import type { Policy } from "./policy.ts";
import type { Source } from "./source.ts";

export interface Node {
  readonly name: string;
  readonly labels: Labels;
  /** Every address in status.addresses that is an IP (spec C8.5), as text. */
  readonly ips: readonly string[];
  readonly podCIDRs: readonly string[];
  readonly source: Source | null;
}

export interface Namespace {
  readonly name: string;
  /** Always with `kubernetes.io/metadata.name` (spec A10.7): whoever builds a World adds it. */
  readonly labels: Labels;
  /** false: some object uses the namespace, but no Namespace object defines it. */
  readonly defined: boolean;
  readonly source: Source | null;
}

export interface ContainerPort {
  readonly name: string;
  readonly number: number;
  readonly protocol: PortProtocol;
}

export type WorkloadKind = "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" | "CronJob" | "Pod";

/** The topmost owner of a pod; a pod without an owner is its own workload. */
export interface WorkloadRef {
  readonly kind: WorkloadKind;
  readonly name: string;
}

export type PodPhase = "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";

/**
 * A pod, or the pod that a workload's template would make (`template: true`: it has the workload's name, no address and
 * no node, and stands for all replicas).
 */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  /** Tells a pod from another of the same name before or after it; manifests have none. */
  readonly uid?: string;
  /**
   * Of a mirror pod: the uid by which kubelet and the container runtime know the static pod behind it (annotation
   * kubernetes.io/config.mirror). Whoever makes a pod may claim one, so it never stands in place of `uid`.
   */
  readonly staticUid?: string;
  readonly labels: Labels;
  /** At most one address a family; [] when it has none yet. */
  readonly ips: readonly string[];
  readonly node: string | null;
  readonly hostNetwork: boolean;
  readonly phase: PodPhase;
  /** Named container ports, of containers and of sidecar init containers (spec A14.9); unnamed ones are left out. */
  readonly ports: readonly ContainerPort[];
  readonly workload: WorkloadRef;
  readonly template: boolean;
  /** Replicas that the workload asks for; null where it has no such number. */
  readonly replicas: number | null;
  readonly source: Source | null;
}

export interface ServicePort {
  /** Empty for the only, unnamed port. */
  readonly name: string;
  readonly protocol: PortProtocol;
  readonly port: number;
  /** A number, or the name of a container port. */
  readonly targetPort: number | string;
}

export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  /** [] while none is known; headless Services have `headless: true`. */
  readonly clusterIPs: readonly string[];
  readonly headless: boolean;
  /** null: no selector, endpoints come from `endpoints`. */
  readonly selector: Labels | null;
  readonly ports: readonly ServicePort[];
  /** Addresses from Endpoints and EndpointSlices, where given. */
  readonly endpoints: readonly string[];
  readonly source: Source | null;
}

/** Facts about the cluster that no object says. */
export interface ClusterFacts {
  /** From Nodes' podCIDRs and `--pod-cidr`; [] when unknown. */
  readonly podCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
}

export interface World {
  readonly nodes: readonly Node[];
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly services: readonly Service[];
  readonly policies: readonly Policy[];
  readonly cluster: ClusterFacts;
}

export const emptyWorld: World = {
  nodes: [],
  namespaces: [],
  pods: [],
  services: [],
  policies: [],
  cluster: { podCIDRs: [], serviceCIDRs: [] },
};

/** A running pod of its own of which nothing else is known, but what `more` says: without labels, address and node. */
export const plainPod = (namespace: string, name: string, more: Partial<Pod> = {}): Pod => ({
  namespace,
  name,
  labels: {},
  ips: [],
  node: null,
  hostNetwork: false,
  phase: "Running",
  ports: [],
  workload: { kind: "Pod", name },
  template: false,
  replicas: null,
  source: null,
  ...more,
});

/** Finished pods take no part in traffic (spec A17.4). */
export const isFinished = (pod: Pick<Pod, "phase">): boolean => pod.phase === "Succeeded" || pod.phase === "Failed";

/** `ns/name`: unique among pods, namespaced kinds alike. Joined, since V8 keeps the pieces of texts put together otherwise. */
export const namespacedName = (object: { readonly namespace: string; readonly name: string }): string =>
  [object.namespace, object.name].join("/");
