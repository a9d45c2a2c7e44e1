/** What is read of a cluster. */

/** A kind that is listed; kinds that a server does not have are left out. */
export interface ListedKind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly resource: string;
  readonly labelSelector?: string;
}

const of = (apiVersion: string, kinds: Readonly<Record<string, string>>): ListedKind[] =>
  Object.entries(kinds).map(([resource, kind]) => ({ apiVersion, kind, resource }));

/** All that `src/manifests` reads, as `kubectl get` would list it. */
export const listedKinds: readonly ListedKind[] = [
  ...of("v1", { namespaces: "Namespace", nodes: "Node", pods: "Pod", services: "Service" }),
  // Those of Services with a selector say nothing that the pods don't.
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    resource: "endpointslices",
    labelSelector: "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io",
  },
  ...of("apps/v1", {
    deployments: "Deployment",
    statefulsets: "StatefulSet",
    daemonsets: "DaemonSet",
    replicasets: "ReplicaSet",
  }),
  ...of("batch/v1", { jobs: "Job", cronjobs: "CronJob" }),
  ...of("networking.k8s.io/v1", { networkpolicies: "NetworkPolicy", servicecidrs: "ServiceCIDR" }),
  ...of("policy.networking.k8s.io/v1alpha2", { clusternetworkpolicies: "ClusterNetworkPolicy" }),
  ...of("policy.networking.k8s.io/v1alpha1", {
    adminnetworkpolicies: "AdminNetworkPolicy",
    baselineadminnetworkpolicies: "BaselineAdminNetworkPolicy",
  }),
];
