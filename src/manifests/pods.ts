/** Pods, and the pods that workloads stand for. */
import { isFinished, namespacedName, type Pod, type WorkloadRef } from "../policy/model/world.ts";
import { UniqueNames } from "./names.ts";
import { Owners } from "./owners.ts";
import { contents, identityKey, type ObjectRecord, type RecordOf } from "./record.ts";

/** A pod and every workload above it; its own last one is the `workload` of the model. */
interface Owned {
  readonly pod: Pod;
  readonly chain: readonly WorkloadRef[];
}

/** Pods as given, and one for each workload that has none (design, Decisions: duplicates). */
export function joinPods(records: readonly ObjectRecord[]): Pod[] {
  const owners = new Owners(records);
  const pods = contents(records, "pod").map((record) => ownedPod(record, owners));
  const standing = new Set(pods.flatMap(standsFor));
  const templates = contents(records, "workload").flatMap((record) => templatePod(record, owners, standing));
  return withUniqueNames([...pods.map(({ pod }) => pod), ...templates]);
}

function ownedPod(record: RecordOf<"pod">, owners: Owners): Owned {
  const { namespace, name, owner, source, content } = record;
  const chain = owners.chain({ namespace, owner, labels: content.pod.labels });
  const workload = chain.at(-1) ?? { kind: "Pod", name };
  const pod: Pod = {
    ...content.pod,
    namespace,
    name,
    workload,
    template: false,
    replicas: replicasOf(workload, namespace, owners),
    source,
  };
  return { pod, chain };
}

function replicasOf(workload: WorkloadRef, namespace: string, owners: Owners): number | null {
  const content = owners.find({ ...workload, namespace })?.content;
  return content?.type === "workload" ? content.replicas : null;
}

/**
 * The workloads whose template a pod makes superfluous. A finished pod of a workload that goes on making pods does not:
 * the next one will come from the template.
 */
function standsFor({ pod, chain }: Owned): string[] {
  return chain
    .filter(({ kind }) => !isFinished(pod) || (kind === "Job" && pod.phase === "Succeeded"))
    .map(({ kind, name }) => identityKey({ kind, namespace: pod.namespace, name }));
}

/** Owned ReplicaSets and Jobs are no endpoints, as their owner is one; unless the input has nothing else of it. */
function templatePod(record: RecordOf<"workload">, owners: Owners, standing: ReadonlySet<string>): Pod[] {
  const { namespace, name, source, content } = record;
  const chain = owners.chain({ namespace, owner: record.owner, labels: content.pod.labels });
  const above = chain.map((workload) => ({ ...workload, namespace }));
  if ([record, ...above].some((identity) => standing.has(identityKey(identity)))) return [];
  if (above.some((identity) => owners.find(identity) !== null)) return [];
  if (above.length > 0 && (content.replicas === 0 || isFinished(content.pod))) return [];
  const workload = chain.at(-1) ?? { kind: content.kind, name };
  return [{ ...content.pod, namespace, name, workload, template: true, replicas: content.replicas, source }];
}

/** A template pod has its workload's name, unless a pod or a workload of another kind has it too. */
function withUniqueNames(pods: readonly Pod[]): Pod[] {
  const count = new Map<string, number>();
  for (const pod of pods) count.set(namespacedName(pod), (count.get(namespacedName(pod)) ?? 0) + 1);
  const names = new UniqueNames();
  return pods.map((pod) => {
    const isShared = pod.template && count.get(namespacedName(pod))! > 1;
    const wanted = isShared ? `${pod.name}.${pod.workload.kind.toLowerCase()}` : pod.name;
    const name = names.take(pod.namespace, wanted, ".");
    return name === pod.name ? pod : { ...pod, name };
  });
}
