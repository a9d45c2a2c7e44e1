/** The plan of one node leaves the node's table exactly as the plan of the whole cluster does. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compile } from "../policy/compile/live-plan.ts";
import type { LivePlan } from "../policy/compile/plan.ts";
import { directions } from "../policy/model/verdict.ts";
import { namespacedName, type World } from "../policy/model/world.ts";
import { applyToWorld, arbitraryChanges, arbitraryWorld } from "../policy/world.arbitrary.ts";
import { Desired } from "./desired.ts";
import { Drops } from "./drops.ts";
import type { DirectionState, KernelState } from "./state.ts";

const node = "n1";

const sorted = <V>(map: ReadonlyMap<string, V>): [string, V][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

const directionFacts = ({ tables, subjects, peers, exact, nets, dispatch }: DirectionState): unknown => ({
  tables: sorted(tables),
  subjects: sorted(subjects).map(([subject, pairs]) => [subject, sorted(pairs)]),
  peers: [...peers].sort(),
  exact: sorted(exact),
  nets,
  dispatch: sorted(dispatch),
});

/** Content only: no ids, no order of insertion. */
const facts = (state: KernelState): unknown => ({
  egress: directionFacts(state.egress),
  ingress: directionFacts(state.ingress),
  owners: sorted(state.owners),
});

const arbitraryHistory = arbitraryWorld({ maxPods: 9, maxPolicies: 8 }).chain((world) =>
  fc.record({
    world: fc.constant(world),
    changes: arbitraryChanges(world, 10),
    /** How many changes come at once. */
    together: fc.integer({ min: 1, max: 4 }),
  }),
);

function follow(plan: LivePlan): { readonly desired: Desired; readonly plan: LivePlan } {
  const desired = new Desired(node, new Drops());
  desired.load(plan);
  return { desired, plan };
}

test("all along any history, and as from nothing", () => {
  fc.assert(
    fc.property(arbitraryHistory, ({ world, changes, together }) => {
      const own = follow(compile(world, { node }));
      const whole = follow(compile(world));
      expect(facts(own.desired.goal)).toEqual(facts(whole.desired.goal));
      let now: World = world;
      for (let i = 0; i < changes.length; i += together) {
        const some = changes.slice(i, i + together);
        for (const change of some) now = applyToWorld(now, change);
        for (const { desired, plan } of [own, whole]) desired.update(plan, plan.apply(some));
        const expected = facts(follow(compile(now)).desired.goal);
        expect(facts(own.desired.goal)).toEqual(expected);
        expect(facts(whole.desired.goal)).toEqual(expected);
      }
    }),
    { numRuns: 100 },
  );
});

test("judges the pods of its node and says so about others", () => {
  fc.assert(
    fc.property(arbitraryWorld(), (world) => {
      const own = compile(world, { node });
      const whole = compile(world);
      for (const pod of world.pods) {
        if (pod.hostNetwork || pod.phase === "Succeeded" || pod.phase === "Failed") continue;
        for (const direction of directions) {
          if (pod.node === node)
            expect(own.policyClass(pod, direction).key).toBe(whole.policyClass(pod, direction).key);
          else expect(() => own.policyClass(pod, direction)).toThrow(`pod ${namespacedName(pod)} is not on node n1`);
        }
      }
    }),
  );
});
