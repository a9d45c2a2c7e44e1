/** Questions and answers. A verdict is never a bare boolean: it says which tier and which rules decided. */
import type { Family } from "../../net/address.ts";
import type { PortSet, Protocol } from "../../net/ports.ts";
import type { PolicyRef } from "./policy.ts";
import type { Position } from "./source.ts";
import type { Node, Pod } from "./world.ts";

export type Direction = "ingress" | "egress";
export const directions: readonly Direction[] = ["egress", "ingress"];

/** The tier that decided; `Default` when nothing did (spec C3.1, C3.6). */
export type Tier = "Admin" | "NetworkPolicy" | "Baseline" | "Default";

/** What a rule does. NetworkPolicy rules and v1alpha1's `Allow` are Accept. */
export type Action = "Accept" | "Deny" | "Pass";

export type Outcome = "allow" | "deny";

/** Why policies do not apply at all (spec A5.2, A7.1, A7.3). */
export type Exemption = "self" | "own-node" | "no-pod";

/** One end of a connection. hostNetwork pods are their node (spec A8.2); callers resolve them before asking. */
export type End =
  | { readonly kind: "pod"; readonly pod: Pod }
  | { readonly kind: "node"; readonly node: Node }
  | { readonly kind: "address"; readonly address: string };

/** One connection attempt, after DNAT: `port` is the destination's own port, 0 for protocol `other`. */
export interface Flow {
  readonly from: End;
  readonly to: End;
  readonly family: Family;
  readonly protocol: Protocol;
  readonly port: number;
  /** The client dialled a Service address: a pod that reaches itself this way is judged (spec A7.2, C11.2). */
  readonly viaService?: boolean;
}

/** A rule or policy that decided. For a default deny: one reason for each isolating policy, `rule: null`. */
export interface Reason {
  readonly policy: PolicyRef;
  /** 0-based index in the policy's ingress or egress list. */
  readonly rule: number | null;
  readonly action: Action;
  /** null for objects from a cluster. */
  readonly position: Position | null;
}

/** How one direction decided. */
export interface Decision {
  readonly verdict: Outcome;
  readonly tier: Tier;
  /** Set when policies do not apply; then tier is `Default` and reasons is []. */
  readonly exempt: Exemption | null;
  readonly reasons: readonly Reason[];
}

export interface Verdict {
  /** egress allows AND ingress allows (spec A5.1). */
  readonly allowed: boolean;
  readonly egress: Decision;
  readonly ingress: Decision;
}

/** A decision and the ports for which it holds. */
export interface PortDecision {
  readonly ports: PortSet;
  readonly decision: Decision;
}
