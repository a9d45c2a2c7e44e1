import { expect, test } from "vitest";
import { cnpScenarios, cnpWorld } from "./cnp.ts";
import { describeSuite, rowsOfTheLaw } from "./suite.ts";

test("no scenario is missing", () => {
  const rows = rowsOfTheLaw("Q");
  expect(rows.length).toBe(92);
  expect(cnpScenarios.map(({ id, title }) => `${id} ${title}`)).toEqual(rows);
});

describeSuite("cnp", cnpWorld, cnpScenarios);
