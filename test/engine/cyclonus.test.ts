/** Cyclonus's 230 generated cases, cell by cell and direction by direction, through both evaluators. */
import { describe, expect, test } from "vitest";
import { families } from "../../src/net/address.ts";
import { type CyclonusCell, cyclonusCases, cyclonusCells, cyclonusWorld } from "../spec/cases.ts";
import { evaluators } from "./evaluators.ts";

const steps = cyclonusCases.flatMap((one) =>
  one.steps.map((step, i) => ({ title: `${one.id} ${one.description}, step ${i + 1}`, step })),
);

test("no case is missing", () => {
  expect(cyclonusCases.length).toBe(230);
  expect(steps.length).toBe(256);
  expect(new Set(cyclonusCases.map(({ id }) => id)).size).toBe(230);
});

describe.each(evaluators)("$name", (evaluator) => {
  test.each(families)("every cell, %s", (family) => {
    let cells = 0;
    let loopbacks = 0;
    const wrong: unknown[] = [];
    for (const { title, step } of steps) {
      const world = cyclonusWorld(step, family);
      const ask = evaluator.open(world);
      for (const cell of cyclonusCells(step, world, family)) {
        cells++;
        if (cell.loopback) loopbacks++;
        else {
          const { allowed, ingress, egress } = ask(cell.flow);
          const got = { combined: allowed ? "allow" : "deny", ingress: ingress.verdict, egress: egress.verdict };
          if (!sameOutcome(got, cell)) wrong.push({ title, flow: cell.flow, got });
        }
      }
    }
    expect(wrong.slice(0, 3)).toEqual([]);
    expect({ cells, loopbacks }).toEqual({ cells: 123_669, loopbacks: 13_713 });
  });
});

type Outcomes = Pick<CyclonusCell, "combined" | "ingress" | "egress">;

const sameOutcome = (a: { readonly [K in keyof Outcomes]: string }, b: Outcomes): boolean =>
  a.combined === b.combined && a.ingress === b.ingress && a.egress === b.egress;
