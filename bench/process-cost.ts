/** For `node --import`: when the process ends, what it took goes to file descriptor 3 as JSON. */
import { writeSync } from "node:fs";

export interface ProcessCost {
  /** kB */
  readonly maxRSS: number;
  /** ms of the main thread on the CPU. */
  readonly cpu: number;
}

process.on("exit", () => {
  const { user, system } = process.threadCpuUsage();
  const cost: ProcessCost = { maxRSS: process.resourceUsage().maxRSS, cpu: (user + system) / 1000 };
  writeSync(3, JSON.stringify(cost));
});
