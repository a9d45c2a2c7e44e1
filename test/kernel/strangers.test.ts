/** Addresses of this node's pod space without a known pod, and addresses that pass from one pod to another. */
import { expect, test } from "vitest";
import type { Seat } from "../../src/netns/sockets.ts";
import { Enforcer, type EnforcerOptions, removeTable } from "../../src/nftables/enforcer.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { LivePlan } from "../../src/policy/compile/plan.ts";
import type { NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { TcpFlow, UdpFlow } from "./flows.ts";
import { kernelStage } from "./stage.ts";
import { describeKernel } from "./support.ts";

const pod = (name: string, ips: readonly string[], more: Partial<Pod> = {}): Pod =>
  podNamed(name, { ips, node: "n1", ...more });

/** `u` is there, but nobody says so; `d` is on another node. */
const [a, b, u, d] = [
  pod("a", ["10.244.1.2", "fd00:244:1::2"]),
  pod("b", ["10.244.1.3", "fd00:244:1::3"]),
  pod("u", ["10.244.1.9", "fd00:244:1::9"]),
  pod("d", ["10.244.2.2", "fd00:244:2::2"], { node: "n2" }),
];
const nodes = [
  { name: "n1", labels: {}, ips: ["172.18.0.11", "fd00:18::b"], podCIDRs: [], source: null },
  { name: "n2", labels: {}, ips: ["172.18.0.12", "fd00:18::c"], podCIDRs: [], source: null },
];
const there: World = { ...emptyWorld, nodes, namespaces: [shopNamespace], pods: [a, b, u, d] };
const known: World = { ...there, pods: [a, b, d] };

const space = ["10.244.1.0/24", "fd00:244:1::/64"];
const ways: readonly [string, Partial<EnforcerOptions>][] = [
  ["CIDRs", { held: space }],
  ["interfaces", { podInterfaces: ["p1*"] }],
];

const isolated = (app: string): NetworkPolicySpec => ({
  podSelector: { matchLabels: { app } },
  policyTypes: ["Ingress", "Egress"],
  ingress: [{}],
  egress: [{}],
});

describeKernel("pod space", () => {
  const stage = kernelStage(there);
  let ports = 21000;

  const seat = ({ name, ips }: Pod, family: "IPv4" | "IPv6"): Seat =>
    stage.topology.podSeat(`shop/${name}`, ips[family === "IPv4" ? 0 : 1]!);
  const node = (family: "IPv4" | "IPv6"): Seat =>
    stage.topology.nodeSeat("n1", nodes[0]!.ips[family === "IPv4" ? 0 : 1]!);

  async function arrives(from: Seat, to: Seat): Promise<boolean> {
    const flow = new UdpFlow(from, to, ports++);
    const arrived = await flow.there();
    flow.close();
    return arrived;
  }

  async function enforcing(
    world: World,
    options: Partial<EnforcerOptions>,
    test: (enforcer: Enforcer, plan: LivePlan) => Promise<void>,
  ): Promise<void> {
    const plan = compile(world);
    const enforcer = await Enforcer.start(plan, { node: "n1", runner: stage.runner, ...options });
    try {
      await test(enforcer, plan);
    } finally {
      await enforcer.stop();
      await removeTable(stage.runner);
    }
  }

  for (const [how, options] of ways) {
    for (const family of ["IPv4", "IPv6"] as const) {
      test(`known by ${how}, ${family}: strangers are dropped, the known and the node's own traffic pass`, async () => {
        const world = { ...known, policies: [policyNamed("p", isolated("b"))] };
        await enforcing(world, options, async (enforcer, plan) => {
          for (const other of [a, b, d]) {
            expect(await arrives(seat(u, family), seat(other, family)), `u to ${other.name}`).toBe(false);
            expect(await arrives(seat(other, family), seat(u, family)), `${other.name} to u`).toBe(false);
          }
          expect(await arrives(seat(u, family), node(family))).toBe(false);
          const probe = new UdpFlow(node(family), seat(u, family), ports++);
          expect(await probe.there()).toBe(true);
          expect(await probe.back()).toBe(true);
          for (const [from, to] of [
            [a, b],
            [b, a],
            [a, d],
            [d, a],
            [b, d],
            [d, b],
          ] as const) {
            expect(await arrives(seat(from, family), seat(to, family)), `${from.name} to ${to.name}`).toBe(true);
          }
          expect(await arrives(seat(a, family), node(family))).toBe(true);

          const dropped = [...(await enforcer.counters())].filter(([, { packets }]) => packets > 0n);
          expect(dropped.map(([id]) => enforcer.explainDrop(id)?.stranger)).toEqual([true, true]);

          await enforcer.apply(plan, plan.apply([{ op: "put", kind: "pod", object: { ...u, phase: "Pending" } }]));
          const flow = new UdpFlow(seat(u, family), seat(a, family), ports++);
          expect(await flow.there()).toBe(true);
          await enforcer.apply(plan, plan.apply([{ op: "remove", kind: "pod", key: "shop/u" }]));
          expect(await flow.back()).toBe(false);
          expect(await flow.there()).toBe(false);
          // Its flows are forgotten, those of the node too, which opens them anew.
          expect(await probe.there()).toBe(true);
          expect(await probe.back()).toBe(true);
          for (const one of [flow, probe]) one.close();
        });
      });
    }
  }

  test("what is held can change, and a restart takes it over", async () => {
    await enforcing(known, {}, async (enforcer) => {
      const flow = new UdpFlow(seat(u, "IPv4"), seat(a, "IPv4"), ports++);
      expect(await flow.there()).toBe(true);
      await enforcer.hold(space);
      expect(await flow.there()).toBe(false);
      await enforcer.stop();
      const second = await Enforcer.start(compile(known), { node: "n1", runner: stage.runner, held: space });
      expect(await second.repair()).toEqual([]);
      expect(await flow.back()).toBe(false);
      await second.hold(["10.244.1.128/25"]);
      expect(await flow.there()).toBe(true);
      await expect(second.hold(["10.244.1.0"])).rejects.toThrow("not a CIDR");
      await second.stop();
      flow.close();
    });
  });

  test("no flow passes from one pod to the next that has its address", async () => {
    const flows = (): Promise<string> => stage.runner.run("list table inet bulkhead");
    await enforcing(
      { ...known, policies: [policyNamed("p", isolated("a"))] },
      { held: space },
      async (enforcer, plan) => {
        const old = (await TcpFlow.open(seat(b, "IPv4"), seat(a, "IPv4"), ports++))!;
        const other = (await TcpFlow.open(seat(b, "IPv4"), seat(d, "IPv4"), ports++))!;
        expect(await old.there()).toBe(true);
        const put = (object: Pod) => enforcer.apply(plan, plan.apply([{ op: "put", kind: "pod", object }]));
        const forgotten: string[][] = [];
        const forget = stage.runner.forgetFlows;
        stage.runner.forgetFlows = (addresses) => {
          forgotten.push([...addresses].sort());
          return forget(addresses);
        };
        try {
          // The same class, the same name: another pod.
          const stats = await put({ ...a, uid: "second" });
          expect(stats.map(({ purpose }) => purpose)).toEqual(["epoch", "forget"]);
          expect(forgotten).toEqual([[...a.ips].sort()]);
          expect(await put({ ...a, uid: "second" })).toEqual([]);
          expect(await flows()).toContain("owners4");
          // Over a restart too.
          await enforcer.stop();
          plan.apply([{ op: "put", kind: "pod", object: { ...a, uid: "third" } }]);
          const next = await Enforcer.start(plan, { node: "n1", runner: stage.runner, held: space });
          expect(forgotten).toHaveLength(2);
          await next.stop();
          expect(await other.there()).toBe(true);
          expect(await other.back()).toBe(true);
        } finally {
          stage.runner.forgetFlows = forget;
          for (const one of [old, other]) one.close();
        }
      },
    );
  });

  test("removing says whether there was a table, and leaves others' bits of marks", async () => {
    await stage.runner.run(
      "table inet other {\nchain c {\ntype filter hook forward priority -6; policy accept;\nct mark set ct mark & 0xffff0000 | 0x00000a0b meta mark set 0x4000\n}\n}\n",
    );
    await enforcing({ ...known, policies: [policyNamed("p", isolated("a"))] }, {}, async (enforcer) => {
      const flow = new UdpFlow(seat(b, "IPv4"), seat(a, "IPv4"), ports++);
      for (let i = 0; i < 3; i++) expect(await flow.there()).toBe(true);
      await enforcer.stop();
      expect(await removeTable(stage.runner)).toBe(true);
      expect(await removeTable(stage.runner)).toBe(false);
      const seen =
        "table inet seen {\nchain c {\ntype filter hook forward priority -7; policy accept;\nct mark 0x00000a0b counter\n}\n}\n";
      await stage.runner.run(seen);
      expect(await flow.there()).toBe(true);
      expect(await stage.runner.run("list table inet seen")).toContain("counter packets 1 ");
      flow.close();
      await stage.runner.run("delete table inet seen\ndelete table inet other\n");
    });
  });
});
