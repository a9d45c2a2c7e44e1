import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cidrContains, type Family, families, parseAddress, parseCidr } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import { compile } from "../compile/live-plan.ts";
import type { LabelSelector, Labels } from "../model/labels.ts";
import type { End } from "../model/verdict.ts";
import { emptyWorld, namespacedName, type Pod, type World } from "../model/world.ts";
import { nodeNamed, podNamed, shopNamespace } from "../objects.arbitrary.ts";
import { arbitraryWorld } from "../world.arbitrary.ts";
import { allowedByFamily, endPods, podEnd } from "./brute-force.arbitrary.ts";
import { connectivity } from "./connectivity.ts";
import { connectivityClasses } from "./connectivity-classes.ts";
import { type Connectivity, type EndpointEntry, isProblem, type Level } from "./types.ts";

function mapOf(world: World, level: Level): Connectivity {
  const map = connectivity(compile(world), { level });
  if (isProblem(map)) throw new Error(map.message);
  return map;
}

/** The single ends of an endpoint; of a range of addresses, both ends of every CIDR that are outside the cluster. */
function endsOf(world: World, entry: EndpointEntry): readonly End[] {
  if (entry.kind === "node")
    return world.nodes.filter(({ name }) => name === entry.name).map((node) => ({ kind: "node", node }));
  if (entry.kind === "cidr") return outsideEnds(world, entry).map((address) => ({ kind: "address", address }));
  const names = entry.pods ?? [`${entry.namespace}/${entry.name}`];
  return world.pods.filter((pod) => names.includes(namespacedName(pod))).map(podEnd);
}

const probes = [
  "203.0.113.9",
  "203.0.113.10",
  "192.0.2.7",
  "10.9.9.9",
  "172.18.99.1",
  "198.51.100.7",
  "1.2.3.4",
  "200.0.0.1",
  "2001:db8::9",
  "2001:db8::7",
  "2a00::1",
  "fd00:5::1",
  "fd00:18::ff",
];

function outsideEnds(world: World, entry: EndpointEntry): readonly string[] {
  const taken = new Set(
    [...world.pods.flatMap(({ ips }) => ips), ...world.nodes.flatMap(({ ips }) => ips)].map(
      (ip) => parseAddress(ip)!.value,
    ),
  );
  const inside = (ip: string): boolean =>
    entry.ips.some((text) => cidrContains(parseCidr(text)!.cidr, parseAddress(ip)!));
  return probes.filter((ip) => inside(ip) && !taken.has(parseAddress(ip)!.value));
}

/** `expect` is too slow for every cell of every world. */
function same(context: string, found: string, expected: string): void {
  if (found !== expected) expect(`${context}: ${found}`).toBe(`${context}: ${expected}`);
}

function expectExact(world: World, map: Connectivity): void {
  const plan = compile(world);
  const found = new Map(map.connections.map((connection) => [`${connection.from} ${connection.to}`, connection]));
  expect(found.size).toBe(map.connections.length);
  for (const from of map.endpoints)
    for (const to of map.endpoints) {
      if (from === to) continue;
      const hasPod = [from, to].some(({ kind }) => kind === "pod" || kind === "workload");
      const connection = found.get(`${from.ref} ${to.ref}`);
      if (!hasPod) {
        expect(connection).toBeUndefined();
        continue;
      }
      const allowed = allowedByFamily(plan, endsOf(world, from), endsOf(world, to));
      if (allowed.size === 0) continue; // a range without a probe, or no common family
      const of = (family: Family): string | undefined => allowed.get(family)?.all.key;
      const ports = PortSet.of(connection?.ports ?? []);
      const told = (family: Family): string =>
        PortSet.of(connection?.families?.[family] ?? connection?.ports ?? []).key;
      const every = Array.from(allowed.values(), ({ all }) => all).reduce((a, b) => a.intersect(b));
      const context = `${from.ref} -> ${to.ref}`;
      if (allowed.size === 2) same(context, ports.key, every.key);
      for (const family of families) {
        const expected = of(family);
        if (expected !== undefined) same(`${context} ${family}`, told(family), expected);
      }
    }
}

describe("connectivity", () => {
  test("at pod level is what the evaluator says of every pair", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => expectExact(world, mapOf(world, "pod"))),
      { numRuns: 60 },
    );
  });

  test("in classes it has as many connections, and a checksum that follows them", () => {
    fc.assert(
      fc.property(arbitraryWorld(), arbitraryWorld(), (world, other) => {
        const away = { ...world, nodes: [] };
        const classes = connectivityClasses(compile(away));
        const map = mapOf(away, "pod");
        expect(classes.endpoints).toBe(map.endpoints.length);
        expect(classes.connections).toBe(map.connections.length);
        const changed = { ...away, policies: other.policies };
        const sameMap = JSON.stringify(mapOf(changed, "pod").connections) === JSON.stringify(map.connections);
        if (!sameMap) expect(connectivityClasses(compile(changed)).checksum).not.toBe(classes.checksum);
        const shuffled = { ...away, pods: away.pods.toReversed(), policies: away.policies.toReversed() };
        expect(connectivityClasses(compile(shuffled)).checksum).toBe(classes.checksum);
      }),
      { numRuns: 60 },
    );
  });

  test("every running pod is an endpoint, hostNetwork and finished ones are none", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const refs = mapOf(world, "pod")
          .endpoints.filter(({ kind }) => kind === "pod")
          .map(({ ref }) => ref);
        expect(refs.sort()).toEqual(endPods(world).map(namespacedName).sort());
      }),
      { numRuns: 30 },
    );
  });

  test("at workload level too, workloads split where their pods differ", () => {
    const shared = arbitraryWorld().map((world) => ({
      ...world,
      pods: world.pods.map((pod, i) => ({
        ...pod,
        workload: { kind: "Deployment" as const, name: i % 2 === 0 ? "even" : "odd" },
      })),
    }));
    fc.assert(
      fc.property(shared, (world) => expectExactForEveryPod(world, mapOf(world, "workload"))),
      { numRuns: 60 },
    );
  });
});

