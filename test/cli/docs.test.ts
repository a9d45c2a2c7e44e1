import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { page as cliFile, cliPage } from "../../scripts/cli-docs.ts";
import { page as jsonFile, jsonPage } from "../../scripts/json-docs.ts";

test("docs/cli.md says what --help says (npm run docs:cli)", () => {
  expect(readFileSync(cliFile, "utf8")).toBe(cliPage());
});

test("the examples in docs/json.md are what is printed (npm run docs:cli)", async () => {
  expect(readFileSync(jsonFile, "utf8")).toBe(await jsonPage());
});
