/** What the faults did: tables, and docs/faults.md. */
import type { FireReport } from "../fire/fire.ts";
import type { FaultResult } from "./scenario.ts";

/** `results/latest.json`: of each fault the last run. */
export interface Results {
  readonly faults: readonly (FaultResult & Run)[];
  readonly fire: (FireReport & Run & { readonly seed: number; readonly kills: number }) | null;
}

export interface Run {
  /** Year, month, day. */
  readonly date: string;
  readonly commit: string;
  /** Load averages of a minute, before and after, and processors. */
  readonly load: readonly [number, number];
  readonly cpus: number;
}

const n = (value: number): string => Math.round(value).toLocaleString("en");

function seconds(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
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

const section = (results: readonly (FaultResult & Run)[]): string =>
  `${formatTable(results)}

${results.map(({ name, what }) => `- **${name}**: ${what}.`).join("\n")}`;

function conditions(runs: readonly Run[]): string {
  const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)].sort();
  const loads = runs.flatMap(({ load }) => load);
  const [least, most] = [Math.min(...loads), Math.max(...loads)].map((load) => load.toFixed(0));
  return (
    `Run on ${unique(runs.map(({ date }) => date)).join(", ")}, commit ${unique(runs.map(({ commit }) => commit)).join(", ")}, ` +
    `${unique(runs.map(({ cpus }) => cpus)).join(", ")} processors with a load of ${least} to ${most}: times tell more of that than of the agent.`
  );
}

function fireSection({
  packets,
  seconds,
  kills,
  seed,
  delivered,
  deltas,
  commits,
  constant,
  changing,
  either,
  wrong,
  lost,
}: NonNullable<Results["fire"]>): string {
  return `${n(packets)} packets in ${n(seconds)} s, ${n(delivered)} of them delivered, while ${n(deltas)} groups of changes went through the API server into the
tables of two nodes (${n(commits)} times a table was found equal to the plan) and ${n(kills)} agents were killed in between (seed ${seed}). Classes of flows:
${constant.allow} always allowed, ${constant.deny} always denied, ${changing} changing; ${n(either)} packets were on their way while their verdict changed.
**${n(wrong)} wrong verdicts**; the machine itself lost ${n(lost)} packets.`;
}

/** docs/faults.md */
export function page({ faults, fire }: Results): string {
  const [counted, measured] = [faults.filter((one) => !one.unpreventable), faults.filter((one) => one.unpreventable)];
  const found = faults.flatMap(({ name, wrong, examples }) =>
    [...wrong, ...examples.filter((text) => text.includes("did not arrive"))].map(
      (text) => `- ${name}: ${text.split("\n", 1)[0]!.slice(0, 200)}`,
    ),
  );
  return `# Faults

Written by \`npm run test:faults\` from \`test/faults/results/latest.json\`. A short share runs with every \`npm test\`.

Kubelets, containerd and the reboot are faults of a real Kubernetes with Bulkhead and its CNI plugin installed (\`node test/faults/cluster.ts\`);
the others are made where more of them fit into an hour: two nodes with real pods in network namespaces, a real etcd and kube-apiserver, and on
each node the agent as a process of its own. All the time traffic goes between pods, nodes, the world outside and addresses that the cluster knows nothing of, over IPv4 and IPv6, on one node and between
two: packets that policies deny (TCP SYN, SYN-ACK and data of no connection, UDP, ICMP echo), TCP connections and UDP flows that they allow, and
first packets of new allowed flows. Raw sockets at the destinations see every packet that arrives. Meanwhile policies, labels and pods change
without end in ways that leave those verdicts as they are, and one verdict changes with every fault: it has to come, and must not go back.

- **arrived** must be 0: packets that a policy denies and that reached their destination.
- **cut** must be 0: flows of ordinary sockets that were reset, or lost a single packet. **lost** must be 0: packets of allowed flows, new and old.
- **new verdict after**: from the fault's end (a new agent started, the server back) until the first packet with the new verdict; 0: it was
  in force before.
- **wrong** must be 0: verdicts that did not come or came back, tables that are not what the plan says, agents that do not say what fails.

${conditions([...faults, ...(fire === null ? [] : [fire])])}

## Nothing denied passes, nothing allowed is cut

${section(counted)}

## What nothing can prevent

While another program has taken the rules away there are none. Here "arrived" is what passed, and the time is how long rules were missing.

${measured.length === 0 ? "Not run yet." : section(measured)}

## An update storm, through the agents

${fire === null ? "Not run yet." : fireSection(fire)}

## What was found

${found.length === 0 ? "Nothing but zeros where zeros have to be." : found.join("\n")}
`;
}
