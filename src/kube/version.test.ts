import { expect, test } from "vitest";
import { isOlder } from "./version.ts";

test.each([
  ["9", "10", true],
  ["10", "9", false],
  ["10", "10", false],
  ["0", "1", true],
  ["99999999999999999998", "99999999999999999999", true],
  ["", "5", false],
  ["5", "", false],
  ["a", "b", false],
])("%s is older than %s: %s", (version, than, older) => {
  expect(isOlder(version, than)).toBe(older);
});
