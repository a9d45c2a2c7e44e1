/** From the engine's values to the plain data of results. */
import type { PortRange, PortSet } from "../../net/ports.ts";
import type { Decision, PortDecision, Reason } from "../model/verdict.ts";
import type { DirectionEntry, PortDirectionEntry, ReasonEntry } from "./types.ts";

export const portEntries = (set: PortSet): readonly PortRange[] => Array.from(set.ranges());

export const reasonEntry = ({ policy, rule, action, position }: Reason): ReasonEntry => ({
  policy,
  rule,
  action,
  file: position?.file ?? null,
  line: position?.line ?? null,
  column: position?.column ?? null,
});

export const directionEntry = ({ verdict, tier, exempt, reasons }: Decision): DirectionEntry => ({
  verdict,
  tier,
  exempt,
  reasons: reasons.map(reasonEntry),
});

/** The pieces of a direction that meet the ports asked. */
export const portDirectionEntries = (pieces: readonly PortDecision[], asked: PortSet): readonly PortDirectionEntry[] =>
  pieces.flatMap(({ ports, decision }) => {
    const part = ports.intersect(asked);
    return part.isEmpty ? [] : [{ ports: portEntries(part), ...directionEntry(decision) }];
  });
