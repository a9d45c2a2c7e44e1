/** `npm run test:fire -- [--packets N] [--seed N] [--rate N] [--writer NAME]` */
import { parseArgs } from "node:util";
import { reportText, underFire, writing } from "./fire.ts";
import * as writers from "./writers.ts";

const { values } = parseArgs({
  options: {
    packets: { type: "string", default: "1e7" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rate: { type: "string", default: "100000" },
    writer: { type: "string", default: "bulkhead" },
  },
});
const writer = new Map(Object.entries(writers)).get(values.writer);
if (writer === undefined) throw new Error(`no writer ${values.writer}: ${Object.keys(writers).join(", ")}`);
console.log(`seed ${values.seed}`);
const report = await underFire({
  packets: Number(values.packets),
  seed: Number(values.seed),
  rate: Number(values.rate),
  drive: writing(writer),
});
console.log(reportText(report));
process.exitCode = report.wrong === 0 && report.lost === 0 ? 0 : 1;
