/** Random worlds and changes in a real kernel: every transaction is taken, and a restart reads back what was sent. */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Namespace } from "../../src/netns/namespace.ts";
import { adopt } from "../../src/nftables/adopt.ts";
import { Desired } from "../../src/nftables/desired.ts";
import { Drops } from "../../src/nftables/drops.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { reachable } from "../../src/nftables/simulate.arbitrary.ts";
import { defaultTableOptions } from "../../src/nftables/skeleton.ts";
import type { KernelState } from "../../src/nftables/state.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { directions } from "../../src/policy/model/verdict.ts";
import { emptyWorld } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { applyToWorld, arbitraryChange, arbitraryWorld } from "../../src/policy/world.arbitrary.ts";
import { describeKernel, requireKernel } from "./support.ts";

const arbitraryHistory = arbitraryWorld({ addressless: false }).chain((world) =>
  fc.record({
    world: fc.constant(world),
    batches: fc.array(fc.array(arbitraryChange(world, { addressless: false }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 6,
    }),
  }),
);

/** Counts of everything that is held, reachable or not. */
const sizes = (state: KernelState): unknown =>
  directions.map((direction) => {
    const { tables, subjects, peers } = state[direction];
    return [tables.size, peers.size, [...subjects.values()].reduce((sum, pairs) => sum + pairs.size, 0)];
  });

describeKernel("the kernel", () => {
  let namespace: Namespace;
  let runner: Runner;

  beforeAll(async () => {
    requireKernel();
    namespace = Namespace.create();
    runner = await openRunner({ netns: namespace.fd });
  });

  afterAll(async () => {
    await runner.close();
    namespace.close();
  });

  async function held(): Promise<KernelState> {
    const listing = await runner.run(`list table inet ${defaultTableOptions.table}`, "json");
    const adopted = adopt(listing, defaultTableOptions);
    if (adopted === null) throw new Error(`not adopted: ${listing}`);
    return adopted.state;
  }

  const goalOf = (plan: Parameters<Desired["load"]>[0], node: string): KernelState => {
    const desired = new Desired(node, new Drops());
    desired.load(plan);
    return desired.goal;
  };

  test("takes every transaction and gives back what was sent", async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryHistory, async ({ world, batches }) => {
        const node = world.nodes[0]?.name ?? "none";
        const live = compile(world);
        const warnings: string[] = [];
        const options = { node, runner, collectAfter: 1, warn: (text: string) => void warnings.push(text) };
        let enforcer = await Enforcer.start(live, options);
        try {
          let now = world;
          for (const [index, batch] of batches.entries()) {
            await enforcer.apply(live, live.apply(batch));
            now = batch.reduce(applyToWorld, now);
            const goal = goalOf(compile(now), node);
            expect(reachable(await held())).toEqual(reachable(goal));
            if (index % 2 === 0) continue;
            await enforcer.stop();
            enforcer = await Enforcer.start(live, options);
          }
          const settled = async (): Promise<boolean> =>
            JSON.stringify(sizes(await held())) === JSON.stringify(sizes(goalOf(live, node)));
          for (let i = 0; i < 500 && !(await settled()); i++) await sleep(10);
          expect(sizes(await held())).toEqual(sizes(goalOf(live, node)));
          expect(warnings).toEqual([]);
        } finally {
          await enforcer.remove();
        }
      }),
      { numRuns: 40, endOnFailure: true }, // shrinking takes minutes; the seed is printed
    );
  });

  test("is let alone by an enforcer that was stopped while it had garbage to collect", async () => {
    const selector = { podSelector: { matchLabels: { app: "a" } } };
    const policy = (port: number) => policyNamed("in", { ...selector, ingress: [{ ports: [{ port }] }] });
    const live = compile({
      ...emptyWorld,
      nodes: [{ name: "n1", labels: {}, ips: ["172.18.0.11"], podCIDRs: [], source: null }],
      namespaces: [shopNamespace],
      pods: [podNamed("a", { ips: ["10.244.1.2"], node: "n1" })],
      policies: [policy(1)],
    });
    const gate = Promise.withResolvers<void>();
    let isHeld = false;
    let commits = 0;
    const commit: Runner["commit"] = async (commands, table) => {
      if (isHeld) await gate.promise;
      commits++;
      await runner.commit(commands, table);
    };
    const enforcer = await Enforcer.start(live, { node: "n1", runner: { ...runner, commit }, collectAfter: 1 });
    const change = (port: number) =>
      enforcer.apply(live, live.apply([{ op: "put", kind: "policy", object: policy(port) }]));
    await change(2);
    isHeld = true;
    const changed = change(3);
    await sleep(20); // it is time to look for garbage, behind the change
    const stopped = enforcer.stop();
    gate.resolve();
    await Promise.all([changed, stopped]);
    const before = commits;
    await sleep(50);
    expect(commits).toBe(before);
    await enforcer.remove();
  });
});
