/** What the comments of `plan.ts` promise, by example. */
import { expect, test } from "vitest";
import type { ClusterPolicy, ClusterPolicyKind, ClusterRule, NetworkPolicy, Policy } from "../model/policy.ts";
import type { Pod, World } from "../model/world.ts";
import { clusterPolicyNamed, nodeNamed, podNamed, policyNamed, shopNamespace } from "../objects.arbitrary.ts";
import { compile } from "./live-plan.ts";
import type { Plan } from "./plan.ts";

const world = (parts: Partial<World>): World => ({
  nodes: [],
  namespaces: [shopNamespace],
  pods: [],
  services: [],
  policies: [],
  cluster: { podCIDRs: [], serviceCIDRs: [] },
  ...parts,
});

const db: NetworkPolicy = {
  kind: "NetworkPolicy",
  metadata: { name: "db", namespace: "shop" },
  spec: {
    podSelector: { matchLabels: { app: "db" } },
    ingress: [
      { from: [{ podSelector: { matchLabels: { app: "api" } } }], ports: [{ port: 5432 }] },
      { from: [{ ipBlock: { cidr: "10.0.0.0/8" } }] },
    ],
  },
  source: null,
};

const groupKeys = (plan: Plan, ids: readonly number[]): string[] =>
  [...plan.groups("ingress"), ...plan.groups("egress")].filter(({ id }) => ids.includes(id)).map(({ kind }) => kind);

test("the example of plan.ts", () => {
  const pods = [podNamed("db"), podNamed("api", { ips: ["10.244.1.7"] }), podNamed("web", { ips: ["10.244.1.8"] })];
  const plan = compile(world({ pods, policies: [db] }));
  const subject = plan.policyClass(pods[0]!, "ingress");
  expect(subject.rules.map(({ action, ports }) => [action, ports.fixed.key])).toEqual([
    ["Accept", "TCP:5432"],
    ["Accept", "TCP:1-65535;UDP:1-65535;SCTP:1-65535;other:0"],
  ]);
  expect(subject.isolating.map(({ policy, rule }) => [policy.name, rule])).toEqual([["db", null]]);
  expect(groupKeys(plan, plan.podPeer(pods[1]!, "IPv4", "ingress").groups)).toEqual(["pods", "addresses"]);
  expect(groupKeys(plan, plan.podPeer(pods[2]!, "IPv4", "ingress").groups)).toEqual(["addresses"]);
  expect(plan.podPeer(pods[1]!, "IPv4", "egress").groups).toEqual([]);
  expect(plan.policyClass(pods[0]!, "egress").policies).toEqual([]);
  expect(plan.netClasses("ingress").map(({ set, peer }) => [set.cidrs().length, peer.groups.length])).toEqual([
    [9, 0], // all but 10.0.0.0/8, and ::/0
    [1, 1],
  ]);
  expect(plan.netClasses("egress")).toHaveLength(1);
});

test("rules that allow the same port are all reasons, also where another allows more", () => {
  const pods = [podNamed("db"), podNamed("api", { ips: ["10.244.1.7"] })];
  const plan = compile(world({ pods, policies: [db] }));
  const pieces = plan.judge(plan.policyClass(pods[0]!, "ingress"), plan.podPeer(pods[1]!, "IPv4", "ingress"));
  expect(pieces.map(({ ports, decision }) => [ports.key, decision.reasons.map(({ rule }) => rule)])).toEqual([
    ["TCP:5432", [0, 1]],
    ["TCP:1-5431,5433-65535;UDP:1-65535;SCTP:1-65535;other:0", [1]],
  ]);
});

test("pods that policies cannot tell apart share their classes, and content outlives ids", () => {
  const replicas = ["a", "b"].map((name, i) => podNamed(name, { labels: { app: "db" }, ips: [`10.244.1.${i}`] }));
  const plan = compile(world({ pods: replicas, policies: [db] }));
  const [first, second] = replicas.map((one) => plan.policyClass(one, "ingress"));
  expect(first).toBe(second);
  expect(plan.podPeer(replicas[0]!, "IPv4", "ingress")).toBe(plan.podPeer(replicas[1]!, "IPv4", "ingress"));
  const again = compile(world({ pods: replicas.toReversed(), policies: [db] }));
  expect(again.policyClass(replicas[0]!, "ingress").key).toBe(first!.key);
});

test("the order of tiers, priorities, generations and names (C3.1, C4.3, C18.1)", () => {
  const ingress: ClusterRule[] = [{ action: "Deny", from: [{ namespaces: {} }] }];
  const cluster = (
    kind: ClusterPolicyKind,
    name: string,
    tier: string | null,
    priority: number | null,
  ): ClusterPolicy => ({
    kind,
    metadata: { name, namespace: "" },
    spec: { tier, priority, subject: { namespaces: {} }, ingress },
    source: null,
  });
  const policies: Policy[] = [
    cluster("BaselineAdminNetworkPolicy", "default", null, null),
    cluster("ClusterNetworkPolicy", "z", "Baseline", 1000),
    cluster("ClusterNetworkPolicy", "y", "Baseline", 2),
    { ...db, metadata: { name: "db-2", namespace: "shop" } },
    db,
    cluster("AdminNetworkPolicy", "a", null, 7),
    cluster("ClusterNetworkPolicy", "c", "Admin", 7),
    cluster("ClusterNetworkPolicy", "b", "Admin", 7),
    cluster("AdminNetworkPolicy", "first", null, 0),
    cluster("ClusterNetworkPolicy", "nowhere", "Middle", 0),
  ];
  const pods = [podNamed("db")];
  const { policies: ordered } = compile(world({ pods, policies })).policyClass(pods[0]!, "ingress");
  expect(ordered.map(({ ref }) => ref.name)).toEqual(["first", "b", "c", "a", "db", "db-2", "y", "z", "default"]);
});

