/** What Prometheus is told. The library is loaded here, so that only an agent that runs pays for it. */
import type { SourceStatus } from "../kube/feed.ts";
import type { DropCounter, DropExplanation, TransactionStats } from "../nftables/enforcer.ts";
import { strangerDrop } from "../nftables/strangers.ts";
import type { Plan } from "../policy/compile/plan.ts";
import { formatPolicyRef } from "../policy/model/policy.ts";
import { directions } from "../policy/model/verdict.ts";
import { type Condition, firstFailure } from "./condition.ts";
import type { Passage } from "./follower.ts";

/** What is asked when someone reads the metrics. */
export interface MetricsSources {
  readonly node: string;
  plan(): Plan | null;
  conditions(): readonly Condition[];
  sources(): readonly SourceStatus[];
  /** null while nothing is in force. */
  drops(): Promise<{
    readonly counters: ReadonlyMap<string, DropCounter>;
    readonly explain: (id: string) => DropExplanation | null;
  } | null>;
}

export interface Metrics {
  applied(passage: Passage, transactions: readonly TransactionStats[]): void;
  failed(): void;
  cni(operation: string, result: string, milliseconds: number): void;
  readonly contentType: string;
  text(): Promise<string>;
}

/** From half a millisecond, below which nothing matters, to what only the first load of a large cluster takes. */
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Series of drops at the most, the busiest; the others are one. */
const mostDrops = 200;
/** Milliseconds that a reader waits for counters: the kernel may be busy with a large transaction. */
const patience = 2000;

export async function openMetrics(about: MetricsSources): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await import("@prometheus-io/client");
  const registry = new Registry();
  const registers = [registry];

  const stages = new Histogram({
    name: "bulkhead_programming_seconds",
    help: "From the bytes of a change to its rules in force: watch (until work on it begins), plan, kernel, total",
    labelNames: ["stage"],
    buckets,
    registers,
  });
  const transactions = new Counter({
    name: "bulkhead_transactions_total",
    help: "nftables transactions in force, by purpose",
    labelNames: ["purpose"],
    registers,
  });
  const operations = new Counter({
    name: "bulkhead_transaction_operations_total",
    help: "Operations in the nftables transactions in force",
    registers,
  });
  const failures = new Counter({
    name: "bulkhead_transaction_failures_total",
    help: "Times that the kernel refused; the rules before stayed in force",
    registers,
  });
  const success = new Gauge({
    name: "bulkhead_last_success_timestamp_seconds",
    help: "When the kernel was last known to be equal to the plan",
    registers,
  });
  const cniSeconds = new Histogram({
    name: "bulkhead_cni_request_seconds",
    help: "Questions of the CNI plugin, by operation and result",
    labelNames: ["operation", "result"],
    buckets,
    registers,
  });
  new Gauge({
    name: "bulkhead_ready",
    help: "1 when /readyz answers ok",
    registers,
    collect() {
      this.set(firstFailure(about.conditions()) === null ? 1 : 0);
    },
  });
  new Gauge({
    name: "bulkhead_policy_problems",
    help: "Policies that could not be understood or programmed completely, and fail closed",
    registers,
    collect() {
      this.set(about.conditions().filter(({ name, state }) => name === "policies" && state !== "ok").length);
    },
  });
  new Gauge({
    name: "bulkhead_pods",
    help: "Pods of this node (local) and of the cluster (known)",
    labelNames: ["where"],
    registers,
    collect() {
      let local = 0;
      const pods = about.plan()?.pods;
      for (const { node } of pods?.values() ?? []) if (node === about.node) local++;
      this.set({ where: "local" }, local);
      this.set({ where: "known" }, pods?.size ?? 0);
    },
  });
  new Gauge({
    name: "bulkhead_policies",
    help: "Policies of the cluster, by kind",
    labelNames: ["kind"],
    registers,
    collect() {
      this.reset();
      for (const { kind } of about.plan()?.policies.values() ?? []) this.inc({ kind });
    },
  });
  new Gauge({
    name: "bulkhead_source_connected",
    help: "1 while the watch of a resource lives",
    labelNames: ["resource"],
    registers,
    collect() {
      this.reset();
      for (const { resource, installed, connected } of about.sources())
        if (installed) this.set({ resource }, connected ? 1 : 0);
    },
  });
  new Counter({
    name: "bulkhead_source_restarts_total",
    help: "Lists and watches of a resource that were begun again",
    labelNames: ["resource"],
    registers,
    collect() {
      this.reset();
      for (const { resource, restarts } of about.sources()) this.inc({ resource }, restarts);
    },
  });
  new Counter({
    name: "bulkhead_dropped_packets_total",
    help: "Packets dropped on this node, by direction, tier and deciding policies",
    labelNames: ["direction", "tier", "policy"],
    registers,
    async collect() {
      const timeout = new Promise<null>((resolve) => setTimeout(resolve, patience, null).unref());
      const drops = await Promise.race([about.drops().catch(() => null), timeout]);
      if (drops === null) return;
      this.reset();
      for (const { labels, packets } of dropSeries(drops.counters, drops.explain)) this.inc(labels, packets);
    },
  });

  // Of the library's own metrics of the process only these: the others cost timers and a hundred series a node.
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({
    name: "nodejs_heap_used_bytes",
    help: "Memory in use on the JavaScript heap",
    registers,
    collect() {
      this.set(process.memoryUsage().heapUsed);
    },
  });
  new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time, user and system",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: "process_start_time_seconds",
    help: "Start of the process",
    registers,
  }).set(performance.timeOrigin / 1000);

  return {
    applied({ received, begun, planned, inForce }, sent) {
      success.setToCurrentTime();
      for (const { purpose, operations: count } of sent) {
        transactions.inc({ purpose });
        operations.inc(count);
      }
      if (received === null) return;
      const observe = (stage: string, from: number, to: number): void =>
        stages.observe({ stage }, Math.max(0, to - from) / 1000);
      observe("watch", received, begun);
      observe("plan", begun, planned);
      observe("kernel", planned, inForce);
      observe("total", received, inForce);
    },
    failed: () => failures.inc(),
    cni: (operation, result, milliseconds) => cniSeconds.observe({ operation, result }, milliseconds / 1000),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}

