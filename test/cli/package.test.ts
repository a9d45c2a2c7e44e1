import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("the package installs into an empty folder and runs there", { timeout: 240_000 }, () => {
  const { status, stderr } = spawnSync("sh", ["scripts/check-package.sh"], { encoding: "utf8" });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
});
