/**
 * What enforcement costs the kernel: `node bench/kernel.ts [--quick] [--complete] [--out FILE]`. Needs root, or `unshare -Urn`; iptables
 * and ipset for the comparison. Times of two layouts are compared in turns, each in a network of its own.
 */
import { spawnSync } from "node:child_process";
import { batchOf } from "../src/nftables/batch.ts";
import { Desired } from "../src/nftables/desired.ts";
import { Drops } from "../src/nftables/drops.ts";
import { Enforcer } from "../src/nftables/enforcer.ts";
import { elementsOf } from "../src/nftables/port-table.ts";
import type { Runner } from "../src/nftables/runner.ts";
import { scriptOf } from "../src/nftables/script.ts";
import { compile } from "../src/policy/compile/live-plan.ts";
import type { Change, LivePlan } from "../src/policy/compile/plan.ts";
import { directions } from "../src/policy/model/verdict.ts";
import type { Pod, World } from "../src/policy/model/world.ts";
import { kubeRouterRules } from "./kernel/kube-router.ts";
import { Place } from "./kernel/place.ts";
import { clients, filler, localPods, node, type Size, servers, sizedWorld } from "./kernel/world.ts";
import type { Figure, Suite, Target } from "./results.ts";
import { median, quantile } from "./statistics.ts";
import { suiteMain } from "./suite.ts";

/** A network with one layout in it. */
interface Contender {
  readonly id: string;
  readonly what: string;
  readonly place: Place;
  readonly rates: Record<Measure, number[]>;
  /** Of its own rate and that of connection tracking alone, measured right before or after. */
  readonly ratios: Record<Measure, number[]>;
  /** µs, the 99th percentile of each turn. */
  readonly latency: number[];
}

type Measure = "connections" | "packets";

const sizes: readonly (Size & { readonly id: string; readonly what: string })[] = [
  { id: "1", what: "1 policy", policies: 1, networks: 0 },
  { id: "100", what: "100 policies", policies: 100, networks: 0 },
  { id: "1000", what: "1,000 policies", policies: 1000, networks: 0 },
  { id: "10000", what: "10,000 policies", policies: 10_000, networks: 0 },
  { id: "elements", what: "1,100 policies with 100,000 networks", policies: 1100, networks: 100_000 },
];

/** Policies above which iptables and ipset take minutes for one sync: left out unless asked for. */
const slowAbove = 5000;
const isComplete = process.argv.includes("--complete");

const conntrackOnly = `table inet tracked {
chain forward {
type filter hook forward priority -5; policy accept;
ct state established,related accept
}
}
`;

async function contender(id: string, what: string, world: World): Promise<Contender> {
  const none = (): Record<Measure, number[]> => ({ connections: [], packets: [] });
  return { id, what, place: await Place.build(world), rates: none(), ratios: none(), latency: [] };
}

/** Counts what is sent through a runner. */
function counted(runner: Runner): { readonly runner: Runner; take(): number } {
  let bytes = 0;
  return {
    runner: {
      ...runner,
      commit: (commands, table) => {
        bytes += batchOf(commands, table)?.bytes.length ?? Buffer.byteLength(scriptOf(commands, table));
        return runner.commit(commands, table);
      },
    },
    take: () => {
      const taken = bytes;
      bytes = 0;
      return taken;
    },
  };
}

interface Programming {
  readonly load: readonly number[];
  readonly loadBytes: number;
  readonly pod: readonly number[];
  readonly podBytes: number;
  readonly policy: readonly number[];
  readonly policyBytes: number;
  /** What the layout consists of. */
  readonly content: string;
}

const timed = async (work: () => unknown): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

const n = (value: number): string => value.toLocaleString("en");

/** What a node's table has for a plan. */
function content(plan: LivePlan): string {
  const desired = new Desired(node, new Drops());
  desired.load(plan);
  let [subjects, peers, elements] = [0, 0, 0];
  for (const direction of directions) {
    const own = desired.goal[direction];
    subjects += own.subjects.size;
    peers += own.peers.size;
    elements += own.exact.size + own.nets.IPv4.length + own.dispatch.size + own.peers.size;
    for (const pairs of own.subjects.values()) elements += pairs.size;
    for (const table of own.tables.values()) {
      const { ports, ranges, protocols } = elementsOf(table);
      elements += ports.length + ranges.length + protocols.length + 1;
    }
  }
  return `${n(subjects)} subject classes, ${n(peers)} peer classes, ${n(elements)} elements`;
}

/** Everything in nft's words, as libnftables wants it: what a transaction costs then. */
const inWords = (runner: Runner): Runner => ({
  ...runner,
  commit: async (commands, table) => void (await runner.run(scriptOf(commands, table))),
});

