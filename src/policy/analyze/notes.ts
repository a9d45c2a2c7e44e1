/** What answers depend on, or leave out: found beside a question. */
import { type Family, formatCidr } from "../../net/address.ts";
import { type AddressGroup, type Plan, policyKey } from "../compile/plan.ts";
import type { PolicyRef } from "../model/policy.ts";
import type { Action, Direction } from "../model/verdict.ts";
import type { Endpoint } from "./endpoint.ts";
import { subjectOf } from "./judge.ts";
import type { Quantified, Question } from "./quantify.ts";
import type { Note } from "./types.ts";

/** The notes on a question about sets of ends. */
export function notesOn(plan: Plan, { from, to, families: asked }: Question, found: Quantified): readonly Note[] {
  const destinations = Array.from(to.keys());
  return [
    ...addressNotes(plan, from, destinations, "ingress", asked, found),
    ...addressNotes(plan, destinations, from, "egress", asked, found),
    ...ownNodeNotes(from, destinations, found),
    ...domainNotes(plan, from, destinations),
    ...(found.withoutFamily > 0 && found.pairs > 0
      ? [{ note: "no-common-family", pairs: found.withoutFamily } as const]
      : []),
  ];
}

/** Pods without an address among `ends`, where rules of the others' `direction` name some of the addresses they could get. */
function addressNotes(
  plan: Plan,
  ends: readonly Endpoint[],
  others: readonly Endpoint[],
  direction: Direction,
  asked: readonly Family[],
  found: Quantified,
): readonly Note[] {
  const named = new Set<number>();
  const subjects = new Set(others.map((other) => subjectOf(other, direction)));
  for (const subject of subjects)
    for (const { action, peers } of subject?.rules ?? [])
      if (peers !== "everything" && couldChange(action, found)) for (const { id } of peers) named.add(id);
  const texts = new Map<readonly AddressGroup[], readonly string[]>();
  const cidrsOf = (groups: readonly AddressGroup[], family: Family): readonly string[] => {
    const known = texts.get(groups);
    if (known !== undefined) return known;
    const sets = groups.filter((group) => named.has(group.id)).map(({ set }) => set);
    const cidrs = sets.flatMap((set) =>
      set
        .cidrs()
        .filter((cidr) => cidr.family === family)
        .map(formatCidr),
    );
    texts.set(groups, cidrs);
    return cidrs;
  };
  return ends.flatMap((end): readonly Note[] => {
    if (end.kind !== "pod" || end.pod.ips.length > 0) return [];
    // INVARIANT: one array of groups for all pods without an address, of one family and direction
    const cidrs = asked.flatMap((family) => cidrsOf(plan.addressDependent(end.pod, family, direction), family));
    return cidrs.length === 0 ? [] : [{ note: "depends-on-address", endpoint: end.ref, cidrs: [...new Set(cidrs)] }];
  });
}

/** Could one more match of a rule change what was found? All allowed: not by Accept. All denied: not by Deny. */
const couldChange = (action: Action, { counterexample, example }: Quantified): boolean =>
  action === "Accept" ? counterexample !== null : action === "Deny" ? example !== null : true;

function ownNodeNotes(from: readonly Endpoint[], to: readonly Endpoint[], found: Quantified): readonly Note[] {
  if (found.counterexample === null || !from.some((end) => end.kind === "node")) return [];
  return to
    .filter(
      (end) =>
        end.kind === "pod" &&
        end.pod.node === null &&
        end.subject.ingress.rules.length + end.subject.ingress.isolating.length > 0,
    )
    .map((end) => ({ note: "own-node-unknown", endpoint: end.ref }));
}

/** Rules with domain names of pods that ask for addresses outside. */
function domainNotes(plan: Plan, from: readonly Endpoint[], to: readonly Endpoint[]): readonly Note[] {
  if (!to.some((end) => end.kind === "addresses")) return [];
  const policies = new Map<string, PolicyRef>();
  for (const end of from)
    for (const { ref } of subjectOf(end, "egress")?.policies ?? []) policies.set(policyKey(ref), ref);
  return Array.from(policies, ([key, policy]): readonly Note[] => {
    const object = plan.policies.get(key);
    if (object === undefined || object.kind === "NetworkPolicy") return [];
    return (object.spec.egress ?? []).flatMap(({ to: peers }, rule) =>
      (peers ?? []).some(({ domainNames }) => (domainNames ?? []).length > 0)
        ? [{ note: "domain-names", policy, rule } as const]
        : [],
    );
  }).flat();
}
