import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cliPage, page } from "../../scripts/cli-docs.ts";

test("docs/cli.md says what --help says (npm run docs:cli)", () => {
  expect(readFileSync(page, "utf8")).toBe(cliPage());
});
