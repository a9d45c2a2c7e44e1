/** Which workload a pod belongs to: up the controllers, as far as they are known. */
import type { Labels } from "../policy/model/labels.ts";
import type { WorkloadKind, WorkloadRef } from "../policy/model/world.ts";
import { parseApiVersion } from "./kinds.ts";
import { type Identity, identityKey, type ObjectRecord, type Owner } from "./record.ts";

const ownerGroups: ReadonlyMap<string, string> = new Map<Exclude<WorkloadKind, "Pod">, string>([
  ["Deployment", "apps"],
  ["StatefulSet", "apps"],
  ["DaemonSet", "apps"],
  ["ReplicaSet", "apps"],
  ["Job", "batch"],
  ["CronJob", "batch"],
]);

/** The owner as a workload; null for owners of other kinds (Argo Rollouts, Nodes of mirror pods). */
function workloadOf(owner: Owner | null): WorkloadRef | null {
  if (owner === null) return null;
  const { group } = parseApiVersion(owner.apiVersion);
  return ownerGroups.get(owner.kind) === group ? { kind: owner.kind as WorkloadKind, name: owner.name } : null;
}

/** Controllers of Kubernetes make two: CronJob, Job; Deployment, ReplicaSet. */
const longestChain = 4;

export class Owners {
  readonly #workloads = new Map<string, ObjectRecord>();

  constructor(records: readonly ObjectRecord[]) {
    for (const record of records) {
      if (record.content.type === "workload") this.#workloads.set(identityKey(record), record);
    }
  }

  find(identity: Identity): ObjectRecord | null {
    return this.#workloads.get(identityKey(identity)) ?? null;
  }

  /** Every workload above an object, from its own controller to the topmost. */
  chain({ namespace, owner, labels }: { namespace: string; owner: Owner | null; labels: Labels }): WorkloadRef[] {
    const chain: WorkloadRef[] = [];
    let next = workloadOf(owner);
    // Objects that own each other in a circle can be written down.
    while (next !== null && chain.length < longestChain) {
      chain.push(next);
      const record = this.find({ ...next, namespace });
      next = record === null ? unseenDeployment(next, labels) : workloadOf(record.owner);
    }
    return chain;
  }
}

/**
 * The Deployment of a ReplicaSet that is not in the input. Only Deployments label pods with a pod-template-hash and end the
 * ReplicaSet's name with it, so the name is sure.
 */
function unseenDeployment({ kind, name }: WorkloadRef, labels: Labels): WorkloadRef | null {
  const hash = labels["pod-template-hash"] ?? "";
  const end = `-${hash}`;
  if (kind !== "ReplicaSet" || hash === "" || !name.endsWith(end) || name === end) return null;
  return { kind: "Deployment", name: name.slice(0, -end.length) };
}