test("who has an address: running pods before others, never finished ones, then nodes (A17.4, A8.2)", () => {
  const ips = ["10.244.1.7"];
  const pods = [
    podNamed("a", { ips, phase: "Succeeded" }),
    podNamed("b", { ips, phase: "Pending" }),
    podNamed("c", { ips }),
    podNamed("host", { ips: ["172.18.0.2"], hostNetwork: true, node: "n1" }),
  ];
  const plan = compile(world({ pods, nodes: [nodeNamed("n1", "172.18.0.2", "fd00::2")] }));
  expect(plan.endAt("10.244.1.7")).toMatchObject({ kind: "pod", pod: { name: "c" } });
  expect(plan.endAt("172.18.0.2")).toMatchObject({ kind: "node", node: { name: "n1" } });
  expect(plan.endAt("fd00:0::2")).toMatchObject({ kind: "node" });
  expect(plan.endAt("10.244.1.8")).toBeNull();
  plan.apply([{ op: "remove", kind: "pod", key: "shop/c" }]);
  expect(plan.endAt("10.244.1.7")).toMatchObject({ kind: "pod", pod: { name: "b" } });
});

test("an address that a pod could get, or not, is told (design: pods without an address)", () => {
  const pods = [podNamed("db", { template: true })];
  const policy: NetworkPolicy = {
    ...db,
    spec: {
      podSelector: {},
      policyTypes: ["Ingress"],
      ingress: [
        { from: [{ ipBlock: { cidr: "0.0.0.0/0" } }, { ipBlock: { cidr: "10.244.1.0/24" } }] },
        { from: [{ ipBlock: { cidr: "192.168.0.0/16" } }] },
      ],
    },
  };
  const sets = (podCIDRs: string[]): unknown => {
    const plan = compile(world({ pods, policies: [policy], cluster: { podCIDRs, serviceCIDRs: [] } }));
    return {
      covered: plan.podPeer(pods[0]!, "IPv4", "ingress").groups.length,
      dependent: plan.addressDependent(pods[0]!, "IPv4", "ingress").map(({ set }) => set.cidrs()[0]!.prefix),
    };
  };
  expect(sets([])).toEqual({ covered: 1, dependent: [16, 24] });
  expect(sets(["10.244.0.0/16"])).toEqual({ covered: 1, dependent: [24] });
  expect(sets(["10.244.1.0/25"])).toEqual({ covered: 2, dependent: [] });
});

test("finished, hostNetwork and unknown pods have no class", () => {
  const host = podNamed("host", { hostNetwork: true });
  const plan = compile(world({ pods: [host] }));
  expect(() => plan.policyClass(host, "ingress")).toThrow("pod shop/host is finished or on the host network");
  expect(() => plan.policyClass(podNamed("gone"), "ingress")).toThrow("pod shop/gone is not in the plan");
});

test("policies without a subject pod do not show", () => {
  const plan = compile(world({ pods: [podNamed("web")], policies: [db] }));
  expect([...plan.groups("ingress")]).toEqual([]);
  expect(plan.netClasses("ingress")).toHaveLength(1);
  const delta = plan.apply([{ op: "put", kind: "pod", object: podNamed("db") }]);
  expect([...plan.groups("ingress")]).toHaveLength(2);
  expect(delta.nets).toEqual({ ingress: true, egress: false });
});

test("who leaves a policy that nobody else is under is no peer of it when others come (fast-check seed 978555358)", () => {
  const red = { team: "red" };
  const apart = clusterPolicyNamed("apart", {
    subject: { namespaces: { matchLabels: red } },
    egress: [{ action: "Deny", to: [{ namespaces: { matchLabels: red } }] }],
  });
  const other = { ...shopNamespace, name: "stock", labels: {} };
  const pods = [podNamed("db"), podNamed("web", { namespace: "stock" })];
  // The second policy keeps the pod in a group of its own.
  const policies = [apart, policyNamed("all", { podSelector: {} })];
  const plan = compile(world({ namespaces: [{ ...shopNamespace, labels: red }, other], pods, policies }));
  const peers = (pod: Pod) => plan.podPeer(pod, "IPv4", "egress").groups.length;
  expect(pods.map(peers)).toEqual([1, 0]);
  plan.apply([{ op: "put", kind: "namespace", object: shopNamespace }]);
  expect(pods.map(peers)).toEqual([0, 0]);
  plan.apply([{ op: "put", kind: "namespace", object: { ...other, labels: red } }]);
  expect(pods.map(peers)).toEqual([0, 1]);
});

test("a resync and a heartbeat change nothing", () => {
  const pods = [podNamed("db")];
  const nodes = [nodeNamed("n1", "172.18.0.2")];
  const plan = compile(world({ pods, nodes, policies: [db] }));
  const delta = plan.apply([
    { op: "put", kind: "policy", object: structuredClone(db) },
    { op: "put", kind: "pod", object: structuredClone(pods[0]!) },
    { op: "put", kind: "node", object: structuredClone(nodes[0]!) },
  ]);
  expect(delta).toEqual({ pods: new Set(), freed: new Set(), nodes: false, nets: { ingress: false, egress: false } });
});
