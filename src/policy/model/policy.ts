/**
 * The policy kinds as the API has them, nothing defaulted: absent, null and empty are kept apart here and given their
 * meaning by `decode/defaults.ts` (spec A2) — and, independently, by the reference evaluator.
 */
import type { LabelSelector } from "./labels.ts";
import type { Source } from "./source.ts";

export interface ObjectMeta {
  readonly name: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

type Maybe<T> = T | null | undefined;

// ---- networking.k8s.io/v1 -------------------------------------------------------------------------------------------

export interface IPBlock {
  readonly cidr: string;
  readonly except?: Maybe<readonly string[]>;
}

export interface NetworkPolicyPeer {
  readonly podSelector?: Maybe<LabelSelector>;
  readonly namespaceSelector?: Maybe<LabelSelector>;
  readonly ipBlock?: Maybe<IPBlock>;
}

export interface NetworkPolicyPort {
  readonly protocol?: Maybe<string>;
  readonly port?: Maybe<number | string>;
  readonly endPort?: Maybe<number>;
}

export interface NetworkPolicyIngressRule {
  readonly from?: Maybe<readonly NetworkPolicyPeer[]>;
  readonly ports?: Maybe<readonly NetworkPolicyPort[]>;
}

export interface NetworkPolicyEgressRule {
  readonly to?: Maybe<readonly NetworkPolicyPeer[]>;
  readonly ports?: Maybe<readonly NetworkPolicyPort[]>;
}

export interface NetworkPolicySpec {
  readonly podSelector?: Maybe<LabelSelector>;
  readonly policyTypes?: Maybe<readonly string[]>;
  readonly ingress?: Maybe<readonly NetworkPolicyIngressRule[]>;
  readonly egress?: Maybe<readonly NetworkPolicyEgressRule[]>;
}

export interface NetworkPolicy {
  readonly kind: "NetworkPolicy";
  readonly metadata: ObjectMeta;
  readonly spec?: Maybe<NetworkPolicySpec>;
  readonly source: Source | null;
}

// ---- policy.networking.k8s.io ---------------------------------------------------------------------------------------

export interface NamespacedPods {
  readonly namespaceSelector?: Maybe<LabelSelector>;
  readonly podSelector?: Maybe<LabelSelector>;
}

export interface ClusterSubject {
  readonly namespaces?: Maybe<LabelSelector>;
  readonly pods?: Maybe<NamespacedPods>;
}

/** Ingress peers use the first two fields only (spec C7.1). */
export interface ClusterPeer {
  readonly namespaces?: Maybe<LabelSelector>;
  readonly pods?: Maybe<NamespacedPods>;
  readonly nodes?: Maybe<LabelSelector>;
  readonly networks?: Maybe<readonly string[]>;
  readonly domainNames?: Maybe<readonly string[]>;
}

export interface DestinationPort {
  readonly number?: Maybe<number>;
  readonly range?: Maybe<{ readonly start: number; readonly end: number }>;
}

/** v1alpha2: exactly one field (spec C2). */
export interface ClusterProtocol {
  readonly tcp?: Maybe<{ readonly destinationPort?: Maybe<DestinationPort> }>;
  readonly udp?: Maybe<{ readonly destinationPort?: Maybe<DestinationPort> }>;
  readonly sctp?: Maybe<{ readonly destinationPort?: Maybe<DestinationPort> }>;
  readonly destinationNamedPort?: Maybe<string>;
}

/** v1alpha1: exactly one field (spec C16.4). */
export interface AdminPort {
  readonly portNumber?: Maybe<{ readonly protocol?: Maybe<string>; readonly port: number }>;
  readonly portRange?: Maybe<{ readonly protocol?: Maybe<string>; readonly start: number; readonly end: number }>;
  readonly namedPort?: Maybe<string>;
}

/** `from` in ingress rules, `to` in egress rules; `protocols` in v1alpha2, `ports` in v1alpha1. */
export interface ClusterRule {
  readonly name?: Maybe<string>;
  readonly action: string;
  readonly from?: Maybe<readonly ClusterPeer[]>;
  readonly to?: Maybe<readonly ClusterPeer[]>;
  readonly protocols?: Maybe<readonly ClusterProtocol[]>;
  readonly ports?: Maybe<readonly AdminPort[]>;
}

export interface ClusterPolicySpec {
  /** v1alpha2 only: Admin | Baseline. */
  readonly tier?: Maybe<string>;
  /** Absent in BaselineAdminNetworkPolicy. */
  readonly priority?: Maybe<number>;
  readonly subject: ClusterSubject;
  readonly ingress?: Maybe<readonly ClusterRule[]>;
  readonly egress?: Maybe<readonly ClusterRule[]>;
}

export type ClusterPolicyKind = "ClusterNetworkPolicy" | "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy";

export interface ClusterPolicy {
  readonly kind: ClusterPolicyKind;
  readonly metadata: ObjectMeta;
  readonly spec: ClusterPolicySpec;
  readonly source: Source | null;
}

export type Policy = NetworkPolicy | ClusterPolicy;
export type PolicyKind = Policy["kind"];

/** How answers name a policy. `namespace` is empty for cluster policies. */
export interface PolicyRef {
  readonly kind: PolicyKind;
  readonly namespace: string;
  readonly name: string;
}

export const policyRef = (policy: Policy): PolicyRef => ({
  kind: policy.kind,
  namespace: policy.metadata.namespace,
  name: policy.metadata.name,
});

/** `NetworkPolicy shop/db`, `ClusterNetworkPolicy deny-all`. */
export const formatPolicyRef = ({ kind, namespace, name }: PolicyRef): string =>
  `${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;
