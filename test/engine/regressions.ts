/**
 * Worlds worth asking about for ever, one JSON object a line in `regressions/worlds.jsonl`: those on which the evaluators once
 * disagreed, and a few that between them notice every fault of `faults.test.ts`. When `random.test.ts` fails, add
 * `{title, world, changes}` of its shrunk counterexample.
 */
import { readFileSync } from "node:fs";
import type { Change } from "../../src/policy/compile/plan.ts";
import type { World } from "../../src/policy/model/world.ts";

export interface Regression {
  /** What went wrong, or what it notices. */
  readonly title: string;
  readonly world: World;
  /** Applied one by one. */
  readonly changes: readonly Change[];
}

export const regressions: readonly Regression[] = readFileSync(
  new URL("regressions/worlds.jsonl", import.meta.url),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Regression);
