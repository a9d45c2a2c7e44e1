/**
 * Child of `analysis.ts`: one run from files to the whole map, in a process of its own: `node bench/pipeline.ts PATH`. What a user waits
 * for, with nothing warmed up; and the most memory that it took.
 */
import { loadManifests } from "../src/manifests/index.ts";
import { type ConnectivityClasses, connectivityClasses } from "../src/policy/analyze/connectivity-classes.ts";
import { compile } from "../src/policy/compile/live-plan.ts";

/** Times in ms. */
export interface Pipeline {
  readonly read: number;
  readonly compile: number;
  readonly map: number;
  readonly cpu: number;
  readonly peakMB: number;
  readonly sum: ConnectivityClasses;
}

const [path] = process.argv.slice(2);
const times: number[] = [];
let last = performance.now();
const lap = (): void => {
  const now = performance.now();
  times.push(now - last);
  last = now;
};
const { world, problems } = await loadManifests([path!]);
if (problems.length > 0) throw new Error(problems[0]!.message);
lap();
const plan = compile(world);
lap();
const sum = connectivityClasses(plan);
lap();
const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
const result: Pipeline = {
  read: times[0]!,
  compile: times[1]!,
  map: times[2]!,
  cpu: (userCPUTime + systemCPUTime) / 1000,
  peakMB: maxRSS / 1024,
  sum,
};
process.stdout.write(JSON.stringify(result));
