/** What random verdicts are counted by: a test over worlds in which some kind never occurs proves less than it seems. */
import { policyKey } from "./compile/plan.ts";
import { type ClusterRule, policyRef } from "./model/policy.ts";
import { type Direction, directions, type Reason, type Verdict } from "./model/verdict.ts";
import type { World } from "./model/world.ts";

/** How a verdict came about: its tiers, actions, exemptions, kinds of peers and of reasons. */
export function kindsOf(world: World, verdict: Verdict): string[] {
  const out = ["verdicts", verdict.allowed ? "allowed" : "denied"];
  for (const direction of directions) {
    const { tier, exempt, reasons } = verdict[direction];
    const [first] = reasons;
    if (exempt !== null) out.push(exempt);
    else if (first === undefined) out.push("nothing decided");
    else if (first.rule === null) out.push("NetworkPolicy default deny");
    else out.push(`${tier} ${first.action}`, ...reasons.flatMap((reason) => peerKinds(world, reason, direction)));
    if (reasons.length > 1) out.push("several reasons");
  }
  return out;
}

/** What kinds of peers the rule that decided has. */
function peerKinds(world: World, { policy: ref, rule }: Reason, direction: Direction): string[] {
  const policy = world.policies.find((one) => policyKey(policyRef(one)) === policyKey(ref))!;
  const rules: readonly object[] = policy.spec?.[direction] ?? [];
  const { from, to } = rules[rule!] as { from?: readonly object[] | null; to?: readonly object[] | null };
  const peers = from ?? to ?? [];
  const kind = policy.kind === "NetworkPolicy" ? "NetworkPolicy rule" : "cluster rule";
  if (peers.length === 0) return [`${kind} everybody`];
  return peers.map((peer) => {
    const set = Object.entries(peer).flatMap(([field, value]) => (value === null ? [] : [field]));
    return `${kind} ${set.length === 2 ? "both" : (set[0] ?? "of nothing")}`;
  });
}

/** The world without cluster rules of an action. */
export function withoutRules(world: World, action: string): World {
  const kept = (rules: readonly ClusterRule[] | null | undefined) =>
    rules?.filter((rule) => rule.action !== action) ?? [];
  return {
    ...world,
    policies: world.policies.map((policy) =>
      policy.kind === "NetworkPolicy"
        ? policy
        : { ...policy, spec: { ...policy.spec, ingress: kept(policy.spec.ingress), egress: kept(policy.spec.egress) } },
    ),
  };
}
