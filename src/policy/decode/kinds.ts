/** Which objects are policies, and in which version of the API each kind is understood. */
import type { PolicyKind } from "../model/policy.ts";

const versions: Readonly<Record<PolicyKind, string>> = {
  NetworkPolicy: "networking.k8s.io/v1",
  ClusterNetworkPolicy: "policy.networking.k8s.io/v1alpha2",
  AdminNetworkPolicy: "policy.networking.k8s.io/v1alpha1",
  BaselineAdminNetworkPolicy: "policy.networking.k8s.io/v1alpha1",
};

const kinds = Object.keys(versions) as readonly PolicyKind[];

/** The policy kind that is written like this, in any case of letters. */
export const policyKindOf = (kind: string): PolicyKind | null =>
  kinds.find((known) => known.toLowerCase() === kind.toLowerCase()) ?? null;

/** The only apiVersion in which a kind is understood. */
export const apiVersionOf = (kind: PolicyKind): string => versions[kind];

/**
 * Is this object meant to be a policy of Kubernetes? True for wrong and removed API versions as well (`extensions/v1beta1`,
 * `v1`): `decodePolicy` rejects those, nobody may skip them. False for other products' kinds, whose API groups are their own
 * domains (`projectcalico.org/v3`).
 */
export function isPolicyKind(apiVersion: string, kind: string): boolean {
  if (policyKindOf(kind) === null) return false;
  const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
  return !group.includes(".") || group === "k8s.io" || group.endsWith(".k8s.io");
}
