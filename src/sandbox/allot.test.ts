import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../net/address.ts";
import { emptyWorld, isFinished, type Pod, type World } from "../policy/model/world.ts";
import { arbitraryWorld } from "../policy/world.arbitrary.ts";
import { allot } from "./allot.ts";

const template: Pod = {
  namespace: "shop",
  name: "web",
  labels: { app: "web" },
  ips: [],
  node: null,
  hostNetwork: false,
  phase: "Running",
  ports: [],
  workload: { kind: "Deployment", name: "web" },
  template: true,
  replicas: 5,
  source: null,
};
const shop = (...pods: Pod[]): World => ({ ...emptyWorld, pods });

describe("allot", () => {
  test("a template becomes two pods on two invented nodes, dual-stack", () => {
    const { world, notes } = allot(shop(template));
    expect(world.pods.map(({ name, node, ips, template: left }) => [name, node, ips, left])).toEqual([
      ["web-0", "node-1", ["10.244.0.1", "fd00:10:244::1"], false],
      ["web-1", "node-2", ["10.244.0.2", "fd00:10:244::2"], false],
    ]);
    expect(world.nodes.map(({ ips }) => ips)).toEqual([
      ["172.18.0.1", "fd00:172:18::1"],
      ["172.18.0.2", "fd00:172:18::2"],
    ]);
    expect(notes).toHaveLength(5);
  });

  test.each([
    ["as many as it has replicas", { replicas: 1 }, 1],
    ["one where it is scaled to nothing", { replicas: 0 }, 1],
    ["at most two", { replicas: null }, 2],
  ])("of a template: %s", (_, change, count) => {
    expect(allot(shop({ ...template, ...change })).world.pods).toHaveLength(count);
  });

  test("real pods keep what they have; of many replicas two on different nodes stay", () => {
    const pods = ["n1", "n1", "n2"].map((node, i) => ({
      ...template,
      name: `web-${i}`,
      node,
      ips: [`10.0.0.${i + 1}`],
      template: false,
    }));
    const { world } = allot(shop(...pods));
    expect(world.pods).toEqual([pods[0], pods[2]]);
    expect(world.nodes.map(({ name }) => name)).toEqual(["n1", "n2"]);
  });

  test("addresses come from the node's range; a cluster of one family gets that family only", () => {
    const node = { name: "n1", labels: {}, ips: ["192.168.0.1"], podCIDRs: ["10.9.0.0/29"], source: null };
    const { world } = allot({ ...shop(template), nodes: [node] });
    expect(world.pods.map(({ ips }) => ips)).toEqual([["10.9.0.1"], ["10.9.0.2"]]);
  });

  test("a full range is an error that says what to do", () => {
    const node = { name: "n1", labels: {}, ips: ["192.168.0.1"], podCIDRs: ["10.9.0.0/31"], source: null };
    expect(() => allot({ ...shop(template), nodes: [node] })).toThrow("no free address is left in 10.9.0.0/31");
  });

  test("a hostNetwork pod has its node's addresses", () => {
    const { world } = allot(shop({ ...template, hostNetwork: true, replicas: 1 }));
    expect(world.pods[0]!.ips).toEqual(world.nodes[0]!.ips);
  });

  test("two pods with one address cannot be built", () => {
    const pods = ["a", "b"].map((name) => ({ ...template, name, ips: ["10.0.0.1"], template: false }));
    expect(() => allot(shop(...pods))).toThrow("pod shop/a and pod shop/b have the same address, 10.0.0.1");
    expect(() => allot(shop(pods[0]!, { ...pods[1]!, phase: "Succeeded" }))).not.toThrow();
  });

  test("every live pod of any world ends on a node, with addresses of its own", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (given) => {
        const { world } = allot(given);
        const live = world.pods.filter((pod) => !isFinished(pod));
        const nodes = new Set(world.nodes.map(({ name }) => name));
        for (const pod of live) expect(nodes).toContain(pod.node);
        const own = [...live.filter((pod) => !pod.hostNetwork), ...world.nodes].flatMap(({ ips }) => {
          expect(ips).not.toEqual([]);
          return ips.map((ip) => parseAddress(ip)!).map(({ family, value }) => `${family} ${value}`);
        });
        expect(new Set(own).size).toBe(own.length);
        expect(live.some((pod) => pod.template)).toBe(false);
        expect(allot(world).world).toEqual(world);
      }),
      { numRuns: 100 },
    );
  });
});
