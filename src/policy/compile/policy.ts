/** One policy, compiled: defaults filled in, rules resolved to peer groups and port sets, what is not understood closed. */
import { AddressSet, type Cidr, parseCidr } from "../../net/address.ts";
import { effectivePolicyTypes } from "../decode/defaults.ts";
import type { LabelSelector } from "../model/labels.ts";
import type {
  ClusterPeer,
  ClusterPolicy,
  ClusterRule,
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  Policy,
  PolicyRef,
} from "../model/policy.ts";
import { policyRef } from "../model/policy.ts";
import type { Path } from "../model/source.ts";
import type { Action, Direction, Reason } from "../model/verdict.ts";
import type { AddressGroup, CompiledPolicy, NodeGroup, PeerGroup, PlanRule, PodGroup, RulePorts } from "./plan.ts";
import { adminPorts, clusterProtocols, everyPort, networkPolicyPorts, noPort } from "./rule-ports.ts";

/** Hands out the one group object of each content; null for selectors that cannot be parsed. */
export interface GroupInterner {
  pods(namespaces: string | LabelSelector, pods: LabelSelector): PodGroup | null;
  nodes(nodes: LabelSelector): NodeGroup | null;
  addresses(set: AddressSet): AddressGroup;
}

/** A compiled policy and the pods it applies to; `null` when it applies to none, ever. */
export interface PolicyWithSubject {
  readonly compiled: CompiledPolicy;
  readonly subject: PodGroup | null;
}

/** Makes something of the pods that two selectors name; null for selectors that cannot be parsed. */
type OfPods<T> = (namespaces: string | LabelSelector, pods: LabelSelector) => T | null;

/** The pods that a policy applies to. */
interface Subject<T> {
  /** null: none, ever. */
  readonly of: T | null;
  /** false: not what is written, but every pod that could be meant. */
  readonly parsed: boolean;
}

type PeersOf = PlanRule["peers"];

const everyObject: LabelSelector = {};

/**
 * Compiles one policy.
 *
 * A policy that must not be enforced (unknown tier: spec C12.3) or that names no subject has `subject: null`.
 */
export function compilePolicy(policy: Policy, groups: GroupInterner): PolicyWithSubject {
  return policy.kind === "NetworkPolicy" ? compileNetworkPolicy(policy, groups) : compileClusterPolicy(policy, groups);
}

/** The pods that a policy applies to, without compiling it. */
export function policySubject<T>(policy: Policy, ofPods: OfPods<T>): T | null {
  if (policy.kind === "NetworkPolicy") return networkPolicySubject(policy, ofPods).of;
  return clusterTier(policy) === null ? null : clusterSubject(policy, ofPods).of;
}

/** A selector that cannot be parsed applies to all pods of the namespace, with rules that match nothing (spec A10.9). */
function networkPolicySubject<T>({ metadata: { namespace }, spec }: NetworkPolicy, ofPods: OfPods<T>): Subject<T> {
  const exact = ofPods(namespace, spec?.podSelector ?? everyObject);
  return { of: exact ?? ofPods(namespace, everyObject), parsed: exact !== null };
}

const byInterner =
  (groups: GroupInterner): OfPods<PodGroup> =>
  (namespaces, pods) =>
    groups.pods(namespaces, pods);

function compileNetworkPolicy(policy: NetworkPolicy, groups: GroupInterner): PolicyWithSubject {
  const spec = policy.spec ?? {};
  const { namespace } = policy.metadata;
  const ref = policyRef(policy);
  const types = effectivePolicyTypes(spec);
  const isolates = { ingress: types.includes("Ingress"), egress: types.includes("Egress") };
  const subject = networkPolicySubject(policy, byInterner(groups));
  const rule = (
    direction: Direction,
    index: number,
    peers: readonly NetworkPolicyPeer[] | null | undefined,
    ports: readonly NetworkPolicyPort[] | null | undefined,
  ): PlanRule => ({
    tier: "NetworkPolicy",
    action: "Accept",
    peers: subject.parsed ? networkPolicyPeers(peers, namespace, groups) : [],
    ports: networkPolicyPorts(ports),
    reason: reason(policy, ref, direction, index, "Accept"),
  });
  return compiledPolicy(policy, ref, subject.of, {
    tier: "NetworkPolicy",
    priority: null,
    isolates,
    // A section whose direction is not in policyTypes is ignored: A2.3
    rules: {
      ingress: isolates.ingress ? (spec.ingress ?? []).map((r, i) => rule("ingress", i, r.from, r.ports)) : [],
      egress: isolates.egress ? (spec.egress ?? []).map((r, i) => rule("egress", i, r.to, r.ports)) : [],
    },
  });
}