async function programBulkhead(place: Place, world: World, deltas: number, own = place.runner): Promise<Programming> {
  const plan = compile(world);
  const { runner, take } = counted(own);
  let enforcer!: Enforcer;
  const start = async (): Promise<void> => {
    enforcer = await Enforcer.start(plan, { node, runner });
  };
  const load = [await timed(start)];
  const loadBytes = take();
  const change = async (make: (i: number) => Change): Promise<{ times: number[]; bytes: number }> => {
    const times: number[] = [];
    const bytes: number[] = [];
    for (let i = 0; i < deltas; i++) {
      const delta = plan.apply([make(i)]);
      times.push(await timed(() => enforcer.apply(plan, delta)));
      bytes.push(take());
    }
    return { times, bytes: median(bytes) };
  };
  const remote = world.pods.filter((pod) => pod.node !== node);
  const pod = await change((i) => podEvent(remote, i));
  const policy = await change(policyChange);
  await enforcer.stop();
  return {
    load,
    loadBytes,
    pod: pod.times,
    podBytes: pod.bytes,
    policy: policy.times,
    policyBytes: policy.bytes,
    content: content(plan),
  };
}

/** A pod of another node goes, comes back with other labels, goes … */
function podEvent(remote: readonly Pod[], i: number): Change {
  const pod = remote[(i >> 1) % remote.length]!;
  if (i % 2 === 0) return { op: "remove", kind: "pod", key: `${pod.namespace}/${pod.name}` };
  return { op: "put", kind: "pod", object: { ...pod, labels: { ...pod.labels, group: `group-${i}` } } };
}

/** A new policy comes, then goes. */
function policyChange(i: number): Change {
  const one = filler(20_000 + (i >> 1) * 2);
  return i % 2 === 0
    ? { op: "put", kind: "policy", object: one }
    : { op: "remove", kind: "policy", key: `NetworkPolicy/${one.metadata.namespace}/${one.metadata.name}` };
}

async function programKubeRouter(place: Place, world: World, syncs: number): Promise<Programming> {
  const layout = kubeRouterRules(world, node);
  const sync = async (): Promise<void> => {
    await place.exec("ipset", ["restore"], layout.sets);
    await place.exec(iptablesRestore!, [], layout.rules);
  };
  const load: number[] = [];
  for (let i = 0; i < syncs; i++) load.push(await timed(sync));
  const loadBytes = layout.sets.length + layout.rules.length;
  const again = syncs === 1 ? load : load.slice(1);
  return {
    load: load.slice(0, 1),
    loadBytes,
    pod: again,
    podBytes: loadBytes,
    policy: again,
    policyBytes: loadBytes,
    content: `${n(layout.ruleCount)} rules, ${n(layout.setCount)} sets, ${n(layout.elementCount)} elements`,
  };
}

const works = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { stdio: "ignore" }).status === 0;
const iptablesRestore = works("ipset", "list", "-n")
  ? ["iptables-legacy-restore", "iptables-restore"].find((program) => works(program, "--version"))
  : undefined;

/** One turn of a contender next to one of connection tracking alone, in alternating order. */
function turn(one: Contender, base: Contender, ms: number, baseFirst: boolean): void {
  const measure = (who: Contender, what: Measure): number => {
    if (what === "packets") return who.place.packets(ms);
    const { rate, latencies } = who.place.connections(ms);
    who.latency.push(quantile(latencies, 0.99));
    return rate;
  };
  for (const what of ["connections", "packets"] as const) {
    const order = baseFirst ? [base, one] : [one, base];
    const [first, second] = order.map((who) => measure(who, what));
    const [baseRate, rate] = baseFirst ? [first!, second!] : [second!, first!];
    base.rates[what].push(baseRate);
    one.rates[what].push(rate);
    one.ratios[what].push(rate / baseRate);
  }
}

const titles: Readonly<Record<Measure, string>> = {
  connections: "TCP connections with a request and its answer",
  packets: "packets of established flows (64 bytes)",
};
const targets: Readonly<Record<Measure, Target>> = { connections: { atLeast: 0.97 }, packets: { atLeast: 0.95 } };

function rateFigures({ id, what, rates, latency }: Contender): Figure[] {
  return [
    ...(["connections", "packets"] as const).map(
      (measure): Figure => ({
        id: `kernel/${id}/${measure}`,
        what: `${what}: ${titles[measure]}`,
        unit: "/s",
        better: "more",
        statistic: "median",
        samples: rates[measure],
      }),
    ),
    {
      id: `kernel/${id}/latency`,
      what: `${what}: 99th percentile of connect, request, answer`,
      unit: "µs",
      better: "less",
      statistic: "median",
      samples: latency,
    },
  ];
}

