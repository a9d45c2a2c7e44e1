import { expect, test } from "vitest";
import { anpScenarios } from "./anp.ts";
import { cnpWorld } from "./cnp.ts";
import { describeEvaluators } from "./suite.ts";

test("no scenario is missing", () => {
  expect(anpScenarios.length).toBe(92);
  const kinds = new Set(
    anpScenarios.flatMap(({ steps }) => steps.flatMap(({ policies = [] }) => policies)).map(({ kind }) => kind),
  );
  expect([...kinds].sort()).toEqual(["AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "NetworkPolicy"]);
});

describeEvaluators("anp", cnpWorld, anpScenarios);
