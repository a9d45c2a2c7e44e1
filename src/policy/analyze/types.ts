/**
 * What the analyser answers, as plain data in the shape of the JSON contracts (docs: "JSON contracts"): `JSON.stringify`
 * of a result is the contract. Text for people is made from these by `src/report`.
 *
 * Ports are lists of inclusive ranges; all ports of a protocol are 1–65535, protocol `other` is the one range 0–0.
 * `from`, `to` and `ref` are endpoint references in canonical spelling: they can be given back to every command.
 */
import type { Family } from "../../net/address.ts";
import type { PortRange, Protocol } from "../../net/ports.ts";
import type { Labels } from "../model/labels.ts";
import type { PolicyRef } from "../model/policy.ts";
import type { Action, Direction, Exemption, Outcome, Tier } from "../model/verdict.ts";

export const apiVersion = "bulkhead.dev/v1alpha1";

export type Ports = readonly PortRange[];

/** Why a question can't be answered (exit 2): the reference, port or file is wrong, not the policies. */
export interface Problem {
  readonly problem: ProblemCode;
  /** One sentence without final stop: `no pod or workload "wbe" in namespace "shop"; did you mean "web"?` */
  readonly message: string;
}

export type ProblemCode =
  | "syntax"
  | "not-found"
  | "too-large"
  | "finished-pod"
  | "external-name"
  | "no-endpoints"
  | "no-such-port"
  | "no-common-family"
  | "nothing-to-ask"
  | "bad-test";

export const isProblem = (value: object): value is Problem => "problem" in value;

// ---- Verdict: `can` -------------------------------------------------------------------------------------------------

