/** How `bulkhead agent --check` prints. */
import type { Finding } from "../agent/check/finding.ts";
import type { Style } from "../report/style.ts";
import { table } from "../report/table.ts";
import type { ExitCode } from "./io.ts";

/** 0: all is well; 1: something is missing or in the way; 2: something could not be looked at. */
export function checkExitCode(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ state }) => state === "unknown")) return 2;
  return findings.some(({ state }) => state === "problem") ? 1 : 0;
}

const looks: Readonly<Record<Finding["state"], keyof Style>> = {
  ok: "good",
  problem: "bad",
  unknown: "warning",
  skipped: "faint",
};

export function formatFindings(findings: readonly Finding[], format: "table" | "json", style: Style): string {
  if (format === "json") {
    const answer = { apiVersion: "bulkhead.dev/v1alpha1", kind: "NodeCheck", findings };
    return `${JSON.stringify(answer, null, 2)}\n`;
  }
  return table(
    ["check", "state", "detail"],
    findings.map(({ name, state, text }) => [name, style[looks[state]](state), text]),
  );
}
