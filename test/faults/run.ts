/** `node test/faults/run.ts [--only NAME]… [--share 0.1] [--built] [-o FILE]`: every fault, again and again, under traffic. `npm run test:faults` runs all, and `fire.ts`. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { faults } from "./faults.ts";
import { formatTable } from "./page.ts";
import { beginRun, keep, resultsFile } from "./results.ts";
import { type FaultResult, isClean, run } from "./scenario.ts";
import { Stage } from "./stage.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    share: { type: "string", default: "1" },
    /** The agent of `npm run build`, which starts faster than the sources. */
    built: { type: "boolean", default: false },
    output: { type: "string", short: "o" },
  },
});
const started = performance.now();
const say = (line: string): void => console.error(`${((performance.now() - started) / 1000).toFixed(1)} s: ${line}`);
const chosen = faults.filter(({ name }) => values.only === undefined || values.only.some((one) => name.includes(one)));
const results: FaultResult[] = [];
const output = values.output ?? resultsFile;
const main = join(import.meta.dirname, "../../dist/cli/main.js");
const stage = await Stage.build({ say, ...(values.built ? { command: [process.execPath, main] } : {}) });
try {
  for (const fault of chosen) {
    const repetitions = Math.ceil(fault.long * Number(values.share));
    say(`${fault.name}, ${repetitions} times`);
    const ended = beginRun();
    const result = await run(stage, fault, repetitions, say);
    results.push(result);
    console.log(formatTable([result]));
    keep(output, { faults: [{ ...result, ...ended() }] });
  }
} finally {
  await stage.close();
}
console.log(formatTable(results));
process.exit(results.every(isClean) && results.length === chosen.length ? 0 : 1);
