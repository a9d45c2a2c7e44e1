/** The small parts: what stands for a refused policy, held space, the lock, kept addresses, log lines. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownNetwork } from "../netns/namespace.ts";
import { compile } from "../policy/compile/live-plan.ts";
import { emptyWorld } from "../policy/model/world.ts";
import { clusterPolicyNamed } from "../policy/objects.arbitrary.ts";
import { parseRoutes4, parseRoutes6 } from "./bridge.ts";
import { findEngines, tablesAndChains } from "./check/engines.ts";
import { kernelFinding, rightsFinding } from "./check/node.ts";
import { fileStore } from "./early-store.ts";
import { Held } from "./held.ts";
import { awaitLock } from "./lock.ts";
import { openLog } from "./log.ts";
import { closed } from "./stand-in.ts";
import { earlyPod, isolate, namespace, node, pod } from "./worlds.arbitrary.ts";

describe("the stand-in of a refused policy", () => {
  const verdicts = (policy: Parameters<typeof closed>[0]): readonly (readonly [number, number])[] => {
    const web = pod("web", { ips: ["10.0.0.1"] });
    const plan = compile({ ...emptyWorld, namespaces: [namespace("shop")], pods: [web], policies: [policy] });
    return (["ingress", "egress"] as const).map((direction) => {
      const own = plan.policyClass(web, direction);
      const port = plan.allowed(own, plan.addressPeer("192.0.2.1", direction === "ingress" ? "ingress" : "egress"));
      return [own.policies.length, port.isEmpty ? 0 : 1] as const;
    });
  };

  test("NetworkPolicy: isolated in its directions, nothing allowed", () => {
    const open = { ...isolate("a", "web"), spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{}] } };
    expect(verdicts(open)[0]).toEqual([1, 1]);
    expect(verdicts(closed(open))).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  test("ClusterNetworkPolicy: everything denied where it has rules", () => {
    const open = clusterPolicyNamed("a", { egress: [{ action: "Accept", to: [{ networks: ["0.0.0.0/0"] }] }] });
    expect(verdicts(closed(open))).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });
});

describe("the space that is held", () => {
  const plan = (podCIDRs: readonly string[]) => compile({ ...emptyWorld, nodes: [node("n1", [], podCIDRs)] });
  const options = { node: "n1", podCIDRs: [], podInterfaces: [] };

  test("the Node's, as soon as it is in force", () => {
    const held = new Held(options);
    expect(held.update(plan([]))).toBe(false);
    expect(held.conditions()[0]).toMatchObject({
      state: "failed",
      text: expect.stringContaining("NOT held") as string,
    });
    expect(held.update(plan(["10.0.1.0/24"]))).toBe(true);
    expect(held.conditions()[0]).toMatchObject({ state: "failed" });
    held.done(held.cidrs);
    expect(held.conditions()).toEqual([{ name: "held", state: "ok", text: "unknown pods are held in 10.0.1.0/24" }]);
  });

  test("a Node that is gone opens nothing, and is missed", () => {
    const held = new Held(options);
    held.update(plan(["10.0.1.0/24"]));
    expect(held.update(compile(emptyWorld))).toBe(false);
    expect(held.cidrs).toEqual(["10.0.1.0/24"]);
    expect(held.conditions()[0]).toMatchObject({ name: "node", state: "failed" });
  });

  test("interfaces are enough", () => {
    const held = new Held({ ...options, podInterfaces: ["cali*"] });
    held.update(plan([]));
    expect(held.conditions()[0]).toMatchObject({ state: "ok", text: "unknown pods are held in interface cali*" });
  });
});

test("one lock a table; who waits gets it when it is free", async () => {
  const table = `test-${process.pid}`;
  const waits: number[] = [];
  const { signal } = new AbortController();
  const take = (name: string) =>
    awaitLock(ownNetwork, name, { signal, waits: (pid) => waits.push(pid), warn: expect.fail });
  const lock = await take(table);
  (await take(`${table}-other`)).release();
  expect(waits).toEqual([]);
  const next = take(table);
  expect(waits).toEqual([process.pid]);
  lock.release();
  (await next).release();
  expect(waits).toEqual([process.pid]);
});

describe("addresses that are kept", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "bulkhead-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("are there for the next process; what is damaged is not used", () => {
    const path = join(folder, "addresses");
    const told: string[] = [];
    const store = () => fileStore(path, (message) => told.push(message));
    expect(store().load()).toEqual([]);
    store().save([earlyPod("web", { ips: ["10.0.0.1"] })]);
    expect(store().load()).toEqual([earlyPod("web", { ips: ["10.0.0.1"] })]);
    expect(told).toEqual([]);
    writeFileSync(path, readFileSync(path, "utf8").slice(0, 20));
    expect(store().load()).toEqual([]);
    expect(told).toEqual([`${path} is damaged and is not used`]);
    fileStore(join(folder, "none", "addresses"), (message) => told.push(message)).save([]);
    expect(told[1]).toContain("can't be written");
  });
});

test("log lines, for machines and for people", async () => {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  (await openLog({ format: "json", verbose: false, write })).warn({ policy: "a/b" }, "one");
  (await openLog({ format: "text", verbose: false, write })).warn({ policy: "a b" }, "one\u001b[31m");
  (await openLog({ format: "text", verbose: false, write })).debug({}, "silent");
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: "warn", policy: "a/b", message: "one" });
  expect(lines[1]).toMatch(/^\S+Z WARN {2}one \[31m policy="a b"\n$/);
  expect(lines).toHaveLength(2);
});

test("routes, as the kernel prints them", () => {
  const four = parseRoutes4(
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\ncni0\t0001F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n",
  );
  expect(four).toMatchObject([{ device: "cni0", destination: { family: "IPv4", prefix: 24, value: 0x0af40100n } }]);
  const zero = "00000000000000000000000000000000";
  const six = parseRoutes6(
    `fd000010024400010000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     cni0\n`,
  );
  expect(six).toMatchObject([{ device: "cni0", destination: { family: "IPv6", prefix: 64 } }]);
});

describe("looking at a node", () => {
  test("other engines are named by what they leave", () => {
    const listing =
      "table ip filter {\n\tchain cali-FORWARD {\n\t}\n\tchain FORWARD {\n\t}\n}\ntable inet kube-network-policies {\n}\n";
    const { tables, chains } = tablesAndChains(listing);
    expect({ tables, chains }).toEqual({
      tables: ["ip filter", "inet kube-network-policies"],
      chains: ["cali-FORWARD", "FORWARD"],
    });
    const found = findEngines({ tables, chains, interfaces: ["lo", "eth0", "cali0123456789a", "cilium_host"] });
    expect(found.map(({ text }) => text.split(":")[0])).toEqual([
      "Calico is or was here (chain cali-FORWARD, interface cali0123456789a)",
      "Cilium is or was here (interface cilium_host)",
      "kube-network-policies is or was here (table inet kube-network-policies)",
    ]);
    expect(findEngines({ tables: ["inet bulkhead"], chains: [], interfaces: ["lo"] })).toEqual([
      { name: "engines", state: "ok", text: "no other policy engine" },
    ]);
  });

  test("kernel and rights", () => {
    expect(kernelFinding("5.4.0-generic").state).toBe("problem");
    expect(kernelFinding("6.1.0-13-amd64").state).toBe("ok");
    expect(rightsFinding("CapEff:\t0000000000001000\n").state).toBe("ok");
    expect(rightsFinding("CapEff:\t0000000000000000\n").state).toBe("problem");
    expect(rightsFinding("").state).toBe("unknown");
  });
});
