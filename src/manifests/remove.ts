/** Taking objects away, as deleting them from a cluster would. */
import { Owners } from "./owners.ts";
import type { Problem } from "./problem.ts";
import { type Identity, identityKey, type ObjectRecord } from "./record.ts";

/** Every way to write a kind, in lower case; plurals are made by rule. */
const shortNames: Readonly<Record<string, string>> = {
  no: "Node",
  ns: "Namespace",
  po: "Pod",
  deploy: "Deployment",
  sts: "StatefulSet",
  ds: "DaemonSet",
  rs: "ReplicaSet",
  cj: "CronJob",
  svc: "Service",
  ep: "Endpoints",
  netpol: "NetworkPolicy",
  cnp: "ClusterNetworkPolicy",
  anp: "AdminNetworkPolicy",
  banp: "BaselineAdminNetworkPolicy",
};

const clusterScoped = [
  "Namespace",
  "Node",
  "ClusterNetworkPolicy",
  "AdminNetworkPolicy",
  "BaselineAdminNetworkPolicy",
  "ServiceCIDR",
];
const namespaced = [
  ...["Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"],
  ...["Service", "Endpoints", "EndpointSlice", "NetworkPolicy"],
];

const kindNames: ReadonlyMap<string, string> = new Map([
  ...[...clusterScoped, ...namespaced].flatMap((kind) => {
    const word = kind.toLowerCase();
    const plural = word.endsWith("y") ? `${word.slice(0, -1)}ies` : `${word}s`;
    return [
      [word, kind],
      [plural, kind],
    ] as const;
  }),
  ...Object.entries(shortNames),
]);

export interface Removal {
  readonly records: readonly ObjectRecord[];
  readonly problems: readonly Problem[];
}

export function removeObjects(
  records: readonly ObjectRecord[],
  refs: readonly string[],
  defaultNamespace: string,
): Removal {
  const owners = new Owners(records);
  const problems: Problem[] = [];
  const gone = new Set<ObjectRecord>();
  for (const ref of refs) {
    const identity = parseReference(ref, defaultNamespace);
    const found = identity === null ? [] : records.filter((record) => isPartOf(record, identity, owners));
    for (const record of found) gone.add(record);
    if (found.length > 0) continue;
    const message =
      identity === null
        ? `${JSON.stringify(ref)} names no object: write KIND/NAMESPACE/NAME, or KIND/NAME`
        : `${JSON.stringify(ref)}: there is no such object to leave out`;
    problems.push({ severity: "error", code: "unknown-reference", message, position: null, path: [] });
  }
  return { records: records.filter((record) => !gone.has(record)), problems };
}

function parseReference(ref: string, defaultNamespace: string): Identity | null {
  const parts = ref.split("/");
  // `kubectl get -o name` writes the group behind the kind: networkpolicy.networking.k8s.io/db
  const kind = kindNames.get(parts[0]!.toLowerCase().split(".")[0]!);
  if (kind === undefined || parts.some((part) => part === "")) return null;
  const name = parts.at(-1)!;
  if (clusterScoped.includes(kind)) return parts.length === 2 ? { kind, namespace: "", name } : null;
  if (parts.length === 2) return { kind, namespace: defaultNamespace, name };
  return parts.length === 3 ? { kind, namespace: parts[1]!, name } : null;
}

/** The object itself, what is in it (Namespaces), and what it owns. */
function isPartOf(record: ObjectRecord, identity: Identity, owners: Owners): boolean {
  if (identityKey(record) === identityKey(identity)) return true;
  if (identity.kind === "Namespace") return record.namespace === identity.name;
  if (record.namespace !== identity.namespace) return false;
  const labels = record.content.type === "pod" || record.content.type === "workload" ? record.content.pod.labels : {};
  return owners
    .chain({ ...record, labels })
    .some((workload) => identityKey({ ...workload, namespace: record.namespace }) === identityKey(identity));
}
