/**
 * The plan: the compiled form of all policies over a world. Evaluator, analyser and nftables writer all read this and
 * nothing else, so that they can't disagree about what a policy means.
 *
 * Two kinds of immutable things are interned by content:
 *
 * - a **policy class** is how one direction of a subject is judged: the effective rules, tiers and order resolved.
 *   Pods with the same effective policies (and, for ingress, the same numbers for the port names in use) share one.
 * - a **peer class** is how the other end looks to the rules of one direction: which peer groups it is in, and (as a
 *   destination) which numbers it has for the port names that rules which match it use.
 *
 * `judge(policyClass, peerClass)` is a pure function of the two. What changes over time is only which class a pod, a
 * node or an address has. Both classes stay usable after the plan has moved on.
 *
 * @example
 * // policy `db` in `shop`: podSelector {app: db}, ingress from {app: api} on TCP 5432 and from 10.0.0.0/8
 * // groups:        #0 pods {app: api} of namespace shop · #1 addresses 10.0.0.0/8
 * // policy class:  ingress, isolated by [shop/db], rules [Accept #0 on TCP:5432, Accept #1 on everything]
 * // peer class:    of pod shop/api (10.244.1.7): groups [0, 1]; of pod shop/web (10.244.1.8): groups [1]
 */
import type { AddressSet, Family } from "../../net/address.ts";
import type { PortProtocol, PortSet } from "../../net/ports.ts";
import type { LabelSelector } from "../model/labels.ts";
import type { Policy, PolicyRef } from "../model/policy.ts";
import type { Action, Direction, End, PortDecision, Reason, Tier } from "../model/verdict.ts";
import type { ClusterFacts, ContainerPort, Namespace, Node, Pod, Service } from "../model/world.ts";

/**
 * An interned set of peers that some rule names. Equal groups are one object; `key` is its content, `id` is unique in
 * one plan and never reused by it.
 */
export type PeerGroup = PodGroup | AddressGroup | NodeGroup;

interface GroupIdentity {
  readonly id: number;
  readonly key: string;
}

/** @example {kind: "pods", namespaces: "shop", pods: {matchLabels: {app: "api"}}} — hostNetwork and finished pods are in none */
export interface PodGroup extends GroupIdentity {
  readonly kind: "pods";
  /** The name of one namespace (peer without namespaceSelector, spec A9.1), or a selector on namespaces. */
  readonly namespaces: string | LabelSelector;
  readonly pods: LabelSelector;
}

/** @example {kind: "addresses", set: 10.0.0.0/8 minus 10.1.0.0/16} — an ipBlock, or the networks of one rule */
export interface AddressGroup extends GroupIdentity {
  readonly kind: "addresses";
  readonly set: AddressSet;
}

/** @example {kind: "nodes", nodes: {}} — every address of the matching nodes (spec C8.5) */
export interface NodeGroup extends GroupIdentity {
  readonly kind: "nodes";
  readonly nodes: LabelSelector;
}

/** A port name that a rule uses; looked up on the destination. `protocol: null` takes whatever the port has (spec C9.5). */
export interface NamedPort {
  readonly name: string;
  readonly protocol: PortProtocol | null;
}

/** @example ports [{port: 80}, {port: web}] → {fixed: TCP:80, named: [{name: "web", protocol: "TCP"}]} */
export interface RulePorts {
  readonly fixed: PortSet;
  readonly named: readonly NamedPort[];
}

export interface PlanRule {
  readonly tier: Exclude<Tier, "Default">;
  readonly action: Action;
  /** OR; `[]` matches nobody (fail closed, spec C12.1). */
  readonly peers: "everything" | readonly PeerGroup[];
  readonly ports: RulePorts;
  readonly reason: Reason;
}

/** One policy after defaulting, its rules of one direction resolved to groups. */
export interface CompiledPolicy {
  readonly ref: PolicyRef;
  /** Canonical text of what decides verdicts: kind, name, spec. Equal text = equal policy, on any machine. */
  readonly content: string;
  readonly tier: Exclude<Tier, "Default">;
  /** null for NetworkPolicy. */
  readonly priority: number | null;
  readonly rules: Readonly<Record<Direction, readonly PlanRule[]>>;
  /** NetworkPolicy: does it isolate in this direction (spec A3.1)? Always false for the other tiers (C3.3). */
  readonly isolates: Readonly<Record<Direction, boolean>>;
  /** The reason of its default deny: `rule: null`. */
  readonly reason: Reason;
}

/** How one direction of a subject is judged. */
export interface PolicyClass {
  readonly id: number;
  /** Content, the same on any machine: direction, contents of `policies` in order, `ownPorts`. */
  readonly key: string;
  readonly direction: Direction;
  /** In order of judgement: Admin by (priority, name), NetworkPolicy by name, Baseline by (priority, name). Those without effect in this direction are left out. */
  readonly policies: readonly CompiledPolicy[];
  /** The policies' rules of this direction, in order of judgement. */
  readonly rules: readonly PlanRule[];
  /** Default-deny reasons: every NetworkPolicy that isolates, by name; [] = not isolated. */
  readonly isolating: readonly Reason[];
  /** Ingress only: the subject's container ports whose names the rules use. */
  readonly ownPorts: readonly ContainerPort[];
  /** Groups that `rules` mention, by id. */
  readonly groups: readonly PeerGroup[];
}

