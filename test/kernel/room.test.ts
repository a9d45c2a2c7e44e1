/** More different sets of rules than the table has room for: what is too much is closed, everything else goes on. */
import { expect, test } from "vitest";
import type { Seat } from "../../src/netns/sockets.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import type { NetworkPolicy } from "../../src/policy/model/policy.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { TcpFlow, UdpFlow } from "./flows.ts";
import { kernelStage } from "./stage.ts";
import { describeKernel } from "./support.ts";

const pod = (name: string, ip: string): Pod => podNamed(name, { ips: [ip], node: "n1" });
const app = (name: string) => ({ podSelector: { matchLabels: { app: name } } });

const world: World = {
  ...emptyWorld,
  nodes: [{ name: "n1", labels: {}, ips: ["172.18.0.11"], podCIDRs: [], source: null }],
  namespaces: [shopNamespace],
  pods: [pod("a", "10.244.1.2"), pod("b", "10.244.1.3"), pod("c", "10.244.1.4"), pod("free", "10.244.1.5")],
};

const open = (name: string): NetworkPolicy => policyNamed(name, { ...app(name), ingress: [{ from: [app("free")] }] });
const put = (object: NetworkPolicy): Change => ({ op: "put", kind: "policy", object });
const remove = (name: string): Change => ({ op: "remove", kind: "policy", key: `NetworkPolicy/shop/${name}` });

describeKernel("a table without room", () => {
  const stage = kernelStage(world);
  let ports = 25_000;

  const seat = (name: string): Seat =>
    stage.topology.podSeat(`shop/${name}`, world.pods.find((one) => one.name === name)!.ips[0]!);

  async function arrives(from: Seat, to: Seat): Promise<boolean> {
    const flow = new UdpFlow(from, to, ports++);
    const arrived = (await flow.there()) && (await flow.back());
    flow.close();
    return arrived;
  }

  test("closes the newest in the direction concerned, says which, and opens them when there is room", async () => {
    const plan = compile({ ...world, policies: [open("a"), open("b")] });
    const options = { node: "n1", runner: stage.runner, mostSubjects: 2 };
    let enforcer = await Enforcer.start(plan, options);
    const others = (): Promise<boolean[]> =>
      Promise.all([
        arrives(seat("free"), seat("a")),
        arrives(seat("free"), seat("b")),
        arrives(seat("c"), seat("free")),
      ]);
    expect(enforcer.refused()).toEqual([]);
    const flow = (await TcpFlow.open(seat("free"), seat("c"), ports++))!;
    expect(await flow.there()).toBe(true);

    await enforcer.apply(plan, plan.apply([put(open("c"))]));
    expect(enforcer.refused()).toEqual([
      {
        direction: "ingress",
        pods: ["shop/c"],
        policies: [{ kind: "NetworkPolicy", namespace: "shop", name: "c" }],
        why: "the pods of one node can have 2 different sets of rules",
      },
    ]);
    expect(await flow.there()).toBe(false);
    expect(await arrives(seat("free"), seat("c"))).toBe(false);
    const node = stage.topology.nodeSeat("n1", "172.18.0.11");
    expect(await arrives(node, seat("c"))).toBe(true);
    expect(await others()).toEqual([true, true, true]);
    const dropped = [...(await enforcer.counters())].filter(([, { packets }]) => packets > 0n);
    expect(dropped.map(([id]) => enforcer.explainDrop(id))).toEqual([
      { direction: "ingress", tier: "Default", reasons: [], closed: true },
    ]);
    expect(await enforcer.repair()).toEqual([]);

    // A new process finds it closed, and closed it stays.
    await enforcer.stop();
    enforcer = await Enforcer.start(plan, options);
    expect(enforcer.refused()).toHaveLength(1);
    expect(await enforcer.repair()).toEqual([]);

    await enforcer.apply(plan, plan.apply([remove("a")]));
    expect(enforcer.refused()).toEqual([]);
    expect(await arrives(seat("free"), seat("c"))).toBe(true);
    expect(await others()).toEqual([true, true, true]);
    flow.close();
    await enforcer.remove();
  });

  test("numbers that garbage still has are made free by a new table", async () => {
    const plan = compile({ ...world, policies: [open("a")] });
    const enforcer = await Enforcer.start(plan, {
      node: "n1",
      runner: stage.runner,
      mostSubjects: 3,
      collectAfter: 3_600_000,
    });
    for (let k = 0; k < 10; k++) {
      const ingress = [{ from: [app("free")], ports: [{ port: ports }, { protocol: "UDP", port: ports }] }];
      const stats = await enforcer.apply(plan, plan.apply([put(policyNamed("a", { ...app("a"), ingress }))]));
      expect(stats.length).toBeGreaterThan(0);
      expect(enforcer.refused()).toEqual([]);
      expect(await arrives(seat("free"), seat("a"))).toBe(true);
      expect(await arrives(seat("free"), seat("a"))).toBe(false);
      expect(await arrives(seat("c"), seat("a"))).toBe(false);
    }
    await enforcer.remove();
  });
});
