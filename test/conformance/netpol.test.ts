import { expect, test } from "vitest";
import { netpolScenarios, netpolWorld } from "./netpol.ts";
import { describeSuite } from "./suite.ts";

test("no scenario is missing", () => {
  expect(netpolScenarios.map(({ id }) => id)).toEqual(Array.from({ length: 48 }, (_, i) => `N${i + 1}`));
});

describeSuite("netpol", netpolWorld, netpolScenarios);
