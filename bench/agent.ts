/**
 * The agent on a node of a cluster with a real API server: `node bench/agent.ts [--quick] [--scale] [--out FILE]`. Needs root, and
 * etcd and kube-apiserver (`test/cluster/build`). What is measured begins with the API server's answer to the writer and ends with
 * the first packet that is judged anew.
 */
import { missingPrograms } from "../test/light/control-plane.ts";
import type { CrowdSize } from "../test/light/crowd.ts";
import { buildProgram } from "./agent/build.ts";
import { type ConnectionResults, measureConnections } from "./agent/connections.ts";
import { connectionFigures, freshFigures, memoryFigures, roundFigures, stormFigures } from "./agent/figures.ts";
import { type FreshResults, measureFreshPods } from "./agent/fresh-pods.ts";
import { comparison, type Measured } from "./agent/peers.ts";
import { measureRounds, type RoundResults } from "./agent/rounds.ts";
import { measureScale } from "./agent/scale.ts";
import { Stage } from "./agent/stage.ts";
import { measureStorm, type StormResults } from "./agent/storm.ts";
import type { Figure, Suite } from "./results.ts";
import { suiteMain } from "./suite.ts";

interface Place {
  readonly id: string;
  readonly what: string;
  readonly crowd: CrowdSize | null;
  readonly rounds: number;
  /** As in `figures.ts`. */
  readonly hasTargets: boolean;
}

const places: readonly Place[] = [
  { id: "empty", what: "empty cluster", crowd: null, rounds: 60, hasTargets: false },
  {
    id: "crowd",
    what: "2,000 pods, 1,000 policies",
    crowd: { nodes: 100, pods: 2000, policies: 1000 },
    rounds: 60,
    hasTargets: false,
  },
  {
    id: "large",
    what: "10,000 pods, 1,000 policies",
    crowd: { nodes: 100, pods: 10_000, policies: 1000 },
    rounds: 100,
    hasTargets: true,
  },
];

export interface PlaceResults {
  readonly rounds: RoundResults;
  readonly fresh: FreshResults;
  readonly storms: readonly StormResults[];
  readonly connections: ConnectionResults;
  /** MB, of the agent and its children. */
  readonly memory: number;
  readonly peak: number;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function measurePlace(place: Place, command: readonly string[], quick: boolean): Promise<PlaceResults> {
  const { crowd, what } = place;
  say(`${what}:`);
  const stage = await Stage.build({ ...(crowd === null ? {} : { crowd }), command, say });
  try {
    say("policies and labels change");
    const rounds = await measureRounds(stage, quick ? 10 : place.rounds);
    const { memory, peak } = stage.agent.usage();
    say("new pods");
    const fresh = await measureFreshPods(stage, quick ? 5 : 20);
    const storms: StormResults[] = [];
    if (crowd !== null) {
      say("a storm of pod events");
      for (let turn = 1; turn <= (quick ? 1 : 4); turn++) storms.push(await measureStorm(stage, crowd, 1000, turn));
    }
    say("connections");
    const connections = await measureConnections(stage, quick ? 10 : 40, 100);
    return { rounds, fresh, storms, connections, memory, peak };
  } finally {
    await stage.close();
  }
}

async function measure(quick: boolean): Promise<Pick<Suite, "figures" | "notes" | "comparison">> {
  const missing = missingPrograms();
  if (missing.length > 0) throw new Error(`${missing.join(" and ")} not found: test/cluster/build makes them`);
  const command = buildProgram();
  if (process.argv.includes("--scale")) return { figures: await measureScale(command, quick, say), notes: scaleNotes };
  const figures: Figure[] = [];
  const measured: Partial<Record<string, Measured>> = {};
  for (const place of quick ? places.slice(1, 2) : places) {
    const results = await measurePlace(place, command, quick);
    const about = { id: place.id, group: place.what, hasTargets: place.hasTargets };
    figures.push(
      ...roundFigures(about, results.rounds),
      ...freshFigures(about, results.fresh),
      ...stormFigures(about, results.storms),
      ...connectionFigures(about, results.connections),
      ...memoryFigures(about, results),
    );
    measured[place.id] = results;
  }
  return { figures, notes, comparison: comparison(measured) };
}

const notes = [
  "Latencies begin when the API server has answered the writer, and end when the first packet is sent whose verdict is the new one; a packet of a new flow is sent every 0.2 ms. Below 0: the agent was faster than the answer.",
  "Watch, plan and kernel are what the agent itself says of each change: from the bytes of the event until work on it begins, until the plan has changed, until the kernel has acknowledged. The rest is the API server's watch.",
  "The API server and etcd are real; nodes and pods are network namespaces, the other pods are objects in the API server. Writer, API server, etcd, agent and traffic share the machine.",
  "New pods try two ports from the moment their network is up, one that their policy allows and one that it denies; their address reaches the API server 50 ms later.",
  "Storms are stored in etcd, as the API server takes longer than a second for a thousand requests here.",
];

const scaleNotes = ["As above, with one agent of a thousand nodes."];

const scale = process.argv.includes("--scale");
await suiteMain(scale ? "agent-scale" : "agent", `node bench/agent.ts${scale ? " --scale" : ""}`, measure);
