/** Single edits that could turn a direction of one pair round; whether they do is found by trying. */
import type { PortSet } from "../../net/ports.ts";
import { type Plan, policyKey } from "../compile/plan.ts";
import {
  type ClusterPolicy,
  type NetworkPolicy,
  type NetworkPolicyEgressRule,
  type NetworkPolicyIngressRule,
  type Policy,
  type PolicyRef,
  policyRef,
} from "../model/policy.ts";
import type { Path } from "../model/source.ts";
import type { Action, Direction, Reason } from "../model/verdict.ts";
import { namespacedName, type Pod } from "../model/world.ts";
import { compileSelector } from "../select/selector.ts";
import { type Draft, draft } from "./edits.ts";
import {
  clusterRule,
  networkPolicyPeers,
  networkPolicyPorts,
  networkPolicyRule,
  stableLabels,
  type Target,
} from "./rule-forms.ts";
import type { Json } from "./types.ts";

export interface Candidate {
  readonly edit: Draft;
  /** Lower is better: opens, or closes, less besides what was asked. */
  readonly rank: number;
}

/** One direction of one pair, and what the question says of its ends. */
export interface Situation {
  /** As edited so far; may hold less than `everything`. */
  readonly plan: Plan;
  /** The plan that was asked. */
  readonly everything: Plan;
  readonly direction: Direction;
  /** The subject. */
  readonly pod: Pod;
  /** Every pod that the question asks about on this side. */
  readonly subjects: readonly Pod[];
  /** null: no rule can name the other end. */
  readonly peer: Target | null;
  readonly ports: PortSet;
  /** What decides the ports that are not yet as wanted. */
  readonly reasons: readonly Reason[];
  /** For names of new policies. */
  readonly names: { readonly subject: string; readonly peer: string };
}

/** Reaching further than the question asked: as bad as this many steps down the list. */
const beyond = 3;

const rulesPath = (direction: Direction, ...rest: Path): Path => ["spec", direction, ...rest];

const peersField = (direction: Direction): "from" | "to" => (direction === "ingress" ? "from" : "to");

type NetworkPolicyRule = NetworkPolicyIngressRule & NetworkPolicyEgressRule;

const rulesOf = (policy: NetworkPolicy, direction: Direction): readonly NetworkPolicyRule[] =>
  policy.spec?.[direction] ?? [];

// ---- opening --------------------------------------------------------------------------------------------------------

/** Edits that could let more through, of policies that have rules in the direction. */
export function openingCandidates(situation: Situation): readonly Candidate[] {
  const { plan, reasons, peer } = situation;
  const all: Candidate[] = [];
  const seen = new Set<string>();
  for (const { policy: ref, rule } of reasons) {
    const key = `${policyKey(ref)}#${rule}`;
    const policy = plan.policies.get(policyKey(ref));
    if (policy === undefined || seen.has(key)) continue;
    seen.add(key);
    if (policy.kind !== "NetworkPolicy" && rule !== null) all.push(...beforeDeny(situation, policy, rule));
    if (policy.kind === "NetworkPolicy" && peer !== null) all.push(...intoPolicy(situation, policy, peer));
  }
  if (reasons.some(({ rule }) => rule !== null))
    for (const policy of policiesOf(situation))
      if (policy.kind !== "NetworkPolicy") all.push(...inserted(situation, policy, "Accept", 0, 3));
  const isolated = reasons.some(({ rule }) => rule === null);
  return isolated && peer !== null ? [...all, newAllowPolicy(situation, peer)] : all;
}

/** The policies that judge the subject, in order. */
function policiesOf({ plan, pod, direction }: Situation): readonly Policy[] {
  const { policies } = plan.policyClass(plan.pods.get(namespacedName(pod))!, direction);
  return policies.flatMap(({ ref }) => plan.policies.get(policyKey(ref)) ?? []);
}

/** A Deny rule stands in the way: let the asked pass it, accept it, or remove the rule. */
function beforeDeny(situation: Situation, policy: ClusterPolicy, rule: number): readonly Candidate[] {
  const isLast = policy.kind === "BaselineAdminNetworkPolicy"; // its API has no Pass
  return [
    ...(isLast ? [] : inserted(situation, policy, "Pass", rule, 0)),
    ...inserted(situation, policy, "Accept", rule, 1),
    { edit: draft("remove-rule", policyRef(policy), rulesPath(situation.direction, rule)), rank: 2 * beyond },
  ];
}

/** A rule about the asked, put before the one that has the index now. */
function inserted(
  { peer, ports, direction }: Situation,
  policy: ClusterPolicy,
  action: Action,
  index: number,
  rank: number,
): readonly Candidate[] {
  const value = peer === null ? null : clusterRule(policy.kind, action, peer, ports, direction);
  return value === null
    ? []
    : [{ edit: draft("add-rule", policyRef(policy), rulesPath(direction, index), value), rank }];
}

/** More in a policy that isolates: a rule, or a port or peer of a rule that has the rest already. */
function intoPolicy(situation: Situation, policy: NetworkPolicy, peer: Target): readonly Candidate[] {
  const { direction, ports } = situation;
  const { namespace } = policy.metadata;
  const ref = policyRef(policy);
  const wide = reachBeyond(situation, policy);
  const rules = rulesOf(policy, direction);
  const peers = networkPolicyPeers(peer, namespace);
  const wanted = networkPolicyPorts(ports);
  const field = peersField(direction);
  const inRules = rules.flatMap((rule, index): readonly Candidate[] => {
    const present = (rule[field] ?? []) as readonly Json[];
    const open = (rule.ports ?? []) as readonly Json[];
    if (present.length === 0) return [];
    const samePorts = sameText(open, wanted) && peers.length === 1;
    const samePeers = sameText(present, peers);
    return [
      ...(samePorts
        ? [{ edit: draft("add-peer", ref, rulesPath(direction, index, field), peers[0]), rank: wide }]
        : []),
      ...(open.length > 0 && wanted.length === 1
        ? [
            {
              edit: draft("add-port", ref, rulesPath(direction, index, "ports"), wanted[0]),
              rank: wide + (samePeers ? 0 : beyond),
            },
          ]
        : []),
    ];
  });
  const value = networkPolicyRule(peer, ports, direction, namespace);
  return [...inRules, { edit: draft("add-rule", ref, rulesPath(direction, rules.length), value), rank: wide + 1 }];
}

