/** Which policies a difference comes from. */
import { type Family, families } from "../../net/address.ts";
import type { PortSet } from "../../net/ports.ts";
import { type Plan, policyKey } from "../compile/plan.ts";
import { decisions, type PairDecisions } from "../evaluate/evaluate.ts";
import type { Policy, PolicyRef } from "../model/policy.ts";
import { directions, type PortDecision } from "../model/verdict.ts";
import type { CommonEndpoint } from "./common-endpoints.ts";
import { endOf } from "./endpoint.ts";
import { isOwnNode } from "./judge.ts";
import type { MapRow } from "./map-rows.ts";

/**
 * The policies that decide these ports, in a direction whose verdict changed, and that are not the same on both sides;
 * where all are the same (labels or addresses changed), all that decide.
 */
export function responsiblePolicies(
  before: Plan,
  after: Plan,
  from: CommonEndpoint,
  to: CommonEndpoint,
  ports: PortSet,
): readonly PolicyRef[] {
  const deciding = new Map<string, PolicyRef>();
  for (const family of families) {
    const old = decisionsOf(before, from.before, to.before, family);
    const now = decisionsOf(after, from.after, to.after, family);
    for (const direction of directions)
      for (const ref of changedIn(old?.[direction] ?? [], now?.[direction] ?? [], ports))
        deciding.set(policyKey(ref), ref);
  }
  const all = Array.from(deciding.values());
  const changed = all.filter((ref) => {
    const key = policyKey(ref);
    return !isSame(before.policies.get(key), after.policies.get(key));
  });
  return changed.length > 0 ? changed : all;
}

function decisionsOf(plan: Plan, from: MapRow | null, to: MapRow | null, family: Family): PairDecisions | null {
  const source = from?.members[0];
  if (source === undefined || to === null) return null;
  const target = to.members.find((end) => !isOwnNode(source, end)) ?? to.members[0]!;
  const [fromFace] = source.faces[family];
  const [toFace] = target.faces[family];
  if (fromFace === undefined || toFace === undefined) return null;
  return decisions(plan, endOf(source, fromFace), endOf(target, toFace), family);
}

/** The policies of pieces whose verdict differs; of a pair that only one side has, of all pieces. */
function changedIn(old: readonly PortDecision[], now: readonly PortDecision[], ports: PortSet): readonly PolicyRef[] {
  const found: PolicyRef[] = [];
  const note = (piece: PortDecision): void => {
    for (const { policy } of piece.decision.reasons) found.push(policy);
  };
  const meets = (piece: PortDecision, set: PortSet): boolean => !piece.ports.intersect(set).isEmpty;
  for (const piece of old.length === 0 ? now : []) if (meets(piece, ports)) note(piece);
  for (const piece of now.length === 0 ? old : []) if (meets(piece, ports)) note(piece);
  for (const a of old)
    for (const b of now) {
      if (a.decision.verdict === b.decision.verdict || !meets(a, b.ports.intersect(ports))) continue;
      note(a);
      note(b);
    }
  return found;
}

function isSame(a: Policy | undefined, b: Policy | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || JSON.stringify(a.spec) === JSON.stringify(b.spec);
}
