/** Namespaces, nodes and policies: what is read of them. */
import { isDeepStrictEqual } from "node:util";
import { formatFieldError } from "../policy/decode/index.ts";
import { decodeStored } from "../policy/decode/stored.ts";
import { namespaceNameLabel } from "../policy/model/labels.ts";
import { type Policy, type PolicyKind, policyRef } from "../policy/model/policy.ts";
import type { Namespace, Node } from "../policy/model/world.ts";
import type { PolicyProblem } from "./feed.ts";
import { Parts } from "./intern.ts";
import { sameLabels, sameList } from "./pods.ts";
import { addresses, cidrs, isRaw, labels, objects, raw, text, texts } from "./raw.ts";
import type { Resource } from "./resource.ts";

/** An object of a kind whose model has no uid. */
export interface WithUid<T> {
  readonly uid: string;
  readonly object: T;
}

const metadata = { name: true, namespace: true, uid: true, labels: true } as const;

export const namespaceResource: Resource<WithUid<Namespace>> = {
  name: "namespaces",
  path: "/api/v1/namespaces",
  // Labels are all that is needed, and metadata is all that is sent.
  metadataOnly: true,
  reads: { metadata },
  decode: (object) => {
    const meta = raw(raw(object)["metadata"]);
    const name = text(meta["name"]);
    if (name === "") return null;
    const own = { ...labels(meta["labels"]), [namespaceNameLabel]: name };
    return { uid: text(meta["uid"]), object: { name, labels: own, defined: true, source: null } };
  },
  key: ({ object }) => object.name,
  uid: ({ uid }) => uid,
  same: (a, b) => sameLabels(a.object.labels, b.object.labels),
};

export const nodeResource: Resource<WithUid<Node>> = {
  name: "nodes",
  path: "/api/v1/nodes",
  reads: { metadata, spec: { podCIDR: true, podCIDRs: true }, status: { addresses: { address: true } } },
  decode: (object) => {
    const { metadata: meta, spec, status } = raw(object);
    const name = text(raw(meta)["name"]);
    if (name === "") return null;
    const listed = texts(raw(spec)["podCIDRs"]);
    const node: Node = {
      name,
      labels: labels(raw(meta)["labels"]),
      // Every address that is an IP, whatever its type says (spec C8.5).
      ips: [...new Set(addresses(objects(raw(status)["addresses"]).map((entry) => text(entry["address"]))))],
      podCIDRs: cidrs(listed.length > 0 ? listed : [text(raw(spec)["podCIDR"])]),
      source: null,
    };
    return { uid: text(raw(meta)["uid"]), object: node };
  },
  key: ({ object }) => object.name,
  uid: ({ uid }) => uid,
  same: ({ object: a }, { object: b }) =>
    sameLabels(a.labels, b.labels) && sameList(a.ips, b.ips) && sameList(a.podCIDRs, b.podCIDRs),
};

/** A policy as far as it was understood, and what is wrong with it. */
export interface FollowedPolicy {
  readonly policy: Policy;
  readonly problem: PolicyProblem | null;
}

const policyPaths: Readonly<Record<PolicyKind, readonly [name: string, path: string]>> = {
  NetworkPolicy: ["networkpolicies.networking.k8s.io", "/apis/networking.k8s.io/v1/networkpolicies"],
  ClusterNetworkPolicy: [
    "clusternetworkpolicies.policy.networking.k8s.io",
    "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
  ],
  AdminNetworkPolicy: [
    "adminnetworkpolicies.policy.networking.k8s.io",
    "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies",
  ],
  BaselineAdminNetworkPolicy: [
    "baselineadminnetworkpolicies.policy.networking.k8s.io",
    "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies",
  ],
};

export function policyResource(kind: PolicyKind): Resource<FollowedPolicy> {
  const [name, path] = policyPaths[kind];
  const parts = new Parts();
  return {
    name,
    path,
    optional: kind !== "NetworkPolicy",
    reads: { metadata, spec: true },
    decode: (object) => decodePolicyObject(object, kind, parts),
    key: ({ policy: { metadata } }) => `${metadata.namespace}/${metadata.name}`,
    uid: ({ policy }) => policy.metadata.uid ?? "",
    same: (a, b) => a.problem?.message === b.problem?.message && isDeepStrictEqual(a.policy.spec, b.policy.spec),
  };
}

/** Messages of one policy that are told; what is wrong twenty times over is told by the first ones. */
const toldErrors = 5;

function decodePolicyObject(object: unknown, kind: PolicyKind, parts: Parts): FollowedPolicy | null {
  if (!isRaw(object) || text(raw(object["metadata"])["name"]) === "") return null;
  const { policy: decoded, errors } = decodeStored(object, kind);
  const policy = { ...decoded, spec: parts.share(decoded.spec) } as Policy;
  if (errors.length === 0) return { policy, problem: null };
  const told = errors.slice(0, toldErrors).map(formatFieldError);
  const more = errors.length > toldErrors ? [`and ${errors.length - toldErrors} more`] : [];
  const message = [...new Set(told), ...more].join("; ");
  return { policy, problem: { policy: policyRef(policy), uid: policy.metadata.uid ?? "", message } };
}
