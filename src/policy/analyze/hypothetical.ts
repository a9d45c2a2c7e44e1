/** Pods that are asked about and need not exist: `NS/{k=v}`. */
import { compile } from "../compile/live-plan.ts";
import type { Plan } from "../compile/plan.ts";
import { namespacedName, type Pod, plainPod, type World } from "../model/world.ts";
import { formatReference, type Reference } from "./reference.ts";

type LabelsReference = Extract<Reference, { kind: "labels" }>;

/** The world that a plan was compiled from. */
export const worldOf = ({ nodes, namespaces, pods, services, policies, cluster }: Plan): World => ({
  nodes: Array.from(nodes.values()),
  namespaces: Array.from(namespaces.values()),
  pods: Array.from(pods.values()),
  services: Array.from(services.values()),
  policies: Array.from(policies.values()),
  cluster,
});

/** No object of the API has such a name. */
export const isHypothetical = (pod: Pod): boolean => pod.name.startsWith("{");

/** A pod with exactly these labels, without address, node and ports. `copy` tells several of one question apart. */
export function hypotheticalPod(reference: LabelsReference, copy: number): Pod {
  const text = formatReference(reference);
  const name = text.slice(text.indexOf("{")) + "'".repeat(copy);
  const { namespace, labels } = reference;
  return plainPod(namespace, name, { labels, template: true });
}

/**
 * A plan that also has the hypothetical pods of a question, each reference its own. More pods change no verdict between
 * the others; sets of pods leave these out.
 */
export function withHypothetical(plan: Plan, references: readonly Reference[]): Plan {
  const pods = new Map<string, Pod>();
  for (const reference of references) {
    if (reference.kind !== "labels" || !plan.namespaces.has(reference.namespace)) continue;
    for (let copy = 0; ; copy++) {
      const pod = hypotheticalPod(reference, copy);
      if (pods.has(namespacedName(pod))) continue;
      pods.set(namespacedName(pod), pod);
      break;
    }
  }
  if (pods.size === 0) return plan;
  const world = worldOf(plan);
  return compile({ ...world, pods: [...world.pods, ...pods.values()] });
}
