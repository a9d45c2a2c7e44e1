/** Why a direction decided as it did, in words. */
import type { DirectionEntry, ReasonEntry } from "../policy/analyze/types.ts";
import { formatPolicyRef } from "../policy/model/policy.ts";
import type { Direction, Exemption } from "../policy/model/verdict.ts";
import { oneLine } from "./escape.ts";

export const exemptionText: Readonly<Record<Exemption, string>> = {
  self: "a pod always reaches itself",
  "own-node": "policies never keep a pod's own node out",
  "no-pod": "no pod at this end, so no policy applies",
};

/** `db.yaml:14`; empty for objects from a cluster. */
export const place = ({ file, line }: { readonly file: string | null; readonly line: number | null }): string =>
  file === null ? "" : line === null ? oneLine(file) : `${oneLine(file)}:${line}`;

/** `NetworkPolicy shop/db ingress[0]`; a default deny has no rule, and the direction of a rule is not always known. */
export const reasonText = ({ policy, rule }: ReasonEntry, direction: Direction | "rule" = "rule"): string =>
  `${formatPolicyRef(policy)}${rule === null ? "" : ` ${direction}[${rule}]`}`;

export const isDefaultDeny = ({ verdict, reasons }: DirectionEntry): boolean =>
  verdict === "deny" && reasons.length > 0 && reasons.every(({ rule }) => rule === null);

/** One clause: what decided one direction. */
export function directionText(entry: DirectionEntry, direction: Direction): string {
  if (entry.exempt !== null) return exemptionText[entry.exempt];
  if (entry.reasons.length === 0) return `no policy limits ${direction}`;
  const shown = entry.reasons.slice(0, 2).map((reason) => {
    const where = place(reason);
    return `${reasonText(reason, direction)}${where === "" ? "" : ` (${where})`}`;
  });
  const more = entry.reasons.length > 2 ? ` and ${entry.reasons.length - 2} more` : "";
  const which = `${shown.join(", ")}${more}`;
  return isDefaultDeny(entry) ? `${direction} isolated by ${which}, no rule allows it` : which;
}
