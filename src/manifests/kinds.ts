/** Which kinds are read, which are passed over knowingly, and what does not exist. */
import { isPolicyKind } from "../policy/decode/index.ts";

export type WorkloadTemplateKind = "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" | "CronJob";

/** How a kind is treated. */
export type KindClass =
  | { readonly is: "read"; readonly kind: ReadKind }
  | { readonly is: "policy" }
  /** A kind that Bulkhead has no use for. */
  | { readonly is: "ignored" }
  /** Something that has pods or rules of its own, which the answers then lack. */
  | { readonly is: "unsupported"; readonly lacks: "policy" | "workload" }
  /** No Kubernetes has it in this group and version. */
  | { readonly is: "unknown" };

export type ReadKind =
  | "Namespace"
  | "Node"
  | "Pod"
  | WorkloadTemplateKind
  | "Service"
  | "Endpoints"
  | "EndpointSlice"
  | "ServiceCIDR";

interface Group {
  /** The kinds that are read, with the version that is served now. */
  readonly read: Readonly<Partial<Record<string, ReadKind>>>;
  readonly versions: readonly string[];
  /** Kinds of the group that are of no use here, in any version. */
  readonly others: readonly string[];
}

const readAs = (...kinds: ReadKind[]): Group["read"] => Object.fromEntries(kinds.map((kind) => [kind, kind]));

/** The groups of kube-apiserver that have a kind that is read. Whatever else is in them is a mistake in the manifest. */
const groups: ReadonlyMap<string, Group> = new Map([
  [
    "",
    {
      read: readAs("Namespace", "Node", "Pod", "Service", "Endpoints"),
      versions: ["v1"],
      others: [
        "Binding",
        "ComponentStatus",
        "ConfigMap",
        "Event",
        "LimitRange",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "PodTemplate",
        "ReplicationController",
        "ResourceQuota",
        "Secret",
        "ServiceAccount",
      ],
    },
  ],
  [
    "apps",
    {
      read: readAs("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"),
      versions: ["v1"],
      others: ["ControllerRevision"],
    },
  ],
  ["batch", { read: readAs("Job", "CronJob"), versions: ["v1"], others: [] }],
  ["discovery.k8s.io", { read: readAs("EndpointSlice"), versions: ["v1"], others: [] }],
  [
    "networking.k8s.io",
    {
      read: readAs("ServiceCIDR"),
      versions: ["v1", "v1beta1", "v1alpha1"],
      others: ["Ingress", "IngressClass", "IPAddress"],
    },
  ],
  ["policy.networking.k8s.io", { read: {}, versions: [], others: [] }],
]);

/** Policies of other engines, by group and kind. */
const foreignPolicy =
  /^(?:cilium\.io\/Cilium(?:Clusterwide)?NetworkPolicy|(?:crd\.)?projectcalico\.org\/(?:Staged(?:Kubernetes|Global)?|Global)?NetworkPolicy|crd\.antrea\.io\/(?:Cluster)?NetworkPolicy|k8s\.cni\.cncf\.io\/MultiNetworkPolicy|security\.istio\.io\/AuthorizationPolicy)$/;

export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** `apps/v1` → apps, v1; `v1` → the core group. */
export function parseApiVersion(apiVersion: string): GroupVersion {
  const slash = apiVersion.indexOf("/");
  return slash < 0
    ? { group: "", version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** @param hasPodTemplate the object has `spec.template.spec.containers`: it makes pods */
export function classify(apiVersion: string, kind: string, hasPodTemplate: boolean): KindClass {
  if (isPolicyKind(apiVersion, kind)) return { is: "policy" };
  const { group, version } = parseApiVersion(apiVersion);
  const known = groups.get(group);
  if (known === undefined) {
    // extensions/v1beta1 had the kinds that are now in apps.
    if (group === "extensions" && currentApiVersion(kind) !== null) return { is: "unknown" };
    if (foreignPolicy.test(`${group}/${kind}`)) return { is: "unsupported", lacks: "policy" };
    return hasPodTemplate ? { is: "unsupported", lacks: "workload" } : { is: "ignored" };
  }
  const read = Object.hasOwn(known.read, kind) ? known.read[kind] : undefined;
  if (read !== undefined) return known.versions.includes(version) ? { is: "read", kind: read } : { is: "unknown" };
  if (!known.others.includes(kind)) return { is: "unknown" };
  return kind === "ReplicationController" ? { is: "unsupported", lacks: "workload" } : { is: "ignored" };
}

/** What a manifest with a wrong apiVersion probably meant: `apps/v1` for Deployment. */
export function currentApiVersion(kind: string): string | null {
  for (const [group, { read, versions }] of groups) {
    if (Object.hasOwn(read, kind)) return group === "" ? versions[0]! : `${group}/${versions[0]}`;
  }
  return null;
}
