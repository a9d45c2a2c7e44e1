/** What stands for a policy whose rules the kernel does not take: the same pods, the same directions, nothing allowed. */
import { effectivePolicyTypes } from "../policy/decode/defaults.ts";
import type { ClusterRule, Policy } from "../policy/model/policy.ts";

/** A peer without any known field is judged as not understood: a Deny rule with it denies everything (spec C12.1). */
const denyAll: ClusterRule = { action: "Deny", from: [{}], to: [{}] };

/** A policy with the same identity and subject that allows nothing in the directions that `policy` rules. */
export function closed(policy: Policy): Policy {
  if (policy.kind === "NetworkPolicy") {
    const policyTypes = effectivePolicyTypes(policy.spec);
    const podSelector = policy.spec?.podSelector ?? {};
    return { ...policy, spec: { podSelector, policyTypes, ingress: [], egress: [] } };
  }
  const rules = (written: readonly ClusterRule[] | null | undefined): readonly ClusterRule[] =>
    written && written.length > 0 ? [denyAll] : [];
  const { ingress, egress } = policy.spec;
  return { ...policy, spec: { ...policy.spec, ingress: rules(ingress), egress: rules(egress) } };
}
