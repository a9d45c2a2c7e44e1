/** One agent of a large cluster: how soon its rules are in force, and what it takes. */
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../../test/fire/native.ts";
import type { CrowdSize } from "../../test/light/crowd.ts";
import type { Figure } from "../results.ts";
import { churn } from "./churn.ts";
import { memoryFigures, roundFigures } from "./figures.ts";
import { measureRounds } from "./rounds.ts";
import { Stage } from "./stage.ts";

const full: CrowdSize = { nodes: 1000, pods: 100_000, policies: 10_000 };
const small: CrowdSize = { nodes: 100, pods: 10_000, policies: 1000 };
/** Pod events a second. */
const churnRate = 100;
const settle = 60_000; // ms

export async function measureScale(
  command: readonly string[],
  quick: boolean,
  say: (line: string) => void,
): Promise<Figure[]> {
  const crowd = quick ? small : full;
  const n = (value: number): string => value.toLocaleString("en");
  const group = `${n(crowd.nodes)} nodes, ${n(crowd.pods)} pods, ${n(crowd.policies)} policies`;
  const about = { id: "scale", group, hasTargets: false };
  const one = (id: string, what: string, unit: string, value: number, more: Partial<Figure> = {}): Figure => ({
    id: `agent/scale/${id}`,
    group,
    what,
    unit,
    better: "less",
    statistic: "median",
    samples: [value],
    ...more,
  });
  const stage = await Stage.build({ crowd, command, say });
  try {
    const { agent } = stage;
    const started = stage.started;
    say(`the rules are in force after ${Math.round(started.milliseconds)} ms; waiting for a minute`);
    await sleep(quick ? 5000 : settle);
    const steady = agent.usage();
    say("pods change all the time");
    const stop = new AbortController();
    const begun = now();
    const changing = churn(stage, crowd, churnRate, stop.signal);
    await sleep(2000);
    const rounds = await measureRounds(stage, quick ? 10 : 60);
    stop.abort();
    const events = await changing;
    const seconds = (now() - begun) / 1000;
    await stage.quiet();
    const after = agent.usage();
    const cpu = (after.cpu - steady.cpu) / seconds;
    const { kernel } = started;
    return [
      one("start", "from the start of the process to its rules in force", "ms", started.milliseconds, {
        detail: `${Math.round(started.cpu)} ms of CPU time; plan and kernel ${Math.round(kernel)} ms`,
      }),
      one("memory-steady", "memory a minute later (RSS, with child processes)", "MB", steady.memory, {
        target: { atMost: 250 },
      }),
      one("memory-peak", "memory at its most, until the end", "MB", after.peak, {
        target: { atMost: 400 },
        detail: `${Math.round(started.peak)} MB when the rules were in force`,
      }),
      ...memoryFigures(about, after),
      one("churn-cpu", `CPU time of the agent under ${Math.round(events / seconds)} pod events a second`, "ms/s", cpu),
      ...roundFigures(about, rounds).filter(({ what }) => !what.startsWith("CPU time")),
    ];
  } finally {
    await stage.close();
  }
}
