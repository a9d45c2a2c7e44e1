/** Which workload an object belongs to, as far as its own metadata says. */
import type { Labels } from "./labels.ts";
import type { WorkloadKind, WorkloadRef } from "./world.ts";

/** The controller in metadata.ownerReferences. */
export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

const ownerGroups: ReadonlyMap<string, string> = new Map<Exclude<WorkloadKind, "Pod">, string>([
  ["Deployment", "apps"],
  ["StatefulSet", "apps"],
  ["DaemonSet", "apps"],
  ["ReplicaSet", "apps"],
  ["Job", "batch"],
  ["CronJob", "batch"],
]);

/** The owner as a workload; null for owners of other kinds (Argo Rollouts, Nodes of mirror pods). */
export function ownerWorkload(owner: Owner | null): WorkloadRef | null {
  if (owner === null) return null;
  const group = owner.apiVersion.includes("/") ? owner.apiVersion.slice(0, owner.apiVersion.indexOf("/")) : "";
  return ownerGroups.get(owner.kind) === group ? { kind: owner.kind as WorkloadKind, name: owner.name } : null;
}

/**
 * The Deployment of a ReplicaSet that nobody has looked at. Only Deployments label pods with a pod-template-hash and end
 * the ReplicaSet's name with it, so the name is sure.
 */
export function unseenDeployment({ kind, name }: WorkloadRef, labels: Labels): WorkloadRef | null {
  const hash = labels["pod-template-hash"] ?? "";
  const end = `-${hash}`;
  if (kind !== "ReplicaSet" || hash === "" || !name.endsWith(end) || name === end) return null;
  return { kind: "Deployment", name: name.slice(0, -end.length) };
}
