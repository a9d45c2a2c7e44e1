/** One node of 110 pods under growing numbers of policies. */
import { namespaceNameLabel } from "../../src/policy/model/labels.ts";
import type { NetworkPolicy, NetworkPolicyPort, NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import { emptyWorld, type Pod, plainPod, type World } from "../../src/policy/model/world.ts";
import { allot } from "../../src/sandbox/allot.ts";

export const node = "node-0";
export const localPods = 110;
/** Pods that traffic flows between; the others are addresses in the rules. */
export const clients = 8;
export const servers = 8;
export const serverPort = 8080;
const namespace = "bench";
const remotePods = 390;
const groups = 50;
/** Networks that one policy of the world with many elements names. */
const networksAPolicy = 100;

export interface Size {
  readonly policies: number;
  /** Networks in all policies together. */
  readonly networks: number;
}

/** Pods with traffic stand evenly among the others, so that layouts that go through all pods are met in the middle. */
const step = Math.floor(localPods / (clients + servers));
export const isClient = (pod: Pod): boolean => pod.labels["traffic"] === "client";
export const isServer = (pod: Pod): boolean => pod.labels["traffic"] === "server";

function pod(i: number): Pod {
  const at = Math.floor(i / step);
  const busy = i < localPods && i % step === 0 && at < clients + servers;
  return plainPod(namespace, `pod-${i}`, {
    labels: {
      app: `app-${i % localPods}`,
      group: `group-${i % groups}`,
      traffic: busy ? (at % 2 === 0 ? "client" : "server") : "none",
    },
    node: i < localPods ? node : "node-1",
  });
}

const policy = (name: string, spec: NetworkPolicySpec): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { name, namespace },
  spec,
  source: null,
});

const ports = (i: number): NetworkPolicyPort[] => [
  { protocol: "TCP", port: 9000 + (i % 1000) },
  { protocol: "UDP", port: 9000, endPort: 9000 + (i % 1000) },
];

/** Policy `i` of one of the local pods, for one direction. */
export function filler(i: number): NetworkPolicy {
  const podSelector = { matchLabels: { app: `app-${i % localPods}` } };
  const peer = { podSelector: { matchLabels: { group: `group-${(i * 7) % groups}` } } };
  return i % 2 === 0
    ? policy(`policy-${i}`, { podSelector, ingress: [{ from: [peer], ports: ports(i) }] })
    : policy(`policy-${i}`, { podSelector, policyTypes: ["Egress"], egress: [{ to: [peer], ports: ports(i) }] });
}

function networks(i: number): NetworkPolicy {
  const { podSelector } = filler(i).spec!;
  const from = Array.from({ length: networksAPolicy }, (_, k) => {
    const at = i * networksAPolicy + k;
    return { ipBlock: { cidr: `${100 + (at >> 14)}.${(at >> 6) & 255}.${(at & 63) * 4}.0/${k % 2 === 0 ? 24 : 25}` } };
  });
  return policy(`networks-${i}`, { podSelector: podSelector!, ingress: [{ from, ports: ports(i) }] });
}

const traffic = [
  { protocol: "TCP", port: serverPort },
  { protocol: "UDP", port: serverPort },
];

/** The policy that lets the traffic through: clients may reach servers, and nobody else. */
const letThrough = policy("traffic", {
  podSelector: { matchExpressions: [{ key: "traffic", operator: "In", values: ["client", "server"] }] },
  policyTypes: ["Ingress", "Egress"],
  ingress: [{ from: [{ podSelector: { matchLabels: { traffic: "client" } } }], ports: traffic }],
  egress: [{ to: [{ podSelector: { matchLabels: { traffic: "server" } } }], ports: traffic }],
});

export function sizedWorld({ policies, networks: elements }: Size): World {
  const own = Math.ceil(elements / networksAPolicy);
  return allot(
    {
      ...emptyWorld,
      nodes: [node, "node-1"].map((name) => ({ name, labels: {}, ips: [], podCIDRs: [], source: null })),
      namespaces: [{ name: namespace, labels: { [namespaceNameLabel]: namespace }, defined: true, source: null }],
      pods: Array.from({ length: localPods + remotePods }, (_, i) => pod(i)),
      policies: [
        letThrough,
        ...Array.from({ length: own }, (_, i) => networks(i)),
        ...Array.from({ length: policies - 1 - own }, (_, i) => filler(i)),
      ],
    },
    { families: ["IPv4"] },
  ).world;
}
