/** The order in which policies of one tier are judged. */
import type { CompiledPolicy } from "./plan.ts";

const tiers = ["Admin", "NetworkPolicy", "Baseline"] as const;

/**
 * Tier, then priority, then the newer kind, then name (spec C3.1, C4.3, C18.1); NetworkPolicies, whose order does not
 * matter, by name. Names are compared by UTF-16 code unit, the same on any machine.
 */
export function compareInJudgement(a: CompiledPolicy, b: CompiledPolicy): number {
  return (
    tiers.indexOf(a.tier) - tiers.indexOf(b.tier) ||
    (a.priority ?? 0) - (b.priority ?? 0) ||
    generation(a) - generation(b) ||
    compareText(a.ref.namespace, b.ref.namespace) ||
    compareText(a.ref.name, b.ref.name)
  );
}

const generation = ({ ref }: CompiledPolicy): number => (ref.kind === "ClusterNetworkPolicy" ? 0 : 1);

export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
