/** Which workload a pod belongs to: up the controllers, as far as they are known. */
import type { Labels } from "../policy/model/labels.ts";
import { type Owner, ownerWorkload, unseenDeployment } from "../policy/model/workload.ts";
import type { WorkloadRef } from "../policy/model/world.ts";
import { type Identity, identityKey, type ObjectRecord } from "./record.ts";

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
    let next = ownerWorkload(owner);
    // Objects that own each other in a circle can be written down.
    while (next !== null && chain.length < longestChain) {
      chain.push(next);
      const record = this.find({ ...next, namespace });
      next = record === null ? unseenDeployment(next, labels) : ownerWorkload(record.owner);
    }
    return chain;
  }
}
