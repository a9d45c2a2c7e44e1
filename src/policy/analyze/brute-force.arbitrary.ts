/** What the analyser must agree with: every pair of single ends, asked one by one with the evaluator. */
import { type Family, families, parseAddress } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import type { Plan } from "../compile/plan.ts";
import { allowedPorts } from "../evaluate/evaluate.ts";
import type { End } from "../model/verdict.ts";
import { isFinished, type Pod, type World } from "../model/world.ts";

/** One end with one family; nodes have an end for each of their addresses. */
export interface SingleEnd {
  readonly end: End;
  readonly family: Family;
}

const familyOf = (ip: string): Family => parseAddress(ip)!.family;

export function singleEnds(end: End): readonly SingleEnd[] {
  if (end.kind === "address") return [{ end, family: familyOf(end.address) }];
  if (end.kind === "pod")
    return end.pod.ips.length === 0
      ? families.map((family) => ({ end, family }))
      : end.pod.ips.map((ip) => ({ end, family: familyOf(ip) }));
  return end.node.ips.map((ip) => ({ end: { kind: "node", node: { ...end.node, ips: [ip] } }, family: familyOf(ip) }));
}

export const podEnd = (pod: Pod): End => ({ kind: "pod", pod });

/** Pods that maps and sets have: running, with a network of their own. */
export const endPods = (world: World): readonly Pod[] =>
  world.pods.filter((pod) => !pod.hostNetwork && !isFinished(pod));

/** What all of the pairs allow, by family; empty when no pair has a family in common. */
export function allowedByFamily(
  plan: Plan,
  from: readonly End[],
  to: readonly End[],
  viaService = false,
): Map<Family, { readonly all: PortSet; readonly some: PortSet }> {
  const found = new Map<Family, { all: PortSet; some: PortSet }>();
  for (const a of from.flatMap(singleEnds))
    for (const b of to.flatMap(singleEnds)) {
      if (a.family !== b.family || (!viaService && isSelf(a.end, b.end))) continue;
      const allowed = allowedPorts(plan, a.end, b.end, a.family, { viaService });
      const before = found.get(a.family) ?? { all: PortSet.all, some: PortSet.empty };
      found.set(a.family, { all: before.all.intersect(allowed), some: before.some.union(allowed) });
    }
  return found;
}

const isSelf = (a: End, b: End): boolean => a.kind === "pod" && b.kind === "pod" && a.pod === b.pod;