const ratioFigures = ({ id, what, ratios }: Contender, hasTarget: boolean): Figure[] =>
  (["connections", "packets"] as const).map((measure) => ({
    id: `kernel/${id}/${measure}-ratio`,
    what: `${what}: ${titles[measure]}, as a share of connection tracking alone`,
    unit: "",
    better: "more",
    statistic: "median",
    samples: ratios[measure],
    ...(hasTarget ? { target: targets[measure] } : {}),
  }));

function programmingFigures(id: string, what: string, programming: Programming): Figure[] {
  const figure = (name: string, title: string, samples: readonly number[], bytes: number, detail = ""): Figure[] =>
    samples.length === 0
      ? []
      : [
          {
            id: `kernel/${id}/${name}`,
            what: `${what}: ${title}`,
            unit: "ms",
            better: "less",
            statistic: "median",
            samples,
            detail: `${n(Math.round(bytes))} bytes${detail}`,
          },
        ];
  const { load, loadBytes, pod, podBytes, policy, policyBytes } = programming;
  return [
    ...figure("load", "full load", load, loadBytes, `; ${programming.content}`),
    ...figure("pod", "one pod event", pod, podBytes),
    ...figure("policy", "one policy change", policy, policyBytes),
  ];
}

async function measure(quick: boolean): Promise<Pick<Suite, "figures" | "notes">> {
  const rounds = quick ? 3 : 20;
  const ms = quick ? 30 : 100;
  const used = quick ? sizes.filter(({ id }) => id === "1" || id === "1000") : sizes;
  const empty = sizedWorld({ policies: 1, networks: 0 });
  const contenders: Contender[] = [];
  const figures: Figure[] = [];
  try {
    const add = async (id: string, what: string, world: World): Promise<Contender> => {
      const one = await contender(id, what, world);
      contenders.push(one);
      return one;
    };
    const base = await add("conntrack", "connection tracking alone", empty);
    await base.place.runner.run(conntrackOnly);
    const none = await add("none", "no table", empty);
    const ours: Contender[] = [];
    const programming: Figure[] = [];
    for (const size of used) {
      const world = sizedWorld(size);
      const own = await add(`bulkhead/${size.id}`, `Bulkhead, ${size.what}`, world);
      ours.push(own);
      const deltas = quick || size.networks > 0 ? 6 : 20; // with many networks one takes about a second
      programming.push(...programmingFigures(own.id, own.what, await programBulkhead(own.place, world, deltas)));
      const words = await Place.build(world);
      try {
        const wordy = await programBulkhead(words, world, Math.min(deltas, 6), inWords(words.runner));
        programming.push(
          ...programmingFigures(`libnftables/${size.id}`, `the same through libnftables, ${size.what}`, wordy),
        );
      } finally {
        await words.close();
      }
      if (iptablesRestore === undefined || (size.policies > slowAbove && !isComplete)) continue;
      const other = await add(`kube-router/${size.id}`, `iptables and ipset, ${size.what}`, world);
      const syncs = size.policies > slowAbove ? 1 : 3;
      programming.push(...programmingFigures(other.id, other.what, await programKubeRouter(other.place, world, syncs)));
    }
    for (const one of contenders) turn(one, one, 10, true); // caches, neighbours
    for (const one of contenders) {
      for (const samples of [one.latency, ...Object.values(one.rates), ...Object.values(one.ratios)])
        samples.length = 0;
    }
    for (let round = 0; round < rounds; round++) {
      for (const one of contenders) if (one !== base) turn(one, base, ms, round % 2 === 0);
    }
    figures.push(...rateFigures(base), ...rateFigures(none), ...ratioFigures(none, false));
    for (const one of contenders) {
      if (one === base || one === none) continue;
      figures.push(...ratioFigures(one, ours.includes(one)), ...rateFigures(one));
    }
    figures.push(...programming);
  } finally {
    for (const { place } of contenders) await place.close();
  }
  return {
    figures,
    notes: [
      `One node with ${localPods} pods, ${clients} clients and ${servers} servers among them, and 390 pods elsewhere; both ends of every connection are judged on the node. Every policy selects at least one local pod.`,
      `A share is of ${rounds} pairs of turns of ${ms} ms, one with connection tracking alone and one with the layout, each in a network of its own, in alternating order. Rates are per second of one core's time: client, servers and the kernel between them are one thread.`,
      iptablesRestore === undefined
        ? "iptables and ipset were not found: nothing was compared with them."
        : `iptables and ipset: the layout of kube-router 2.x, by ${iptablesRestore}; it writes everything anew at every event. With 10,000 policies that takes minutes, and is measured with --complete only.`,
    ],
  };
}

await suiteMain("kernel", "node bench/kernel.ts", measure);
