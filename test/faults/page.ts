/** What the faults did, as a table. */
import type { FaultResult } from "./scenario.ts";

const n = (value: number): string => Math.round(value).toLocaleString("en");

function seconds(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const columns = [
  "fault",
  "times",
  "changes",
  "denied packets",
  "arrived",
  "flows",
  "cut",
  "allowed packets",
  "lost",
  "new verdict after, p50 / max",
  "wrong",
] as const;

function row(result: FaultResult): readonly string[] {
  const { name, repetitions, changes, denied, leaked, flows, cut, allowed, lost, recoveries, wrong } = result;
  const recovery =
    recoveries.length === 0 ? "" : `${seconds(median(recoveries))} / ${seconds(Math.max(...recoveries))}`;
  const counts = [repetitions, changes, denied, leaked, flows, cut, allowed, lost].map(n);
  return [name, ...counts, recovery, n(wrong.length)];
}

/** In Markdown. */
export function formatTable(results: readonly FaultResult[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(columns),
    line(columns.map((_, i) => (i === 0 ? "---" : "---:"))),
    ...results.map((one) => line(row(one))),
  ].join("\n");
}