interface DropSeries {
  readonly labels: { readonly direction: string; readonly tier: string; readonly policy: string };
  readonly packets: number;
}

/** Drops by what is said about them; ids of one saying are one series. */
function dropSeries(
  counters: ReadonlyMap<string, DropCounter>,
  explain: (id: string) => DropExplanation | null,
): DropSeries[] {
  const series = new Map<string, { labels: DropSeries["labels"]; packets: number }>();
  for (const [id, { packets }] of counters) {
    if (packets === 0n) continue;
    const labels = dropLabels(id, explain(id));
    const key = Object.values(labels).join("\n");
    const one = series.get(key);
    if (one === undefined) series.set(key, { labels, packets: Number(packets) });
    else one.packets += Number(packets);
  }
  const sorted = [...series.values()].sort((a, b) => b.packets - a.packets);
  if (sorted.length <= mostDrops) return sorted;
  const rest = sorted.slice(mostDrops).reduce((sum, { packets }) => sum + packets, 0);
  return [...sorted.slice(0, mostDrops), { labels: { direction: "", tier: "", policy: "others" }, packets: rest }];
}

function dropLabels(id: string, said: DropExplanation | null): DropSeries["labels"] {
  for (const direction of directions)
    if (id === strangerDrop[direction]) return { direction, tier: "", policy: "unknown pod" };
  if (said === null) return { direction: "", tier: "", policy: id }; // of an earlier process's rules, until they are collected
  if (said.closed === true) return { direction: said.direction, tier: "", policy: "no room for its rules" };
  const policies = [...new Set(said.reasons.map(({ policy }) => formatPolicyRef(policy)))];
  const policy = policies.length <= 3 ? policies.join(", ") : `${policies.slice(0, 3).join(", ")} and others`;
  return { direction: said.direction, tier: said.tier, policy };
}
