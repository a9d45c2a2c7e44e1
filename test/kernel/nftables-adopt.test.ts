/** Random worlds and changes in a real kernel: every transaction is taken, and a restart reads back what was sent. */
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
          for (let i = 0; i < 500 && !(await settled()); i++) await new Promise((resolve) => setTimeout(resolve, 10));
          expect(sizes(await held())).toEqual(sizes(goalOf(live, node)));
          expect(warnings).toEqual([]);
        } finally {
          await enforcer.remove();
        }
      }),
      { numRuns: 40, endOnFailure: true }, // shrinking takes minutes; the seed is printed
    );
  });
});