/** Equal but for the order of fields and the default protocol. */
const sameText = (a: readonly Json[], b: readonly Json[]): boolean => {
  const canonical = (list: readonly Json[]): string =>
    JSON.stringify(
      list.map(
        (one) =>
          Object.entries({ ...(one as object) })
            .filter(([, value]) => value !== null && value !== "TCP")
            .sort(([x], [y]) => (x < y ? -1 : 1)), // by name: values of manifests have no prototype, and so no text
      ),
    );
  return canonical(a) === canonical(b);
};

/** What a policy costs in rank for the pods that it selects besides those that the question asks about: 0 for none, more for more. */
function reachBeyond({ everything, subjects }: Situation, { metadata, spec }: NetworkPolicy): number {
  const matcher = compileSelector(spec?.podSelector ?? {});
  const asked = new Set(subjects);
  let others = 0;
  for (const pod of everything.pods.values())
    if (pod.namespace === metadata.namespace && !asked.has(pod) && (matcher?.matches(pod.labels) ?? true)) others++;
  return others === 0 ? 0 : beyond + others / (others + 1); // less than the next step
}

function newAllowPolicy(situation: Situation, peer: Target): Candidate {
  const { direction, ports, pod } = situation;
  const rule = networkPolicyRule(peer, ports, direction, pod.namespace);
  return newPolicy(situation, { [direction]: [rule] }, "allow", 2);
}

function newPolicy(
  situation: Situation,
  rules: { readonly [key: string]: Json },
  verb: string,
  rank: number,
): Candidate {
  const { direction, pod, subjects, names } = situation;
  const labels = stableLabels(subjects.filter(({ namespace }) => namespace === pod.namespace));
  const name = freeName(
    situation,
    verb === "deny"
      ? `${names.subject}-deny-${direction}`
      : direction === "ingress"
        ? `${names.subject}-from-${names.peer}`
        : `${names.subject}-to-${names.peer}`,
  );
  const { namespace } = pod;
  const spec = {
    podSelector: Object.keys(labels).length === 0 ? {} : { matchLabels: labels },
    policyTypes: [direction === "ingress" ? "Ingress" : "Egress"],
    ...rules,
  };
  const ref: PolicyRef = { kind: "NetworkPolicy", namespace, name };
  const value: Json = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace },
    spec,
  };
  const policy: NetworkPolicy = { kind: "NetworkPolicy", metadata: { name, namespace }, spec, source: null };
  return { edit: draft("add-policy", ref, [], value), rank: rank + reachBeyond(situation, policy) };
}

/** A DNS label that no NetworkPolicy of the namespace has. */
function freeName({ plan, everything, pod }: Situation, wanted: string): string {
  const base = wanted
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 50)
    .replace(/-+$/, "");
  const isTaken = (name: string): boolean => {
    const key = policyKey({ kind: "NetworkPolicy", namespace: pod.namespace, name });
    return plan.policies.has(key) || everything.policies.has(key);
  };
  let name = base;
  for (let n = 2; isTaken(name); n++) name = `${base}-${n}`;
  return name;
}

// ---- closing --------------------------------------------------------------------------------------------------------

/** Edits that could let less through. */
export function closingCandidates(situation: Situation): readonly Candidate[] {
  const { direction, reasons } = situation;
  const deciding = new Set(reasons.map(({ policy, rule }) => `${policyKey(policy)}#${rule}`));
  const all: Candidate[] = [];
  for (const policy of policiesOf(situation)) {
    const ref = policyRef(policy);
    const rules: readonly object[] = policy.spec?.[direction] ?? [];
    const decides = (index: number): boolean => deciding.has(`${policyKey(ref)}#${index}`);
    for (const index of rules.keys())
      all.push({ edit: draft("remove-rule", ref, rulesPath(direction, index)), rank: decides(index) ? 2 : 4 });
    if (policy.kind === "NetworkPolicy") {
      rulesOf(policy, direction).forEach((rule, index) => {
        if (decides(index)) all.push(...narrowing(ref, rule, index, direction));
      });
    } else {
      for (const index of new Set([...[...rules.keys()].filter(decides), 0]))
        all.push(...inserted(situation, policy, "Deny", index, decides(index) ? 1 : 3));
    }
  }
  return [...all, newPolicy(situation, {}, "deny", 5)];
}

/** Fewer peers or ports in a rule; the last one of a list stays, since an empty list means everything. */
export function narrowing(
  ref: PolicyRef,
  rule: NetworkPolicyRule,
  index: number,
  direction: Direction,
): readonly Candidate[] {
  const field = peersField(direction);
  const without = (op: "remove-peer" | "remove-port", list: string, count: number): readonly Candidate[] =>
    count < 2
      ? []
      : Array.from({ length: count }, (_, i) => ({
          edit: draft(op, ref, rulesPath(direction, index, list, i)),
          rank: 1,
        }));
  return [
    ...without("remove-peer", field, rule[field]?.length ?? 0),
    ...without("remove-port", "ports", rule.ports?.length ?? 0),
  ];
}