function networkPolicyPeers(
  peers: readonly NetworkPolicyPeer[] | null | undefined,
  namespace: string,
  groups: GroupInterner,
): PeersOf {
  if (!peers || peers.length === 0) return "everything";
  const found: PeerGroup[] = [];
  for (const { podSelector, namespaceSelector, ipBlock } of peers) {
    if (ipBlock) {
      if (podSelector || namespaceSelector) continue; // cannot be stored (B5.2): matches nothing
      const set = ipBlockSet(ipBlock);
      if (set !== null) found.push(groups.addresses(set));
    } else if (podSelector || namespaceSelector) {
      const group = groups.pods(namespaceSelector ?? namespace, podSelector ?? everyObject); // A9.1–A9.4
      if (group !== null) found.push(group);
    }
  }
  return distinct(found);
}

/** null when the block or one of its exceptions cannot be read: what it would cut out is then unknown. */
function ipBlockSet({ cidr, except }: IPBlock): AddressSet | null {
  const block = parseCidr(cidr);
  const holes = (except ?? []).map(parseCidr);
  if (block === null || !holes.every((hole) => hole !== null)) return null;
  const set = AddressSet.ofCidrs([block.cidr]);
  return holes.length === 0 ? set : set.minus(AddressSet.ofCidrs(holes.map((hole) => hole.cidr)));
}

/** The priority at which a BaselineAdminNetworkPolicy stands among Baseline ClusterNetworkPolicies (spec C18.1). */
const baselinePriority = 1000;

function compileClusterPolicy(policy: ClusterPolicy, groups: GroupInterner): PolicyWithSubject {
  const { kind, spec } = policy;
  const ref = policyRef(policy);
  const tier = clusterTier(policy);
  const subject = clusterSubject(policy, byInterner(groups));
  const rules = (direction: Direction): PlanRule[] =>
    (spec[direction] ?? []).map((rule, index) => {
      const judged = clusterRule(policy, direction, rule, subject.parsed, groups);
      return { tier: tier ?? "Admin", ...judged, reason: reason(policy, ref, direction, index, judged.action) };
    });
  return compiledPolicy(policy, ref, tier === null ? null : subject.of, {
    tier: tier ?? "Admin",
    priority: kind === "BaselineAdminNetworkPolicy" ? baselinePriority : (spec.priority ?? baselinePriority),
    isolates: { ingress: false, egress: false },
    rules: { ingress: rules("ingress"), egress: rules("egress") },
  });
}

function clusterTier({ kind, spec }: ClusterPolicy): "Admin" | "Baseline" | null {
  if (kind === "AdminNetworkPolicy") return "Admin";
  if (kind === "BaselineAdminNetworkPolicy") return "Baseline";
  return spec.tier === "Admin" || spec.tier === "Baseline" ? spec.tier : null;
}

/** An unknown action is judged as Deny (spec C12.3); which names are known differs by kind (C16.2). */
function clusterAction({ kind }: ClusterPolicy, written: string): Action {
  if (written === (kind === "ClusterNetworkPolicy" ? "Accept" : "Allow")) return "Accept";
  return written === "Pass" && kind !== "BaselineAdminNetworkPolicy" ? "Pass" : "Deny";
}

/**
 * The pods a cluster policy applies to. Where a selector cannot be parsed, or not exactly one field is set, the policy
 * applies to all pods that could be meant (`parsed: false`): what it denies must not get through (spec C1.4).
 */
function clusterSubject<T>({ spec }: ClusterPolicy, ofPods: OfPods<T>): Subject<T> {
  const { namespaces, pods } = spec.subject;
  const one = Boolean(namespaces) !== Boolean(pods);
  const inNamespaces = (one ? (namespaces ?? pods?.namespaceSelector) : null) ?? everyObject;
  const selected = (one ? pods?.podSelector : null) ?? everyObject;
  const exact = ofPods(inNamespaces, selected);
  if (exact !== null) return { of: exact, parsed: one };
  const wider = ofPods(inNamespaces, everyObject) ?? ofPods(everyObject, selected);
  return { of: wider ?? ofPods(everyObject, everyObject), parsed: false };
}

