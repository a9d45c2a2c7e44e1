/** The enforcer against a real kernel: what stays, what is cut, what a restart finds. */
import { expect, test } from "vitest";
import { Namespace } from "../../src/netns/namespace.ts";
import type { Seat } from "../../src/netns/sockets.ts";
import { Enforcer, type EnforcerOptions, fullScript } from "../../src/nftables/enforcer.ts";
import { NftablesError, openRunner, type Runner } from "../../src/nftables/runner.ts";
import { scriptOf } from "../../src/nftables/script.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { LivePlan } from "../../src/policy/compile/plan.ts";
import type { NetworkPolicy, NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { TcpFlow, UdpFlow } from "./flows.ts";
import { kernelStage } from "./stage.ts";
import { describeKernel } from "./support.ts";

const pod = (name: string, ips: readonly string[]): Pod => podNamed(name, { ips, node: "n1" });

const world: World = {
  ...emptyWorld,
  nodes: [{ name: "n1", labels: {}, ips: ["172.18.0.11", "fd00:18::b"], podCIDRs: [], source: null }],
  namespaces: [shopNamespace],
  pods: [
    pod("a", ["10.244.1.2", "fd00:244:1::2"]),
    pod("b", ["10.244.1.3", "fd00:244:1::3"]),
    pod("c", ["10.244.1.4"]),
  ],
};

const only = (app: string, from: string): NetworkPolicySpec => ({
  podSelector: { matchLabels: { app } },
  ingress: [{ from: [{ podSelector: { matchLabels: { app: from } } }] }],
});

/** Counts transactions, and lets a test stand in for the clearing of marks. */
function observed(runner: Runner, clearMarks?: Runner["clearMarks"]): Runner & { readonly sent: string[] } {
  const sent: string[] = [];
  return {
    sent,
    backend: runner.backend,
    watch: runner.watch,
    commit: (commands, table) => {
      sent.push(scriptOf(commands, table));
      return runner.commit(commands, table);
    },
    run: (script, format) => runner.run(script, format),
    clearMarks: clearMarks ?? ((mask, first, last) => runner.clearMarks(mask, first, last)),
    forgetFlows: (addresses) => runner.forgetFlows(addresses),
    close: () => runner.close(),
  };
}

describeKernel("enforcer", () => {
  const stage = kernelStage(world);
  let ports = 20000;

  const seat = (name: string, family: "IPv4" | "IPv6" = "IPv4"): Seat => {
    const ips = world.pods.find((one) => one.name === name)!.ips;
    return stage.topology.podSeat(`shop/${name}`, ips[family === "IPv4" ? 0 : 1]!);
  };
  const udp = (from: Seat, to: Seat): UdpFlow => new UdpFlow(from, to, ports++);

  async function enforcing(
    policies: readonly NetworkPolicy[],
    test: (enforcer: Enforcer, plan: LivePlan) => Promise<void>,
    options: Partial<EnforcerOptions> = {},
  ): Promise<void> {
    const plan = compile({ ...world, policies });
    const enforcer = await Enforcer.start(plan, { node: "n1", runner: stage.runner, ...options });
    try {
      await test(enforcer, plan);
    } finally {
      await enforcer.remove();
    }
  }

  const put = (enforcer: Enforcer, plan: LivePlan, object: NetworkPolicy) =>
    enforcer.apply(plan, plan.apply([{ op: "put", kind: "policy", object }]));
  const remove = (enforcer: Enforcer, plan: LivePlan, key: string) =>
    enforcer.apply(plan, plan.apply([{ op: "remove", kind: "policy", key }]));

  test("the script of a whole plan loads, by the library and by the program", async () => {
    const script = fullScript(compile({ ...world, policies: [policyNamed("only-b", only("a", "b"))] }), "n1");
    for (const backend of ["libnftables", "nft"] as const) {
      const namespace = Namespace.create();
      const own = await openRunner({ netns: namespace.fd, backend });
      expect(own.backend).toBe(backend);
      await own.run(script);
      expect(await own.run("list table inet bulkhead")).toContain("jump judge_forward");
      await expect(own.run("add table inet other\nadd element inet nosuch x { 1 }\n")).rejects.toThrow(NftablesError);
      await expect(own.run("list table inet other")).rejects.toThrow(/No such file/);
      await own.close();
      namespace.close();
    }
  });

  test("drops silently, counts, and says why", async () => {
    await enforcing([policyNamed("only-b", only("a", "b"))], async (enforcer) => {
      for (const family of ["IPv4", "IPv6"] as const) {
        const allowed = udp(seat("b", family), seat("a", family));
        expect(await allowed.there()).toBe(true);
        expect(await allowed.back()).toBe(true);
        allowed.close();
      }
      const denied = udp(seat("c"), seat("a"));
      expect(await denied.there()).toBe(false);
      expect(await denied.there()).toBe(false);
      denied.close();
      const counters = [...(await enforcer.counters())].filter(([, { packets }]) => packets > 0n);
      expect(counters).toHaveLength(1);
      const [id, counter] = counters[0]!;
      expect(counter.packets).toBe(2n);
      expect(enforcer.explainDrop(id)).toEqual({
        direction: "ingress",
        tier: "NetworkPolicy",
        reasons: [
          {
            policy: { kind: "NetworkPolicy", namespace: "shop", name: "only-b" },
            rule: null,
            action: "Deny",
            position: null,
          },
        ],
      });
    });
  });

  test.each(["there", "back"] as const)("cuts established flows, the first packet after it going %s", async (way) => {
    await enforcing([], async (enforcer, plan) => {
      const tcp = (await TcpFlow.open(seat("b"), seat("a"), ports++))!;
      const flow = udp(seat("b"), seat("a"));
      const kept = udp(seat("c"), seat("a"));
      await put(enforcer, plan, policyNamed("p", only("a", "b")));
      for (const one of [tcp, flow]) for (const go of [one.there, one.back]) expect(await go()).toBe(true);
      expect(await kept.there()).toBe(false);
      await put(enforcer, plan, policyNamed("p", only("a", "c")));
      for (const one of [tcp, flow]) {
        expect(await one[way]()).toBe(false);
        expect(await one.there()).toBe(false);
        expect(await one.back()).toBe(false);
      }
      expect(await kept.there()).toBe(true);
      // A denied flow is no lost one.
      await remove(enforcer, plan, "NetworkPolicy/shop/p");
      expect(await flow.there()).toBe(true);
      expect(await flow.back()).toBe(true);
      for (const one of [tcp, flow, kept]) one.close();
    });
  });

  test("never cuts what the own node opened, nor judges its replies", async () => {
    await enforcing([], async (enforcer, plan) => {
      const probe = udp(stage.topology.nodeSeat("n1", "172.18.0.11"), seat("a"));
      expect(await probe.there()).toBe(true);
      expect(await probe.back()).toBe(true);
      const isolated = { podSelector: {}, policyTypes: ["Ingress", "Egress"] };
      await put(enforcer, plan, policyNamed("nothing", isolated));
      expect(await probe.back()).toBe(true);
      expect(await probe.there()).toBe(true);
      probe.close();
      const outward = udp(seat("a"), stage.topology.nodeSeat("n1", "172.18.0.11"));
      expect(await outward.there()).toBe(false);
      outward.close();
    });
  });

  test("only what closes begins an epoch", async () => {
    await enforcing([policyNamed("p", only("a", "b"))], async (enforcer, plan) => {
      const epochAfter = async (object: NetworkPolicy): Promise<number> => {
        await put(enforcer, plan, object);
        return Number(/ epoch (\d+)/.exec(await stage.runner.run("list set inet bulkhead about"))![1]);
      };
      const before = await epochAfter(policyNamed("q", only("a", "b")));
      expect(await epochAfter(policyNamed("q", only("a", "c")))).toBe(before);
      expect(await epochAfter(policyNamed("q", only("a", "b")))).toBe(before + 1);
    });
  });

  test("a restart takes over what is there and sends only the difference", async () => {
    const before = [policyNamed("only-b", only("a", "b")), policyNamed("only-a", only("c", "a"))];
    await enforcing(before, async (first) => {
      await first.stop();
      const flow = udp(seat("b"), seat("a"));
      expect(await flow.there()).toBe(true);

      const same = observed(stage.runner);
      const second = await Enforcer.start(compile({ ...world, policies: before }), { node: "n1", runner: same });
      expect(same.sent).toEqual([]);
      expect(await flow.there()).toBe(true);
      await second.stop();

      const changed = observed(stage.runner);
      const plan = compile({ ...world, policies: [policyNamed("only-b", only("a", "c")), before[1]!] });
      const third = await Enforcer.start(plan, { node: "n1", runner: changed });
      expect(changed.sent.join("\n")).not.toContain("hook forward");
      expect(await flow.there()).toBe(false);
      await third.stop();

      const warnings: string[] = [];
      const options = {
        node: "n1",
        runner: stage.runner,
        logGroup: 77,
        warn: (text: string) => void warnings.push(text),
      };
      const fourth = await Enforcer.start(plan, options);
      expect(warnings).toHaveLength(1);
      expect(await flow.there()).toBe(false);
      expect(await stage.runner.run("list table inet bulkhead")).toContain("group 77");
      await fourth.stop();
      flow.close();
    });
  });

  test("what a refused transaction left is repaired by the next call", async () => {
    let refuse = Number.POSITIVE_INFINITY;
    const own: Runner = {
      ...stage.runner,
      commit: (commands, table) =>
        refuse-- === 0 ? Promise.reject(new Error("refused")) : stage.runner.commit(commands, table),
    };
    await enforcing(
      [policyNamed("p", only("a", "b"))],
      async (enforcer, plan) => {
        const flow = udp(seat("b"), seat("a"));
        expect(await flow.there()).toBe(true);
        for (let fails = 0; fails < 3; fails++) {
          refuse = fails;
          await expect(put(enforcer, plan, policyNamed("p", only("a", fails % 2 === 0 ? "c" : "b")))).rejects.toThrow(
            "refused",
          );
          refuse = Number.POSITIVE_INFINITY;
          await put(enforcer, plan, policyNamed("q", only("c", "a")));
          expect(await flow.there()).toBe(fails % 2 === 1);
        }
        flow.close();
      },
      { runner: own },
    );
  });

  test("a thousand changes at once are few transactions", async () => {
    await enforcing([policyNamed("p", only("a", "b"))], async (enforcer, plan) => {
      const changes = Array.from({ length: 1000 }, (_, i) => ({
        ...pod("b", [`10.245.${i >> 8}.${i & 255}`]),
        name: `b-${i}`,
        node: "n2",
      }));
      const sent = await Promise.all(
        changes.map((object) => enforcer.apply(plan, plan.apply([{ op: "put", kind: "pod", object }]))),
      );
      expect(sent.flat().length).toBeLessThan(10);
      expect(await stage.runner.run("list map inet bulkhead i_peer4")).toContain("10.245.3.231");
    });
  });

  test("both families of a pod change in one transaction", async () => {
    const own = observed(stage.runner);
    await enforcing(
      [],
      async (enforcer, plan) => {
        own.sent.length = 0;
        await put(enforcer, plan, policyNamed("p", only("a", "b")));
        const dispatching = own.sent.filter((script) => /element inet bulkhead i_subject[46]/.test(script));
        expect(dispatching).toHaveLength(1);
        for (const ip of ["10.244.1.2", "fd00:244:1::2"]) expect(dispatching[0]).toContain(`${ip} : goto i_`);
      },
      { runner: own },
    );
  });

  test.each([
    { markShift: 0, epochBits: 8, ours: "0x000000ff", others: "0xffffff00", bits: "0xa0b0c000" },
    { markShift: 20, epochBits: 4, ours: "0x00f00000", others: "0xff0fffff", bits: "0xa00b000c" },
  ])("marks of $epochBits bits from bit $markShift on: flows are cut, others' bits stay", async (where) => {
    const { markShift, epochBits, ours, others, bits } = where;
    const chain = (name: string, priority: number, rule: string): string =>
      `chain ${name} {\ntype filter hook forward priority ${priority}; policy accept;\n${rule}\n}\n`;
    const marking = chain("before", -6, `ct mark set ct mark & ${ours} | ${bits}`);
    const seeing = chain("after", -4, `ct mark & ${others} == ${bits} ct mark & ${ours} != 0x0 counter`);
    await stage.runner.run(`table inet other {\n${marking}${seeing}}\n`);
    try {
      await enforcing(
        [policyNamed("p", only("a", "b"))],
        async (enforcer, plan) => {
          const flow = udp(seat("b"), seat("a"));
          for (let i = 0; i < 3; i++) expect(await flow.there()).toBe(true);
          expect(await stage.runner.run("list chain inet other after")).toContain("counter packets 3 ");
          await put(enforcer, plan, policyNamed("p", only("a", "c")));
          expect(await flow.there()).toBe(false);
          expect(await flow.back()).toBe(false);
          flow.close();
        },
        { markShift, epochBits },
      );
    } finally {
      await stage.runner.run("delete table inet other\n");
    }
  });

  describeKernel("with epochs of 3 bits", () => {
    /** Allows a flow, closes it while it is idle, and closes other things until the numbers have gone round. */
    async function wrap(clearMarks: Runner["clearMarks"] | undefined): Promise<boolean> {
      let revived = false;
      const own = observed(stage.runner, clearMarks);
      await enforcing(
        [policyNamed("p", only("a", "b")), policyNamed("q", only("c", "a"))],
        async (enforcer, plan) => {
          const flow = udp(seat("b"), seat("a"));
          expect(await flow.there()).toBe(true);
          await put(enforcer, plan, policyNamed("p", only("a", "c")));
          for (let epoch = 2; epoch < 8; epoch++) {
            await put(enforcer, plan, policyNamed("q", only("c", epoch % 2 === 0 ? "b" : "a")));
          }
          expect(own.sent.at(-1)).toBeDefined();
          revived = await flow.there();
          flow.close();
        },
        { runner: own, epochBits: 3 },
      );
      return revived;
    }

    test("a flow that was idle for a whole round is not revived", async () => {
      expect(await wrap(undefined)).toBe(false);
    });

    test("and the test would see it: without clearing it is", async () => {
      expect(await wrap(() => Promise.resolve(0))).toBe(true);
    });

    test("where marks cannot be cleared, every packet is judged", async () => {
      expect(await wrap(() => Promise.reject(new Error("no ctnetlink")))).toBe(false);
    });
  });
});
