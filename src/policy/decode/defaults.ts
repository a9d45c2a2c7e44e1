/** What absent fields of a NetworkPolicy mean (spec A2). The API server fills them in; readers of files must. */
import type { NetworkPolicyPort, NetworkPolicySpec } from "../model/policy.ts";

/**
 * The directions in which a NetworkPolicy isolates: as given, else Ingress, and Egress only with at least one egress
 * rule (spec A2.1, A2.3). Values are as written: they can be others than Ingress and Egress in an invalid object.
 */
export function effectivePolicyTypes(spec: NetworkPolicySpec | null | undefined): readonly string[] {
  if (spec?.policyTypes && spec.policyTypes.length > 0) return spec.policyTypes;
  return spec?.egress && spec.egress.length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

/** The protocol of a port element (spec A2.4). */
export const effectiveProtocol = (protocol: string | null | undefined): string => protocol ?? "TCP";

/** The spec as the API server stores it: policyTypes and every port's protocol filled in, nothing else (spec A2.6). */
export function defaultSpec(spec: NetworkPolicySpec | null | undefined): NetworkPolicySpec {
  const ports = <T extends { readonly ports?: readonly NetworkPolicyPort[] | null | undefined }>(rule: T): T =>
    rule.ports
      ? { ...rule, ports: rule.ports.map((port) => ({ ...port, protocol: effectiveProtocol(port.protocol) })) }
      : rule;
  return {
    ...spec,
    policyTypes: effectivePolicyTypes(spec),
    ...(spec?.ingress && { ingress: spec.ingress.map(ports) }),
    ...(spec?.egress && { egress: spec.egress.map(ports) }),
  };
}