/** What a rule does, to whom, on which ports; closed where it is not understood. */
function clusterRule(
  policy: ClusterPolicy,
  direction: Direction,
  rule: ClusterRule,
  subjectParsed: boolean,
  groups: GroupInterner,
): Pick<PlanRule, "action" | "peers" | "ports"> {
  const action = clusterAction(policy, rule.action);
  const accepts = action === "Accept";
  const peers = clusterPeers(direction, rule, action, groups);
  // Not understood: Accept matches nothing, Deny and Pass deny everything (C12.1)
  if (peers === "unknown" && !accepts) return { action: "Deny", peers: "everything", ports: everyPort };
  if (peers === "unknown" || (accepts && !subjectParsed)) return { action, peers: [], ports: noPort };
  return { action: subjectParsed ? action : "Deny", peers, ports: clusterPorts(policy, rule, accepts) };
}

function clusterPorts({ kind }: ClusterPolicy, rule: ClusterRule, accepts: boolean): RulePorts {
  return kind === "ClusterNetworkPolicy" ? clusterProtocols(rule.protocols, accepts) : adminPorts(rule.ports, accepts);
}

/** `unknown` when there is none, or one that is not understood, which decides about the whole rule (spec C2, C12.1). */
function clusterPeers(
  direction: Direction,
  rule: ClusterRule,
  action: Action,
  groups: GroupInterner,
): readonly PeerGroup[] | "unknown" {
  const peers = (direction === "ingress" ? rule.from : rule.to) ?? [];
  if (peers.length === 0) return "unknown";
  const found: PeerGroup[] = [];
  for (const peer of peers) {
    const group = clusterPeer(direction, peer, action, groups);
    if (group === "unknown") return "unknown";
    if (group !== null) found.push(group);
  }
  return distinct(found);
}

/** null: matches nothing. */
function clusterPeer(
  direction: Direction,
  { namespaces, pods, nodes, networks, domainNames }: ClusterPeer,
  action: Action,
  groups: GroupInterner,
): PeerGroup | null | "unknown" {
  const egress = direction === "egress"; // the other fields are no fields of ingress peers: C7.1
  const fields = [namespaces, pods, ...(egress ? [nodes, networks?.length, domainNames?.length] : [])];
  if (fields.filter(Boolean).length !== 1) return "unknown";
  if (namespaces) return groups.pods(namespaces, everyObject);
  if (pods) return groups.pods(pods.namespaceSelector ?? everyObject, pods.podSelector ?? everyObject);
  if (nodes) return groups.nodes(nodes);
  if (networks?.length) return networkPeer(networks, action, groups);
  return action === "Accept" ? null : "unknown"; // names are not resolved; Deny and Pass with names: C8.7
}

function networkPeer(
  networks: readonly string[],
  action: Action,
  groups: GroupInterner,
): AddressGroup | null | "unknown" {
  const cidrs: Cidr[] = [];
  for (const text of networks) {
    const parsed = parseCidr(text);
    if (parsed !== null) cidrs.push(parsed.cidr);
    else if (action !== "Accept") return "unknown";
  }
  return cidrs.length === 0 ? null : groups.addresses(AddressSet.ofCidrs(cidrs));
}

const distinct = (groups: readonly PeerGroup[]): readonly PeerGroup[] =>
  groups.length < 2 ? groups : [...new Set(groups)];

/** Positions are looked up when someone reads them: most reasons are never shown. */
function reason(
  { source }: Policy,
  ref: PolicyRef,
  direction: Direction | null,
  rule: number | null,
  action: Action,
): Reason {
  if (source === null) return { policy: ref, rule, action, position: null };
  const path: Path = direction === null || rule === null ? ["metadata", "name"] : ["spec", direction, rule];
  return {
    policy: ref,
    rule,
    action,
    get position() {
      return source.position(path);
    },
  };
}

function compiledPolicy(
  policy: Policy,
  ref: PolicyRef,
  subject: PodGroup | null,
  parts: Pick<CompiledPolicy, "tier" | "priority" | "rules" | "isolates">,
): PolicyWithSubject {
  let content: string | undefined;
  const compiled: CompiledPolicy = {
    ref,
    ...parts,
    reason: reason(policy, ref, null, null, "Deny"),
    get content() {
      content ??= JSON.stringify([
        ref.kind,
        ref.namespace,
        ref.name,
        parts.tier,
        parts.priority,
        subject?.key ?? null,
        parts.isolates.ingress,
        parts.rules.ingress.map(ruleContent),
        parts.isolates.egress,
        parts.rules.egress.map(ruleContent),
      ]);
      return content;
    },
  };
  return { compiled, subject };
}

const ruleContent = ({ action, peers, ports }: PlanRule): unknown => [
  action,
  peers === "everything" ? peers : peers.map(({ key }) => key).sort(),
  ports.fixed.key,
  ports.named.map(({ name, protocol }) => `${name}/${protocol ?? "*"}`).sort(),
];
