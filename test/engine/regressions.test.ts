import { expect, test } from "vitest";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { evaluate } from "../../src/policy/evaluate/evaluate.ts";
import { applyToWorld } from "../../src/policy/world.arbitrary.ts";
import { firstDisagreement } from "./compare.ts";
import { regressions } from "./regressions.ts";

test("no world is missing", () => expect(regressions.length).toBeGreaterThanOrEqual(9));

test.each(regressions)("$title", ({ world: start, changes }) => {
  const plan = compile(start);
  let world = start;
  expect(firstDisagreement(world, (flow) => evaluate(plan, flow), { everyNth: 2 })).toBe(null);
  for (const change of changes) {
    plan.apply([change]);
    world = applyToWorld(world, change);
    expect(firstDisagreement(world, (flow) => evaluate(plan, flow), { everyNth: 2 })).toBe(null);
  }
});
