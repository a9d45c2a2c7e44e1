/** The two ways to a verdict, behind one shape: suites run every case through both. */
import { compile } from "../../src/policy/compile/live-plan.ts";
import { evaluate } from "../../src/policy/evaluate/evaluate.ts";
import { referenceVerdict } from "../../src/policy/evaluate/reference.ts";
import type { Flow, Verdict } from "../../src/policy/model/verdict.ts";
import type { World } from "../../src/policy/model/world.ts";

export interface Evaluator {
  readonly name: string;
  /** Prepares a world, for any number of questions about it. */
  open(world: World): (flow: Flow) => Verdict;
}

export const engine: Evaluator = {
  name: "engine",
  open: (world) => {
    const plan = compile(world);
    return (flow) => evaluate(plan, flow);
  },
};

export const reference: Evaluator = {
  name: "reference",
  open: (world) => (flow) => referenceVerdict(world, flow),
};

export const evaluators: readonly Evaluator[] = [engine, reference];
