/**
 * The engine equals the reference on random worlds, and goes on doing so while they change.
 *
 * `BULKHEAD_RUNS=1000` asks about that many worlds and histories at every boundary port (some 10^4 verdicts each);
 * `BULKHEAD_SEED` repeats a run. A world that fails is worth keeping: `regressions.ts`.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { evaluate } from "../../src/policy/evaluate/evaluate.ts";
import type { Source } from "../../src/policy/model/source.ts";
import { applyToWorld, arbitraryChanges, arbitraryWorld } from "../../src/policy/world.arbitrary.ts";
import { type Asking, firstDisagreement } from "./compare.ts";
import { engine } from "./evaluators.ts";

const long = process.env["BULKHEAD_RUNS"] !== undefined;
const timeout = long ? 24 * 60 * 60 * 1000 : 120_000;
const tally = { verdicts: 0, denied: 0 };
const asking: Asking = { everyNth: long ? 1 : 16, tally };

const runs = (usual: number): { readonly numRuns: number; readonly seed?: number } => ({
  numRuns: long ? Number(process.env["BULKHEAD_RUNS"]) : usual,
  ...(process.env["BULKHEAD_SEED"] === undefined ? {} : { seed: Number(process.env["BULKHEAD_SEED"]) }),
});

test("random worlds", { timeout }, () => {
  fc.assert(
    fc.property(arbitraryWorld(), (world) => {
      expect(firstDisagreement(world, engine.open(world), asking)).toBe(null);
    }),
    runs(100),
  );
  expect(tally.denied).toBeGreaterThan(tally.verdicts / 10); // half the pairs have an end outside
  if (long) console.log(`${tally.verdicts} verdicts, ${tally.denied} denied`);
});

test("worlds that change", { timeout }, () => {
  const history = arbitraryWorld().chain((world) => fc.tuple(fc.constant(world), arbitraryChanges(world, 6)));
  fc.assert(
    fc.property(history, ([start, steps]) => {
      const plan = compile(start);
      let world = start;
      for (const step of steps) {
        plan.apply([step]);
        world = applyToWorld(world, step);
        expect(firstDisagreement(world, (flow) => evaluate(plan, flow), { everyNth: long ? 4 : 48, tally })).toBe(null);
      }
    }),
    runs(40),
  );
});

test("several changes at once", { timeout }, () => {
  const history = arbitraryWorld().chain((world) => fc.tuple(fc.constant(world), arbitraryChanges(world, 10)));
  fc.assert(
    fc.property(history, ([start, steps]) => {
      const plan = compile(start);
      plan.apply(steps);
      const world = steps.reduce(applyToWorld, start);
      expect(firstDisagreement(world, (flow) => evaluate(plan, flow), { everyNth: long ? 1 : 16, tally })).toBe(null);
    }),
    runs(30),
  );
});

test("positions of the rules that decide", { timeout }, () => {
  const source = (name: string): Source => ({
    file: `${name}.yaml`,
    position: (path) => ({ file: `${name}.yaml`, line: path.length, column: Number(path.at(-1)) || path.length }),
  });
  const arbitrary = arbitraryWorld({ maxPods: 3, maxNodes: 1 });
  fc.assert(
    fc.property(arbitrary, (plain) => {
      const policies = plain.policies.map((policy) => ({ ...policy, source: source(policy.metadata.name) }));
      const world = { ...plain, policies };
      expect(firstDisagreement(world, engine.open(world), asking)).toBe(null);
    }),
    runs(20),
  );
});
