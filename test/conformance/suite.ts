/** Declares the tests of suites of scenarios. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { families } from "../../src/net/address.ts";
import type { World } from "../../src/policy/model/world.ts";
import { evaluators } from "../engine/evaluators.ts";
import { describeKernel } from "../kernel/support.ts";
import { cellText, flowOf, type Scenario, statesOf } from "./scenario.ts";
import { Stage } from "./stage.ts";

const law = readFileSync(new URL("../../docs/semantics.md", import.meta.url), "utf8");

/** `N1 support a …` of the tables in the law's part D, by the letter of their numbers. */
export const rowsOfTheLaw = (letter: "N" | "Q"): string[] =>
  [...law.matchAll(/^\| ([NQ]\d+) \| ([^|]+) \|/gm)]
    .filter(([, id]) => id!.startsWith(letter))
    .map(([, id, title]) => `${id} ${title}`);

/** With the whole name first, which is not cut where it is the test's. */
const namesOf = (scenarios: readonly Scenario[]): (readonly [name: string, scenario: Scenario])[] =>
  scenarios.map((scenario) => [`${scenario.id} ${scenario.title}`, scenario]);

/** Through the engine and through the reference. */
export function describeEvaluators(name: string, base: World, scenarios: readonly Scenario[]): void {
  const named = namesOf(scenarios);
  describe.each(evaluators)(`${name}, $name`, (evaluator) => {
    test.each(named)("%s", (_, scenario) => {
      for (const [i, { world, cells }] of statesOf(base, scenario).entries()) {
        const ask = evaluator.open(world);
        expect(cells.length).toBeGreaterThan(0);
        for (const family of families) {
          const wrong = cells.filter((cell) => ask(flowOf(world, cell, family)).allowed !== (cell.expect === "allow"));
          expect(wrong.map(cellText), `step ${i + 1}, ${family}`).toEqual([]);
        }
      }
    });
  });
}

/** In the kernel as well, over both families. */
export function describeSuite(name: string, base: World, scenarios: readonly Scenario[]): void {
  describeEvaluators(name, base, scenarios);
  const named = namesOf(scenarios);

  describeKernel(`${name}, kernel`, () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await Stage.up(base);
    });
    afterAll(() => stage?.down());

    describe.each(families)("%s", (family) => {
      test.each(named)("%s", async (_, scenario) => {
        const { cells, connections } = await stage.play(scenario, family);
        expect(cells).toBeGreaterThan(0);
        if (scenario.steps.length > 1) expect(connections).toBeGreaterThan(0);
      });
    });
  });
}
