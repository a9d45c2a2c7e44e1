/** `node test/faults/fire.ts [--packets N] [--seed N] [--rate N] [--kill-every N] [--built] [-o FILE]`: packets across an update storm, through agents. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { reportText, underFire } from "../fire/fire.ts";
import { AgentDriver } from "./agent-driver.ts";
import { beginRun, keep, resultsFile } from "./results.ts";

const { values } = parseArgs({
  options: {
    packets: { type: "string", default: "1e7" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rate: { type: "string", default: "40000" },
    "kill-every": { type: "string", default: "25" },
    built: { type: "boolean", default: false },
    output: { type: "string", short: "o", default: resultsFile },
  },
});
const command = values.built
  ? { command: [process.execPath, join(import.meta.dirname, "../../dist/cli/main.js")] }
  : {};
const ended = beginRun();
let driver: AgentDriver | null = null;
const report = await underFire({
  packets: Number(values.packets),
  seed: Number(values.seed),
  rate: Number(values.rate),
  held: true,
  drive: async (stage) => {
    driver = await AgentDriver.start(stage, { killEvery: Number(values["kill-every"]), ...command });
    console.error("the first rules are in force");
    return driver;
  },
});
const { kills } = driver as unknown as AgentDriver;
console.log(`seed ${values.seed}, ${kills} agents killed\n${reportText(report)}`);
keep(values.output, { fire: { seed: Number(values.seed), kills, ...report, ...ended() } });
process.exit(report.wrong === 0 && report.lost === 0 ? 0 : 1);
