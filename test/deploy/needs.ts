/** Suites that need programs which not every machine has: required in CI, elsewhere left out with a line that says so. */
import { spawnSync } from "node:child_process";
import { describe } from "vitest";

const isThere = (program: string): boolean => spawnSync("which", [program]).status === 0;

/**
 * `describe`, or `describe.skip` after one line on standard error.
 * @param missing what is not there; null when all is
 */
export function describeWith(missing: string | null, what: string): typeof describe.skip {
  if (missing === null || process.env["CI"] === "true") return describe;
  process.stderr.write(`${what}: left out, ${missing} is not there (CI=true makes it a failure)\n`);
  return describe.skip;
}

export const missingProgram = (...programs: readonly string[]): string | null =>
  programs.find((program) => !isThere(program)) ?? null;