/** How the other end looks to rules of one direction. */
export interface PeerClass {
  readonly id: number;
  /** Content, the same on any machine. */
  readonly key: string;
  /** Of the rules that judge: `egress` = this end is the destination. */
  readonly direction: Direction;
  /** Ascending ids. */
  readonly groups: readonly number[];
  /** Egress only: the destination's container ports whose names egress rules that match it use; [] for ends that are no pods. */
  readonly ports: readonly ContainerPort[];
}

/** A piece of the address space whose addresses are in the same address groups. */
export interface NetClass {
  readonly set: AddressSet;
  /** The class of an address in it that is no pod and no node. */
  readonly peer: PeerClass;
}

/** The pod or node that has an address. */
export type AddressOwner = Exclude<End, { readonly kind: "address" }>;

/** How who has an address looks, at this address, to the rules of both directions. */
export type EndPeers = Readonly<Record<Direction, PeerClass>>;

/**
 * Reading a plan. Pods are named by `namespace/name`. Finished and hostNetwork pods have no classes: asking for one of
 * them, or of a pod that is not in the plan, throws RangeError. Groups of policies without a subject pod do not show.
 */
export interface Plan {
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly services: ReadonlyMap<string, Service>;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly cluster: ClusterFacts;

  /**
   * The pod or node that has an address; null: none has. Of two pods that report one address the running one has it;
   * finished pods have none, and the address of a hostNetwork pod is its node's (spec A8.2, A17.4).
   */
  endAt(address: string): AddressOwner | null;

  /** The class that judges a pod as a subject. A class without policies allows everything. */
  policyClass(pod: Pod, direction: Direction): PolicyClass;

  /** How a pod looks, as the other end, to rules of `direction`, over one family. A pod without an address: see `addressDependent`. */
  podPeer(pod: Pod, family: Family, direction: Direction): PeerClass;
  /** How one address of a node looks. */
  nodePeer(node: Node, address: string, direction: Direction): PeerClass;
  /** `endAt`, and the classes of who has the address: those of `podPeer` and `nodePeer`. */
  peersAt(address: string): { readonly owner: AddressOwner; readonly peers: EndPeers } | null;
  /**
   * `peersAt` of every address that someone has, each once and canonical; without those who are in no group and have no port in
   * either direction, as most are in a plan of one node: they cost next to nothing.
   */
  endPeers(): Iterable<readonly [address: string, peers: EndPeers]>;
  /** How an address that is no pod and no node looks. */
  addressPeer(address: string, direction: Direction): PeerClass;
  /** Address groups that cover some, not all, of the addresses that a pod without an address could get: they don't match, and answers say so. */
  addressDependent(pod: Pod, family: Family, direction: Direction): readonly AddressGroup[];

  /** The address space split by the address groups of rules of `direction`; disjoint, covers everything. */
  netClasses(direction: Direction): readonly NetClass[];

  /** Groups that rules of `direction` of some selected subject mention. */
  groups(direction: Direction): Iterable<PeerGroup>;

  /** Disjoint pieces that together cover `PortSet.all`; memoised. */
  judge(subject: PolicyClass, peer: PeerClass): readonly PortDecision[];

  /** The ports of all pieces that `judge` allows; cheaper, for those who ask about every pair once. */
  allowed(subject: PolicyClass, peer: PeerClass): PortSet;
}

/** One thing that changed in the world; `put` adds or replaces by identity. */
export type Change =
  | { readonly op: "put"; readonly kind: "pod"; readonly object: Pod }
  | { readonly op: "put"; readonly kind: "namespace"; readonly object: Namespace }
  | { readonly op: "put"; readonly kind: "node"; readonly object: Node }
  | { readonly op: "put"; readonly kind: "service"; readonly object: Service }
  | { readonly op: "put"; readonly kind: "policy"; readonly object: Policy }
  | {
      readonly op: "remove";
      readonly kind: "pod" | "namespace" | "node" | "service" | "policy";
      /** `namespace/name` for pods and services, the name for nodes and namespaces, `Kind/namespace/name` for policies (`policyKey`). */
      readonly key: string;
    };

/** What a change may have altered, for readers that keep derived state. */
export interface PlanDelta {
  /** `namespace/name` of pods that came, went, became another of the same name, or whose policy class, peer class or addresses may differ now. */
  readonly pods: ReadonlySet<string>;
  /** Canonical addresses that some of `pods` had before; they can have them still. */
  readonly freed: ReadonlySet<string>;
  /** Did the nodes' peer classes or addresses possibly change? */
  readonly nodes: boolean;
  /** Did the split of the address space possibly change? */
  readonly nets: Readonly<Record<Direction, boolean>>;
}

/** A plan that follows a changing world. */
export interface LivePlan extends Plan {
  /** Applies changes in order; afterwards the plan equals a full compile of the changed world. */
  apply(changes: readonly Change[]): PlanDelta;
}

/** Identity of a policy among all kinds: `Kind/namespace/name`. */
export const policyKey = ({ kind, namespace, name }: PolicyRef): string => `${kind}/${namespace}/${name}`;