describe("workloads", () => {
  const pod = (name: string, node: string, labels: Labels, ip: string): Pod =>
    podNamed(name, {
      labels: { app: "web", ...labels },
      ips: [ip],
      node,
      workload: { kind: "Deployment", name: "web" },
      replicas: 2,
    });
  const client: Pod = {
    ...pod("client", "n2", { app: "client" }, "10.244.2.9"),
    workload: { kind: "Pod", name: "client" },
  };
  const shop = (second: Pod, podSelector: LabelSelector): World => ({
    ...emptyWorld,
    namespaces: [shopNamespace],
    nodes: [nodeNamed("n1", "172.18.0.11"), nodeNamed("n2", "172.18.0.12")],
    pods: [pod("web-1", "n1", {}, "10.244.1.5"), second, client],
    policies: [
      { kind: "NetworkPolicy", metadata: { name: "web", namespace: "shop" }, spec: { podSelector }, source: null },
    ],
  });
  const lines = ({ connections }: Connectivity) =>
    connections
      .filter(({ from, to }) => from !== "external" && to !== "external")
      .map(({ from, to }) => `${from} ${to}`);

  test("whose pods are judged alike are one row; the node of some is not the node of all", () => {
    const map = mapOf(shop(pod("web-2", "n2", {}, "10.244.2.5"), {}), "workload");
    expect(map.endpoints[1]).toMatchObject({
      ref: "shop/deployment/web",
      kind: "workload",
      pods: ["shop/web-1", "shop/web-2"],
      ips: ["10.244.1.5", "10.244.2.5"],
    });
    expect(lines(map)).toEqual([
      "shop/client node/n1",
      "shop/client node/n2",
      "shop/deployment/web node/n1",
      "shop/deployment/web node/n2",
      "node/n2 shop/client",
    ]);
    const onOne = mapOf(shop(pod("web-2", "n1", {}, "10.244.1.6"), {}), "workload");
    expect(lines(onOne)).toContain("node/n1 shop/deployment/web");
  });

  test("whose pods differ are several rows", () => {
    const map = mapOf(
      shop(pod("web-2", "n2", { canary: "yes" }, "10.244.2.5"), { matchLabels: { canary: "yes" } }),
      "workload",
    );
    expect(map.endpoints.slice(0, 3)).toMatchObject([
      { ref: "shop/client", kind: "pod" },
      { ref: "shop/web-1", kind: "workload", name: "web", part: true, pods: ["shop/web-1"] },
      { ref: "shop/web-2", kind: "workload", name: "web", part: true, pods: ["shop/web-2"] },
    ]);
    expect(lines(map)).toContain("shop/client shop/web-1");
    expect(lines(map)).not.toContain("shop/client shop/web-2");
  });

  test("a focus keeps what it touches, in one direction if asked", () => {
    const world = shop(pod("web-2", "n2", {}, "10.244.2.5"), {});
    const focused = (direction?: "ingress" | "egress") => {
      const focus = { kind: "pod" as const, namespace: "shop", name: "client" };
      const map = connectivity(compile(world), {
        focus,
        external: false,
        ...(direction === undefined ? {} : { direction }),
      });
      if (isProblem(map)) throw new Error(map.message);
      return lines(map);
    };
    expect(focused()).toEqual(["shop/client node/n1", "shop/client node/n2", "node/n2 shop/client"]);
    expect(focused("ingress").every((line) => line.endsWith(" shop/client"))).toBe(true);
    expect(focused("egress").every((line) => line.startsWith("shop/client "))).toBe(true);
  });
});

/** Own nodes aside, each pod of an endpoint has exactly the connections of the endpoint. */
function expectExactForEveryPod(world: World, map: Connectivity): void {
  const away = { ...world, pods: world.pods.map((pod) => ({ ...pod, node: null })) };
  const plan = compile(away);
  const unnoded = map.endpoints.filter(({ kind }) => kind !== "node");
  const found = new Map(map.connections.map((connection) => [`${connection.from} ${connection.to}`, connection]));
  for (const from of unnoded)
    for (const to of unnoded) {
      if (from === to || (from.kind === "cidr" && to.kind === "cidr")) continue;
      const connection = found.get(`${from.ref} ${to.ref}`);
      for (const a of endsOf(away, from))
        for (const b of endsOf(away, to))
          for (const [family, { all }] of allowedByFamily(plan, [a], [b])) {
            const told = PortSet.of(connection?.families?.[family] ?? connection?.ports ?? []);
            same(`${from.ref} -> ${to.ref} ${family}`, told.key, all.key);
          }
    }
}
