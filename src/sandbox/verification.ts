/** What a verification found, as plain data: `-o json` is this (docs: "JSON contracts"). Text is made from it by `render.ts`. */
import type { Family } from "../net/address.ts";
import type { Protocol } from "../net/ports.ts";
import { directionEntry, reasonEntry } from "../policy/analyze/entries.ts";
import type { DirectionEntry, ReasonEntry } from "../policy/analyze/types.ts";
import type { Direction, Outcome, Tier, Verdict } from "../policy/model/verdict.ts";
import type { Evidence, Judgement, KernelOutcome } from "./judge.ts";
import type { Drop } from "./prober.ts";
import { serviceReference } from "./services.ts";

/** @example {from: "shop/web-0", to: "shop/db-0", family: "IPv4", protocol: "TCP", port: 5432, service: null, engine: "allow", reference: "allow", kernel: "allow"} */
export interface CellEntry {
  readonly from: string;
  readonly to: string;
  /** The destination's address, where a reference alone does not say it. */
  readonly address: string;
  readonly family: Family;
  readonly protocol: Protocol;
  /** The destination's own port, 0 for protocol `other`. */
  readonly port: number;
  /** The Service that was dialled instead, and its port. */
  readonly service: { readonly ref: string; readonly port: number } | null;
  readonly engine: Outcome;
  readonly reference: Outcome;
  readonly kernel: KernelOutcome;
}

/** What the id of a drop record stands for. */
export interface DropEntry {
  readonly node: string;
  readonly id: string;
  /** The last three are null and [] when the node does not know the id. */
  readonly direction: Direction | null;
  readonly tier: Tier | null;
  readonly reasons: readonly ReasonEntry[];
}

export interface MismatchEntry extends CellEntry {
  readonly differences: readonly string[];
  readonly explanations: {
    readonly engine: { readonly egress: DirectionEntry; readonly ingress: DirectionEntry };
    readonly reference: { readonly egress: DirectionEntry; readonly ingress: DirectionEntry };
    /** null: nothing was dropped. */
    readonly kernel: DropEntry | null;
  };
}

/** A dropped packet that no probe had sent. */
export interface StrayEntry {
  readonly node: string;
  readonly id: string;
  readonly packet: string;
}

export interface Verification {
  readonly apiVersion: "bulkhead.dev/v1alpha1";
  readonly kind: "Verification";
  /** Do engine, reference and kernel agree in every cell, and was nothing dropped that should not be? */
  readonly agree: boolean;
  /** false: stopped before all was asked. */
  readonly complete: boolean;
  readonly notes: readonly string[];
  readonly cells: readonly CellEntry[];
  readonly mismatches: readonly MismatchEntry[];
  readonly evidence: {
    /** Connections tried without policies; all of them were made. */
    readonly baseline: number;
    readonly answered: number;
    readonly dropped: number;
    /** Drop records that nodes logged, and packets that their counters counted: equal, unless logs overflowed. */
    readonly logged: number;
    readonly counted: number;
    /** How many drops each id stands for. */
    readonly drops: readonly (DropEntry & { readonly packets: number })[];
    readonly strays: readonly StrayEntry[];
    /** Drop logs that overflowed: records were lost. */
    readonly overruns: number;
  };
  readonly milliseconds: {
    readonly build: number;
    readonly baseline: number;
    readonly program: number;
    readonly probe: number;
  };
}

const outcome = ({ allowed }: Verdict): Outcome => (allowed ? "allow" : "deny");

export function cellEntry({ question, engine, reference, kernel }: Judgement): CellEntry {
  const { from, to, protocol, port, via } = question;
  return {
    from: from.ref,
    to: to.ref,
    address: to.address,
    family: from.family,
    protocol,
    port,
    service: via === null ? null : { ref: serviceReference(via.frontend), port: via.frontend.port },
    engine: outcome(engine),
    reference: outcome(reference),
    kernel,
  };
}

export const dropEntry = ({ node, id, explanation }: Evidence): DropEntry => ({
  node,
  id,
  direction: explanation?.direction ?? null,
  tier: explanation?.tier ?? null,
  reasons: explanation?.reasons.map(reasonEntry) ?? [],
});

const bothDirections = ({ egress, ingress }: Verdict) => ({
  egress: directionEntry(egress),
  ingress: directionEntry(ingress),
});

export const mismatchEntry = (judgement: Judgement): MismatchEntry => ({
  ...cellEntry(judgement),
  differences: judgement.mismatches,
  explanations: {
    engine: bothDirections(judgement.engine),
    reference: bothDirections(judgement.reference),
    kernel: judgement.evidence && dropEntry(judgement.evidence),
  },
});

const addressText = (bytes: Uint8Array): string =>
  bytes.length === 4
    ? bytes.join(".")
    : Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16)).join(":");

export function strayEntry({ node, record }: Drop): StrayEntry {
  const { tuple, prefix } = record;
  const packet =
    tuple === null
      ? "unreadable packet"
      : `protocol ${tuple.protocol} ${addressText(tuple.source)} port ${tuple.sourcePort} to ${addressText(tuple.destination)} port ${tuple.destinationPort}`;
  return { node, id: prefix.replace(/^.*:/, ""), packet };
}
