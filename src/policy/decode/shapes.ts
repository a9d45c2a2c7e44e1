/** The Go types that requests are decoded into: meta/v1 ObjectMeta, LabelSelector, networking/v1 NetworkPolicy (spec A1.3). */
import { bool, int32, int64, list, type Struct, stringMap, struct, text } from "./shape.ts";

const ownerReference = struct("v1.OwnerReference", {
  apiVersion: text(),
  kind: text(),
  name: text(),
  uid: text("types.UID"),
  controller: bool,
  blockOwnerDeletion: bool,
});

const managedFields = struct("v1.ManagedFieldsEntry", {
  manager: text(),
  operation: text("v1.ManagedFieldsOperationType"),
  apiVersion: text(),
  time: { kind: "time" },
  fieldsType: text(),
  fieldsV1: { kind: "any" },
  subresource: text(),
});

export const objectMeta: Struct = struct("v1.ObjectMeta", {
  name: text(),
  generateName: text(),
  namespace: text(),
  selfLink: text(),
  uid: text("types.UID"),
  resourceVersion: text(),
  generation: int64,
  creationTimestamp: { kind: "time" },
  deletionTimestamp: { kind: "time" },
  deletionGracePeriodSeconds: int64,
  labels: stringMap,
  annotations: stringMap,
  ownerReferences: list(ownerReference),
  finalizers: list(text()),
  managedFields: list(managedFields),
});

const labelSelector = struct("v1.LabelSelector", {
  matchLabels: stringMap,
  matchExpressions: list(
    struct("v1.LabelSelectorRequirement", {
      key: text(),
      operator: text("v1.LabelSelectorOperator"),
      values: list(text()),
    }),
  ),
});

const peers = list(
  struct("v1.NetworkPolicyPeer", {
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    ipBlock: struct("v1.IPBlock", { cidr: text(), except: list(text()) }),
  }),
);

const ports = list(
  struct("v1.NetworkPolicyPort", { protocol: text("v1.Protocol"), port: { kind: "intOrString" }, endPort: int32 }),
);

export const networkPolicy: Struct = struct("v1.NetworkPolicy", {
  apiVersion: text(),
  kind: text(),
  metadata: objectMeta,
  spec: struct("v1.NetworkPolicySpec", {
    podSelector: labelSelector,
    policyTypes: list(text("v1.PolicyType")),
    ingress: list(struct("v1.NetworkPolicyIngressRule", { from: peers, ports })),
    egress: list(struct("v1.NetworkPolicyEgressRule", { to: peers, ports })),
  }),
});
