/** What every suite's command line does: `node bench/SUITE.ts [--quick] [--out FILE]`. */
import { type Suite, writeJson } from "./results.ts";
import { suiteLines } from "./table.ts";

export async function suiteMain(
  name: string,
  command: string,
  measure: (quick: boolean) => Promise<Pick<Suite, "figures" | "notes" | "comparison">>,
): Promise<void> {
  const args = process.argv.slice(2);
  const quick = args.includes("--quick");
  const start = performance.now();
  const measured = await measure(quick);
  const seconds = (performance.now() - start) / 1000;
  const suite: Suite = { name, command: quick ? `${command} --quick` : command, seconds, ...measured };
  const out = args.indexOf("--out");
  if (out >= 0) writeJson(args[out + 1]!, suite);
  process.stdout.write(`${suiteLines(suite).join("\n")}\n`);
}
