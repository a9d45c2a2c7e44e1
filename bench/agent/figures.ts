/** What was measured, as figures with their goals. */
import type { Figure, Target } from "../results.ts";
import { median, quantile } from "../statistics.ts";
import type { ConnectionResults } from "./connections.ts";
import type { FreshResults } from "./fresh-pods.ts";
import type { RoundResults } from "./rounds.ts";
import type { StormResults } from "./storm.ts";

export interface About {
  readonly id: string;
  readonly group: string;
  /** The goals for latencies are set for one size of a cluster. */
  readonly hasTargets: boolean;
}

type Statistic = Figure["statistic"];

/** One measure, by several statistics of the same samples. */
function several(
  about: About,
  id: string,
  what: string,
  samples: readonly number[],
  wanted: readonly (readonly [Statistic, Target?])[],
  more: Partial<Pick<Figure, "unit" | "better" | "detail">> = {},
): Figure[] {
  const rounded = samples.map((value) => Math.round(value * 1000) / 1000);
  return wanted.map(([statistic, target]) => ({
    id: `agent/${about.id}/${id}-${statistic}`,
    group: about.group,
    what: `${what}, ${statistic}`,
    unit: "ms",
    better: "less",
    ...more,
    statistic,
    samples: rounded,
    ...(target !== undefined && about.hasTargets ? { target } : {}),
  }));
}

const atMost = (value: number): Target => ({ atMost: value });
const ms = (value: number): string => `${value.toFixed(2)} ms`;

export function roundFigures(about: About, results: RoundResults): Figure[] {
  const { deny, allow, relabelClose, relabelOpen, udpCut, tcpCut, passages, answer, cpu, flaps } = results;
  const all = [["median", atMost(5)], ["p95"], ["p99", atMost(25)]] as const;
  const stage = (name: "watch" | "plan" | "kernel"): string => {
    const values = passages.map((one) => one[name]);
    return `${name} ${ms(median(values))} (p99 ${ms(quantile(values, 0.99))})`;
  };
  return [
    ...several(about, "deny", "a deny takes hold", deny, all),
    ...several(about, "allow", "an allow takes hold", allow, all),
    ...several(about, "relabel-close", "a pod's new label closes", relabelClose, all),
    ...several(about, "relabel-open", "a pod's new label opens", relabelOpen, all),
    ...several(about, "udp-cut", "a live UDP flow is cut", udpCut, [["median"], ["p99", atMost(50)]]),
    ...several(about, "tcp-cut", "a live TCP connection is cut", tcpCut, [["median"], ["p99", atMost(50)]]),
    {
      ...several(about, "total", "the agent's own part of all these changes", passages.map(total), [["median"]])[0]!,
      detail: [
        stage("watch"),
        stage("plan"),
        stage("kernel"),
        `the writer waits ${ms(median(answer))} for its answer`,
      ].join("; "),
    },
    {
      ...several(about, "cpu", "CPU time of the agent for a change", [cpu], [["median"]])[0]!,
      what: "CPU time of the agent for a change",
    },
    {
      ...several(about, "flapping", "", [flaps.length], [["worst"]], { unit: "" })[0]!,
      what: "changes whose verdict came back before it stayed",
      target: atMost(0),
      ...(flaps.length === 0 ? {} : { detail: flaps.slice(0, 3).join("; ") }),
    },
  ];
}

const total = ({ watch, plan, kernel }: { watch: number; plan: number; kernel: number }): number =>
  watch + plan + kernel;

export function freshFigures(about: About, results: FreshResults): Figure[] {
  const count = { unit: "" } as const;
  const [leaked] = several(about, "leaked", "", results.leaked, [["worst"]], count);
  const lost = median(results.lostBefore);
  return [
    { ...leaked!, what: "connections of a new pod that get out under default deny", target: atMost(0) },
    ...several(
      about,
      "fresh",
      "a new pod's first allowed connection after its address is in the API server",
      results.works,
      [["median"], ["worst", atMost(100)]],
    ).map((figure) => ({
      ...figure,
      detail: `${ms(median(results.fromStart))} after its network was up; ${lost} allowed ones were lost in the 50 ms before its address was told`,
    })),
  ];
}

export function stormFigures(about: About, storms: readonly StormResults[]): Figure[] {
  if (storms.length === 0) return [];
  const mean = (of: (one: StormResults) => number): number =>
    Math.round(storms.reduce((sum, one) => sum + of(one), 0) / storms.length);
  return several(
    about,
    "storm",
    "the last of 1,000 pod events in a second is in force",
    storms.map(({ done }) => done),
    [["worst", atMost(2000)]],
    {
      detail: `stored in ${mean(({ stored }) => stored)} ms; ${mean(({ transactions }) => transactions)} transactions, ${mean(({ operations }) => operations)} operations, ${mean(({ cpu }) => cpu)} ms of the agent's CPU time`,
    },
  );
}

export function connectionFigures(about: About, { rate, baseRate, ratio, latency }: ConnectionResults): Figure[] {
  const shared = { group: about.group, better: "more", statistic: "median" } as const;
  return [
    {
      ...shared,
      id: `agent/${about.id}/connections`,
      what: "TCP connections with a request and its answer, of one CPU",
      unit: "/s",
      samples: rate.map(Math.round),
      detail: `connection tracking alone: ${Math.round(median(baseRate))} /s; 99 % within ${Math.round(median(latency))} µs`,
    },
    {
      ...shared,
      id: `agent/${about.id}/connections-ratio`,
      what: "the same, as a share of connection tracking alone",
      unit: "",
      samples: ratio,
    },
  ];
}

export function memoryFigures(
  about: About,
  { memory, peak }: { readonly memory: number; readonly peak: number },
): Figure[] {
  return [
    {
      id: `agent/${about.id}/memory`,
      group: about.group,
      what: "memory of the agent after these changes (RSS)",
      unit: "MB",
      better: "less",
      statistic: "median",
      samples: [memory],
      detail: `${Math.round(peak)} MB at its most`,
    },
  ];
}
