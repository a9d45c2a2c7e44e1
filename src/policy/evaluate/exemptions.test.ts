/** Where policies do not apply, and what an end means. */
import { describe, expect, test } from "vitest";
import { compile } from "../compile/live-plan.ts";
import type { NetworkPolicy } from "../model/policy.ts";
import type { End } from "../model/verdict.ts";
import type { Node, Pod, World } from "../model/world.ts";
import { clusterPolicyNamed, podNamed } from "../objects.arbitrary.ts";
import { allowedPorts, endOfAddress, evaluate } from "./evaluate.ts";

const pod = (name: string, node: string | null, ip: string, more: Partial<Pod> = {}): Pod =>
  podNamed(name, { namespace: "x", ips: [ip], node, ...more });
const node = (name: string, ...ips: string[]): Node => ({ name, labels: { name }, ips, podCIDRs: [], source: null });

const a = pod("a", "n1", "10.244.1.1");
const b = pod("b", "n2", "10.244.2.1");
const loose = pod("loose", null, "10.244.9.1");
const stray = pod("stray", "n9", "10.244.3.1");
const host = pod("host", "n1", "172.18.0.11", { hostNetwork: true });
const lost = pod("lost", "n9", "172.18.0.19", { hostNetwork: true });
const n1 = node("n1", "172.18.0.11", "192.0.2.11");
const n2 = node("n2", "172.18.0.12");

const denyAll: NetworkPolicy = {
  kind: "NetworkPolicy",
  metadata: { name: "deny", namespace: "x" },
  spec: { policyTypes: ["Ingress", "Egress"] },
  source: null,
};
const world: World = {
  nodes: [n1, n2],
  namespaces: [],
  pods: [a, b, loose, stray, host, lost],
  services: [],
  policies: [denyAll],
  cluster: { podCIDRs: [], serviceCIDRs: [] },
};
const plan = compile(world);

const podEnd = (one: Pod): End => ({ kind: "pod", pod: one });
const nodeEnd = (one: Node): End => ({ kind: "node", node: one });
const addressEnd = (address: string): End => ({ kind: "address", address });

const told = (from: End, to: End, viaService = false): string => {
  const { egress, ingress } = evaluate(plan, { from, to, family: "IPv4", protocol: "TCP", port: 80, viaService });
  return [egress, ingress].map(({ verdict, exempt }) => exempt ?? verdict).join(", ");
};

describe("egress, ingress under deny-all", () => {
  test.each<[string, End, End, string]>([
    ["itself (A7.1)", podEnd(a), podEnd(a), "self, self"],
    ["itself by address", podEnd(a), addressEnd("10.244.1.1"), "self, self"],
    ["own node (A7.3)", nodeEnd(n1), podEnd(a), "no-pod, own-node"],
    ["own node by one of its addresses", addressEnd("192.0.2.11"), podEnd(a), "no-pod, own-node"],
    ["another node (A7.4)", nodeEnd(n2), podEnd(a), "no-pod, deny"],
    ["a node, to a pod on no known node", nodeEnd(n1), podEnd(loose), "no-pod, deny"],
    ["to the own node (A7.6)", podEnd(a), nodeEnd(n1), "deny, no-pod"],
    ["a pod on the own node's network (A8.2)", podEnd(host), podEnd(a), "no-pod, own-node"],
    ["a pod on another node's network", podEnd(host), podEnd(b), "no-pod, deny"],
    ["a pod on the network of a node that is not listed", podEnd(lost), podEnd(stray), "no-pod, own-node"],
    ["no pod at either end (A5.2)", addressEnd("203.0.113.9"), nodeEnd(n1), "no-pod, no-pod"],
    ["an address", addressEnd("203.0.113.9"), podEnd(a), "no-pod, deny"],
    ["two pods", podEnd(a), podEnd(b), "deny, deny"],
  ])("%s", (_, from, to, expected) => {
    expect(told(from, to)).toBe(expected);
  });

  test("itself through a Service is judged (A7.2, C11.2)", () => {
    expect(told(podEnd(a), podEnd(a), true)).toBe("deny, deny");
  });
});

test("a node peer covers every address of the node and its hostNetwork pods, whatever is dialled (C8.5)", () => {
  const open = clusterPolicyNamed("nodes", {
    egress: [{ action: "Accept", to: [{ nodes: { matchLabels: { name: "n1" } } }] }],
  });
  const opened = compile({ ...world, policies: [denyAll, open] });
  const ports = (to: End): string => allowedPorts(opened, podEnd(b), to, "IPv4").key;
  for (const to of [nodeEnd(n1), addressEnd("192.0.2.11"), podEnd(host)])
    expect(ports(to)).toBe("TCP:1-65535;UDP:1-65535;SCTP:1-65535;other:0");
  expect(ports(nodeEnd(n2))).toBe("");
  expect(ports(addressEnd("203.0.113.9"))).toBe("");
});

test("addresses of pods and nodes mean these", () => {
  expect(endOfAddress(plan, "10.244.1.1")).toEqual(podEnd(a));
  expect(endOfAddress(plan, "192.0.2.11")).toEqual(nodeEnd(n1));
  expect(endOfAddress(plan, "203.0.113.9")).toEqual(addressEnd("203.0.113.9"));
});

test("a finished pod is no end of its own: its address is like any other (A17.4)", () => {
  const done = pod("done", "n1", "10.244.1.77", { phase: "Succeeded" });
  const later = compile({ ...world, pods: [...world.pods, done] });
  const flow = { family: "IPv4", protocol: "TCP", port: 80 } as const;
  expect(evaluate(later, { from: podEnd(done), to: podEnd(a), ...flow })).toMatchObject({
    egress: { exempt: "no-pod" },
    ingress: { verdict: "deny" },
  });
});

test("what cannot be asked is refused", () => {
  const flow = { from: podEnd(a), to: podEnd(b), family: "IPv4" } as const;
  expect(() => evaluate(plan, { ...flow, protocol: "TCP", port: 0 })).toThrow("TCP has no port 0");
  expect(() => evaluate(plan, { ...flow, to: addressEnd("nowhere"), protocol: "TCP", port: 1 })).toThrow(
    "not an IP address",
  );
  expect(() => evaluate(plan, { ...flow, to: podEnd(pod("c", null, "10.0.0.1")), protocol: "TCP", port: 1 })).toThrow(
    "pod x/c is not in the plan",
  );
});
