/**
 * Objects beside the traffic, one or two of each kind, that change together with others of their kind: what a watch told before the
 * mark has been taken in when the mark shows in the table.
 */
import type { Change } from "../../src/policy/compile/plan.ts";
import { namespaceNameLabel } from "../../src/policy/model/labels.ts";
import type { ClusterPolicy, NetworkPolicy, NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import { type Namespace, type Pod, plainPod } from "../../src/policy/model/world.ts";
import { nodes } from "../fire/scenario.ts";

export type MarkedKind = "pod" | "namespace" | "NetworkPolicy" | "ClusterNetworkPolicy";

const where = "marks";

const policy = (name: string, spec: NetworkPolicySpec): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { name, namespace: where },
  spec,
  source: null,
});

const flipped = { matchLabels: { flip: "on" } };
const put = {
  pod: (object: Pod): Change => ({ op: "put", kind: "pod", object }),
  namespace: (object: Namespace): Change => ({ op: "put", kind: "namespace", object }),
  policy: (object: NetworkPolicy | ClusterPolicy): Change => ({ op: "put", kind: "policy", object }),
};

export class Marks {
  readonly #turns = { pod: 0, namespace: 0, NetworkPolicy: 0, ClusterNetworkPolicy: 0 };

  /** All of them, and the policies that make those of pods and namespaces show. */
  first(): readonly Change[] {
    return [
      ...this.next("namespace"),
      ...this.next("pod"),
      put.policy(
        policy("pods", { podSelector: flipped, ingress: [{ from: [{ ipBlock: { cidr: "192.0.2.200/32" } }] }] }),
      ),
      put.policy(policy("namespaces", { podSelector: {}, ingress: [{ from: [{ namespaceSelector: flipped }] }] })),
      ...this.next("NetworkPolicy"),
      ...this.next("ClusterNetworkPolicy"),
    ];
  }

  /** What changes the tables of both nodes. */
  next(kind: MarkedKind): readonly Change[] {
    const turn = this.#turns[kind]++ % 2;
    const flip = turn === 0 ? "off" : "on";
    switch (kind) {
      case "pod":
        return nodes.map((node, i) => put.pod(pod(node, i + 1, flip)));
      case "namespace":
        return [
          put.namespace({ name: where, labels: { [namespaceNameLabel]: where, flip }, defined: true, source: null }),
        ];
      case "NetworkPolicy":
        return [
          put.policy(
            policy("policies", { podSelector: {}, ingress: [{ ports: [{ protocol: "UDP", port: 5000 + turn }] }] }),
          ),
        ];
      case "ClusterNetworkPolicy":
        return [put.policy(clusterPolicy(6000 + turn))];
    }
  }
}

const pod = (node: string, i: number, flip: string): Pod =>
  plainPod(where, `mark-${node}`, { labels: { flip }, ips: [`10.245.0.${i}`, `fd00:10:245::${i}`], node });

const clusterPolicy = (port: number): ClusterPolicy => ({
  kind: "ClusterNetworkPolicy",
  metadata: { name: "marks", namespace: "" },
  spec: {
    tier: "Admin",
    priority: 900,
    subject: { pods: { namespaceSelector: { matchLabels: { [namespaceNameLabel]: where } }, podSelector: {} } },
    ingress: [
      {
        action: "Deny",
        from: [{ pods: { namespaceSelector: {}, podSelector: {} } }],
        protocols: [{ udp: { destinationPort: { number: port } } }],
      },
    ],
  },
  source: null,
});