/** @example {policy: {kind: "NetworkPolicy", namespace: "shop", name: "db"}, rule: 0, action: "Accept", file: "db.yaml", line: 12, column: 5} */
export interface ReasonEntry {
  readonly policy: PolicyRef;
  /** 0-based; null for a default deny. */
  readonly rule: number | null;
  readonly action: Action;
  /** null for objects from a cluster. */
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

/** @example {verdict: "deny", tier: "NetworkPolicy", exempt: null, reasons: [{…, rule: null, action: "Deny", …}]} */
export interface DirectionEntry {
  readonly verdict: Outcome;
  readonly tier: Tier;
  readonly exempt: Exemption | null;
  readonly reasons: readonly ReasonEntry[];
}

/** One direction of a pair, over all ports that were asked. */
export interface PortDirectionEntry extends DirectionEntry {
  readonly ports: Ports;
}

/**
 * One flow out of a set of them; `from` and `to` name single ends: a pod, a node or an address.
 * @example {from: "shop/web", to: "shop/db", protocol: "TCP", port: 5432, family: "IPv4"}
 */
export interface FlowEntry {
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  /** The destination's own port, 0 for protocol `other`. */
  readonly port: number;
  readonly family: Family;
}

/** What an answer depends on, or leaves out; `formatNote` makes the sentence. */
export type Note =
  /** A pod without an address: the CIDRs cover some of the addresses that it could get, and count as not matching it. */
  | { readonly note: "depends-on-address"; readonly endpoint: string; readonly cidrs: readonly string[] }
  /** A pod without nodeName: the exemption of its own node (spec A7.3) was not applied. */
  | { readonly note: "own-node-unknown"; readonly endpoint: string }
  /** A workload was asked about itself: the answer is about one of its pods calling another. */
  | { readonly note: "between-replicas"; readonly endpoint: string }
  /** A hostNetwork pod without nodeName: judged as some node that is not the peer's. */
  | { readonly note: "host-node-unknown"; readonly endpoint: string }
  /** Rules that name domain names match nothing until the names are known (spec C8.7). */
  | { readonly note: "domain-names"; readonly policy: PolicyRef; readonly rule: number }
  /** hostNetwork pods are judged as their node (spec A8.2). */
  | { readonly note: "host-network"; readonly endpoint: string; readonly node: string }
  /** A Service port was asked; the pods were asked on `targetPort`. */
  | {
      readonly note: "target-port";
      readonly service: string;
      readonly port: number;
      readonly targetPort: number | string;
    }
  /** Ends of the set without the port name: they were not asked. */
  | { readonly note: "port-name-missing"; readonly name: string; readonly endpoints: readonly string[] }
  /** Pairs without a common family in a set: they were not asked. */
  | { readonly note: "no-common-family"; readonly pairs: number };

/**
 * The answer to "can FROM reach TO on PORT?". Allowed when every pair of ends, on every port asked, over every family
 * that both have, is allowed.
 *
 * @example
 * {apiVersion: "bulkhead.dev/v1alpha1", kind: "Verdict", from: "shop/deployment/web", to: "shop/deployment/db",
 *  protocol: "TCP", port: 5432, asked: "5432/TCP", allowed: true, partly: true,
 *  egress: {verdict: "allow", tier: "Default", exempt: null, reasons: []},
 *  ingress: {verdict: "allow", tier: "NetworkPolicy", exempt: null, reasons: [{policy: …, rule: 0, …}]},
 *  pairs: 1, ports: {allowed: [{protocol: "TCP", start: 5432, end: 5432}], denied: []}, notes: []}
 */
export interface Answer {
  readonly apiVersion: typeof apiVersion;
  readonly kind: "Verdict";
  readonly from: string;
  readonly to: string;
  /** Of the one port asked; both null when the question has several. */
  readonly protocol: Protocol | null;
  readonly port: number | null;
  /** The port as asked, in canonical spelling: `5432/TCP`, `any`, `8000-8100/TCP`, `http`. */
  readonly asked: string;
  readonly allowed: boolean;
  /** Is at least one pair allowed on at least one of the ports? `expect: deny` means: not even partly. */
  readonly partly: boolean;
  /** How the counterexample was decided; when there is none, the first flow that was asked. */
  readonly egress: DirectionEntry;
  readonly ingress: DirectionEntry;
  /** Pairs of single ends that were asked. */
  readonly pairs: number;
  /** Of the ports asked (on the destination, after targetPort): those on which all is allowed, and the others. */
  readonly ports: { readonly allowed: Ports; readonly denied: Ports };
  /** What each family allows, present when they differ. */
  readonly families?: Readonly<Record<Family, Ports>>;
  /** Present when not allowed: one flow that is denied. */
  readonly counterexample?: FlowEntry;
  /** Present when partly allowed and not allowed: one flow that is allowed. */
  readonly example?: FlowEntry;
  /** Of a question about one pair: how each direction decides each of the ports asked, over the family of the counterexample. */
  readonly decisions?: Readonly<Record<Direction, readonly PortDirectionEntry[]>>;
  readonly notes: readonly Note[];
}

// ---- Explanation: `explain` -----------------------------------------------------------------------------------------

/** Plain JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * One edit of one policy. `path` is a field path inside the object, as API errors write it.
 *
 * - `add-rule` inserts `value` so that it has the index in `path`;
 * - `remove-rule`, `remove-peer`, `remove-port` remove the element at `path`;
 * - `add-peer`, `add-port` append `value` to the list at `path`;
 * - `add-policy` adds the manifest `value`; `path` is "".
 *
 * @example {op: "add-port", policy: {kind: "NetworkPolicy", namespace: "shop", name: "db"}, path: "spec.ingress[0].ports",
 *           value: {protocol: "TCP", port: 5432}, file: "db.yaml", line: 14,
 *           text: "add port 5432/TCP to ingress rule 0 of NetworkPolicy shop/db"}
 */
export interface Edit {
  readonly op: "add-rule" | "remove-rule" | "add-peer" | "remove-peer" | "add-port" | "remove-port" | "add-policy";
  readonly policy: PolicyRef;
  readonly path: string;
  /** Absent for removals. */
  readonly value?: Json;
  readonly file: string | null;
  readonly line: number | null;
  readonly text: string;
}

/** An answer and the smallest list of edits that would turn it round. */
export interface Explanation extends Omit<Answer, "kind"> {
  readonly kind: "Explanation";
  /** [] when no edit can: `unchangeable` says why. */
  readonly change: readonly Edit[];
  /** Other lists of the same length. */
  readonly alternatives: readonly (readonly Edit[])[];
  readonly unchangeable?: Unchangeable;
}

/** Why there is no change: policies do not apply, no rule can name an end, or every pair of a set needs edits of its own. */
export type Unchangeable = Exemption | "no-expression" | "many-edits";

// ---- Connectivity: `map` --------------------------------------------------------------------------------------------

export type Level = "workload" | "pod";

/**
 * A row and column of the map.
 *
 * At workload level a workload whose pods differ (in what they may reach, or who may reach them) is several endpoints:
 * `ref` is then that of the group's first pod, `workload` says whose pods they are, `pods` lists them.
 * `ips` of kind cidr: disjoint CIDRs; addresses inside them that belong to pods, nodes, pod or Service CIDRs don't count.
 *
 * @example {ref: "shop/deployment/web", kind: "workload", namespace: "shop", name: "web", ips: [], labels: {app: "web"},
 *           workload: {kind: "Deployment", name: "web"}, pods: ["shop/web"], replicas: 2}
 * @example {ref: "10.0.0.0/8", kind: "cidr", namespace: "", name: "10.0.0.0/8", ips: ["10.0.0.0/8"], labels: {}}
 */
export interface EndpointEntry {
  readonly ref: string;
  readonly kind: "pod" | "workload" | "cidr" | "node";
  /** Empty for cidr and node. */
  readonly namespace: string;
  readonly name: string;
  readonly ips: readonly string[];
  readonly labels: Labels;
  /** Of kinds pod and workload. */
  readonly workload?: { readonly kind: string; readonly name: string };
  /** Of kind workload: `namespace/name` of its pods; a template counts as one. */
  readonly pods?: readonly string[];
  /** What the workload asks for, where known; 0 marks one that is scaled down. */
  readonly replicas?: number;
  /** Is this only a part of the workload's pods? */
  readonly part?: true;
}

/** @example {from: "shop/deployment/web", to: "shop/deployment/db", ports: [{protocol: "TCP", start: 5432, end: 5432}]} */
export interface ConnectionEntry {
  readonly from: string;
  readonly to: string;
  /** What every family that both ends have allows; [] when only `families` has something. */
  readonly ports: Ports;
  /** What each family allows, present when they differ. */
  readonly families?: Readonly<Record<Family, Ports>>;
}

/** Every pair that may connect; a missing pair is denied. Self pairs and finished pods are left out. */
export interface Connectivity {
  readonly apiVersion: typeof apiVersion;
  readonly kind: "Connectivity";
  readonly level: Level;
  readonly endpoints: readonly EndpointEntry[];
  readonly connections: readonly ConnectionEntry[];
  readonly notes: readonly Note[];
}

// ---- Difference: `diff` ---------------------------------------------------------------------------------------------

/**
 * @example of `changed`: {from: "shop/deployment/web", to: "shop/deployment/db", ports: [TCP 5432, TCP 9187], before: [TCP 5432],
 *   widened: [TCP 9187], narrowed: [], policies: [{kind: "NetworkPolicy", namespace: "shop", name: "db"}]}
 */
export interface DifferenceEntry extends ConnectionEntry {
  /** `ports` is what the new side allows; in `removed` entries, what the old side allowed. */
  readonly before: Ports;
  /** Ports that only the new side allows, over any family. */
  readonly widened: Ports;
  /** Ports that only the old side allowed, over any family. */
  readonly narrowed: Ports;
  /** The policies that decide those ports on either side and are not the same on both; when all are, every policy that decides them. */
  readonly policies: readonly PolicyRef[];
}

/** Endpoints that exist on one side only are in `endpoints`, their connections in `added` and `removed`. */
export interface Difference {
  readonly apiVersion: typeof apiVersion;
  readonly kind: "Difference";
  readonly added: readonly DifferenceEntry[];
  readonly removed: readonly DifferenceEntry[];
  readonly changed: readonly DifferenceEntry[];
  readonly endpoints: { readonly added: readonly EndpointEntry[]; readonly removed: readonly EndpointEntry[] };
  /** Does the new side allow something that the old did not; the reverse. */
  readonly widened: boolean;
  readonly narrowed: boolean;
}

// ---- TestResults: `test` --------------------------------------------------------------------------------------------

/**
 * @example {file: "shop.test.yaml", line: 9, suite: "shop", name: "nobody else reaches db", passed: false, expected: "deny", actual: "partly",
 *   counterexample: {from: "shop/api", to: "shop/db", protocol: "TCP", port: 5432, family: "IPv4"}, reasons: […]}
 */
export interface TestResult {
  readonly file: string;
  /** Line of the case; null where the file's positions are unknown. */
  readonly line: number | null;
  /** metadata.name of the PolicyTest. */
  readonly suite: string;
  readonly name: string;
  readonly passed: boolean;
  readonly expected: Outcome;
  /** `partly`: some of the pairs and ports are allowed, some denied. */
  readonly actual: Outcome | "partly";
  /** Present when failed: a flow whose verdict is not the expected one. */
  readonly counterexample?: FlowEntry;
  /** What decided the counterexample; of a passed case, the first flow asked. */
  readonly reasons: readonly ReasonEntry[];
  readonly notes: readonly Note[];
}

export interface TestResults {
  readonly apiVersion: typeof apiVersion;
  readonly kind: "TestResults";
  readonly passed: number;
  readonly failed: number;
  readonly results: readonly TestResult[];
}
