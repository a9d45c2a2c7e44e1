import { expect, test } from "vitest";
import { netpolScenarios, netpolWorld } from "./netpol.ts";
import { describeSuite, rowsOfTheLaw } from "./suite.ts";

test("no scenario is missing", () => {
  const rows = rowsOfTheLaw("N").slice(0, 48); // N49 and N50 are about the API
  expect(rows.length).toBe(48);
  expect(netpolScenarios.map(({ id, title }) => `${id} ${title.replace(/, using (UDP|SCTP)$/, "")}`)).toEqual(rows);
});

describeSuite("netpol", netpolWorld, netpolScenarios);
