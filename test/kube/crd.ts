/** A CRD of the cluster policies that keeps whatever it is given: newer ones than ours know more fields. */
export const crd = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: "clusternetworkpolicies.policy.networking.k8s.io",
    // Names below k8s.io are reserved; who defines one says which review allowed it.
    annotations: { "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/network-policy-api/pull/300" },
  },
  spec: {
    group: "policy.networking.k8s.io",
    scope: "Cluster",
    names: {
      kind: "ClusterNetworkPolicy",
      listKind: "ClusterNetworkPolicyList",
      plural: "clusternetworkpolicies",
      singular: "clusternetworkpolicy",
    },
    versions: [
      {
        name: "v1alpha2",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
};
