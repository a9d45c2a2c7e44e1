/** Traffic through two nodes whose plan changes all the time, and the judgement of every packet's fate. */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { Worker } from "node:worker_threads";
import { addressBytes } from "../../src/netns/bytes.ts";
import { AF_INET, AF_INET6, close, int, raiseOpenFiles, SOCK_RAW, setOption, socket } from "../../src/netns/libc.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import { type Seat, udpSocket } from "../../src/netns/sockets.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { LivePlan } from "../../src/policy/compile/plan.ts";
import { namespacedName, type World } from "../../src/policy/model/world.ts";
import { Topology } from "../../src/sandbox/topology.ts";
import { NodeHistory } from "./history.ts";
import { now } from "./native.ts";
import type { ReceiverData } from "./receiver.ts";
import { Changes, type FlowClass, flowClasses, nodes, outside, ports, startWorld } from "./scenario.ts";
import type { SenderData, Source } from "./sender.ts";
import { batchSize, flag, type Ledger, newLedger } from "./shared.ts";
import type { Writer, WriterFactory } from "./writers.ts";

/** What a driver works on: the cluster, and the histories that packets are judged by. */
export interface FireStage {
  readonly world: World;
  readonly topology: Topology;
  readonly plan: LivePlan;
  readonly classes: readonly FlowClass[];
  /** One for each of `nodes`. */
  readonly histories: readonly NodeHistory[];
  readonly runners: readonly Runner[];
  readonly seed: number;
  /** A transaction was acknowledged now. */
  committed(): void;
}

/** Brings changes about while packets are on their way, and says in the histories when each plan may have been in force. */
export interface Driver {
  /** @returns the number of deltas that the next changes were */
  step(): Promise<number>;
  stop(): Promise<void>;
}

/** Resolves when the first plan is in force, and in the histories. */
export type DriverFactory = (stage: FireStage) => Promise<Driver>;

export interface FireOptions {
  readonly packets: number;
  readonly seed: number;
  readonly drive: DriverFactory;
  /** Addresses of the cluster's pods are dropped by their node while no pod is known to have them. */
  readonly held?: boolean;
  /** Packets a second at most. */
  readonly rate?: number;
}

export interface FireReport {
  readonly packets: number;
  readonly seconds: number;
  readonly delivered: number;
  readonly deltas: number;
  /** Transactions that the kernels acknowledged while packets were on their way. */
  readonly commits: number;
  /** Packets sent less than 1 ms before or after a commit was acknowledged. */
  readonly nearCommits: number;
  /** Packets whose fate could have been either: the verdict changed while they were on their way. */
  readonly either: number;
  /** Classes of flows: with one verdict in all plans, and with several. */
  readonly constant: { readonly allow: number; readonly deny: number };
  readonly changing: number;
  /** Packets that got the verdict of no plan that could be in force. */
  readonly wrong: number;
  readonly examples: readonly string[];
  /** Packets that the machine, not a judgement, lost: full queues. Should be 0, else `wrong` may count some of them. */
  readonly lost: number;
}

/** Seconds after which connection tracking forgets a flow, and after which a source port comes again. */
const forgotten = 1;
const horizon = 1.8;
/** Commits a second at most: the traffic needs its share of two CPUs. */
const commitRate = 140;
const receiveBuffer = 32 << 20;
const settle = 100; // ms

export async function underFire({
  packets,
  seed,
  drive,
  held = false,
  rate = 70_000,
}: FireOptions): Promise<FireReport> {
  raiseOpenFiles();
  const world = startWorld();
  const topology = Topology.build(world);
  const descriptors: number[] = [];
  const runners: Runner[] = [];
  try {
    for (const name of nodes) {
      topology.node(name).sysctl("netfilter/nf_conntrack_udp_timeout", String(forgotten));
      runners.push(await openRunner({ netns: topology.node(name).fd }));
    }
    return await new Run(world, topology, descriptors, runners, held).go(packets, seed, drive, rate);
  } finally {
    for (const fd of descriptors) close(fd);
    for (const runner of runners) await runner.close();
    topology.close();
  }
}

/** Changes go from the plan to a writer on each node. */
export const writing =
  (factory: WriterFactory): DriverFactory =>
  async ({ world, plan, classes, histories, runners, seed, committed }) => {
    /** Notes when transactions are acknowledged. */
    const timed = (runner: Runner): Runner => ({
      ...runner,
      commit: async (commands, table) => {
        await runner.commit(commands, table);
        committed();
      },
    });
    const writers: Writer[] = [];
    for (const [i, name] of nodes.entries()) {
      histories[i]!.begin(plan, classes, 0);
      writers.push(await factory(plan, name, timed(runners[i]!)));
      histories[i]!.done(0);
    }
    const changes = new Changes(world, seed);
    return {
      step: async () => {
        const delta = plan.apply(changes.next());
        for (const history of histories) history.begin(plan, classes, now());
        await Promise.all(
          writers.map(async (one, i) => {
            await one.apply(plan, delta);
            histories[i]!.done(now());
          }),
        );
        return 1;
      },
      stop: async () => {
        for (const one of writers) await one.stop();
      },
    };
  };

/** Between lines that say how far a run is, in ms. */
const sayEvery = 30_000;

class Run {
  readonly #world: World;
  readonly #topology: Topology;
  readonly #descriptors: number[];
  readonly #runners: readonly Runner[];
  readonly #classes: readonly FlowClass[];
  readonly #owner: ReadonlyMap<string, string>;
  readonly #commits: number[] = [];
  readonly #histories: readonly NodeHistory[];

  constructor(world: World, topology: Topology, descriptors: number[], runners: readonly Runner[], held: boolean) {
    this.#world = world;
    this.#topology = topology;
    this.#descriptors = descriptors;
    this.#runners = runners;
    this.#classes = flowClasses(world);
    this.#owner = new Map(world.pods.flatMap((pod) => pod.ips.map((ip) => [ip, namespacedName(pod)])));
    this.#histories = nodes.map((name) => {
      const own = world.pods.filter(({ node }) => held && node === name).flatMap(({ ips }) => ips);
      return new NodeHistory(name, new Set(own));
    });
  }

  async go(packets: number, seed: number, drive: DriverFactory, rate: number): Promise<FireReport> {
    const driver = await drive({
      world: this.#world,
      topology: this.#topology,
      plan: compile(this.#world),
      classes: this.#classes,
      histories: this.#histories,
      runners: this.#runners,
      seed,
      committed: () => this.#commits.push(now()),
    });
    const ledger = newLedger(Math.ceil(packets / batchSize));
    const drops = this.#drops();
    const receiver = start("receiver.ts", this.#receiverData(ledger));
    const cpu = cpus().length - 1;
    const sender = start("sender.ts", { ledger, sources: this.#sources(), cpu, rate, horizon } satisfies SenderData);
    let sending = true;
    const sent = sender.finally(() => {
      sending = false;
    });
    let deltas = 0;
    const progress = setInterval(() => {
      const done = Atomics.load(ledger.flags, flag.batches) * batchSize;
      process.stderr.write(`${done.toLocaleString("en")} of ${packets.toLocaleString("en")} packets sent\n`);
    }, sayEvery).unref();
    try {
      while (Atomics.load(ledger.flags, flag.batches) === 0 && sending) await pause(5);
      const begun = now();
      const first = this.#commits.length;
      while (sending) {
        const early = begun + (1000 * (this.#commits.length - first)) / commitRate - now();
        if (early > 1) await pause(early);
        deltas += await driver.step();
      }
    } finally {
      clearInterval(progress);
      Atomics.store(ledger.flags, flag.stop, 1);
      await sent;
      await pause(settle);
      Atomics.store(ledger.flags, flag.stopReceiving, 1);
      await receiver;
      await driver.stop();
    }
    return this.#judge(ledger, deltas, this.#drops() - drops);
  }

  #seat(address: string): Seat {
    const pod = this.#owner.get(address);
    return pod === undefined ? this.#topology.outsideSeat(address) : this.#topology.podSeat(pod, address);
  }

  #sources(): Source[] {
    const bySource = Map.groupBy(this.#classes, ({ source }) => source);
    return Array.from(bySource, ([source, classes]) => {
      const { namespace, address } = this.#seat(source);
      const raw = 255; // IPPROTO_RAW: we write the IP header
      const fd = namespace.run<number>(() => socket(address.length === 4 ? AF_INET : AF_INET6, SOCK_RAW, raw));
      this.#descriptors.push(fd);
      return {
        fd,
        address,
        classes: classes.map(({ id, destination, port }) => ({ id, destination: addressBytes(destination), port })),
      };
    });
  }

  #receiverData(ledger: Ledger): ReceiverData {
    const sockets = [...this.#owner.keys(), ...outside].flatMap((address) =>
      ports.map((port) => {
        const fd = udpSocket(this.#seat(address), port);
        setOption(fd, 1, 33, int(receiveBuffer)); // SOL_SOCKET, SO_RCVBUFFORCE
        if (address.includes(":")) setOption(fd, 17, 102, int(1)); // UDP_NO_CHECK6_RX
        return fd;
      }),
    );
    this.#descriptors.push(...sockets);
    return { ledger, sockets, wayOf: this.#classes.map((flow) => this.#wayOf(flow)) };
  }

  /** Which places a class's packets pass: 0 for outside, 1 and 2 for the nodes. */
  #wayOf({ source, destination }: FlowClass): number {
    const place = (address: string): number => {
      const pod = this.#world.pods.find(({ ips }) => ips.includes(address));
      return pod === undefined ? 0 : 1 + nodes.indexOf(pod.node as (typeof nodes)[number]);
    };
    return place(source) * 3 + place(destination) - 1; // nothing goes from outside to outside
  }

  /** Packets that devices, sockets and connection tracking of the cluster dropped. */
  #drops(): number {
    const places = new Set<Namespace>();
    for (const name of nodes) places.add(this.#topology.node(name));
    for (const address of [...this.#owner.keys(), ...outside]) places.add(this.#seat(address).namespace);
    const column = (text: string, at: readonly number[]): number =>
      text
        .split("\n")
        .filter((line) => /^ *\S+:.*\d/.test(line))
        .map((line) => line.replace(/^ *\S+: */, "").split(/\s+/))
        .reduce((sum, fields) => sum + at.reduce((n, i) => n + Number(fields[i] ?? 0), 0), 0);
    // Columns as the first line names them: drop and insert_failed of every CPU.
    const tracking = (text: string): number => {
      const [names = [], ...rows] = text
        .trim()
        .split("\n")
        .map((line) => line.trim().split(/\s+/));
      const at = ["drop", "insert_failed"].map((name) => names.indexOf(name));
      return rows.reduce((sum, row) => sum + at.reduce((n, i) => n + Number.parseInt(row[i]!, 16), 0), 0);
    };
    let sum = 0;
    for (const place of places) {
      const read = (file: string): string => readFileSync(`/proc/thread-self/net/${file}`, "utf8");
      sum += place.run<number>(() => {
        const sockets = ["udp", "udp6"].flatMap((file) => read(file).trim().split("\n").slice(1));
        return (
          column(read("dev"), [3, 11]) +
          tracking(read("stat/nf_conntrack")) +
          sockets.reduce((n, line) => n + Number(line.trim().split(/\s+/).at(-1)), 0)
        );
      });
    }
    return sum;
  }

  #judge(ledger: Ledger, deltas: number, lost: number): FireReport {
    const batches = Atomics.load(ledger.flags, flag.batches);
    const total = ledger.begun.length;
    const { seen, classes, arrived, begun, ended } = ledger;
    // Packets of one way stay in order: what was not seen had met its fate when a later one arrived.
    const wayOf = this.#classes.map((flow) => this.#wayOf(flow));
    const commits = this.#commits;
    const from = begun[0]!;
    const to = ended[batches - 1]!;
    let [delivered, either, wrong, near, commit] = [0, 0, 0, 0, 0];
    const examples: string[] = [];
    const settled = new Float64Array(8 * batches);
    for (let way = 0; way < 8; way++) {
      let next = to + settle;
      for (let batch = batches - 1; batch >= 0; batch--) {
        settled[way * batches + batch] = next;
        const time = seen[way * total + batch]!;
        if (time > 0) next = Math.min(next, time);
      }
    }
    for (let batch = 0; batch < batches; batch++) {
      const start = begun[batch]!;
      while (commit < commits.length && commits[commit]! < start - 1) commit++;
      if (commit < commits.length && commits[commit]! <= ended[batch]! + 1) near += batchSize;
      const ranges = new Map<number, ReturnType<NodeHistory["range"]>[]>();
      for (let packet = batch * batchSize; packet < (batch + 1) * batchSize; packet++) {
        const id = classes[packet]!;
        const way = wayOf[id]!;
        let range = ranges.get(way);
        if (range === undefined) {
          const end = Math.max(settled[way * batches + batch]!, ended[batch]!);
          range = this.#histories.map((history) => history.range(start, end));
          ranges.set(way, range);
        }
        let [mayPass, mayStop] = [true, false];
        for (const [i, history] of this.#histories.entries()) {
          const { allow, deny } = history.verdicts(id, range[i]!);
          if (!allow) mayPass = false;
          if (deny) mayStop = true;
        }
        const came = arrived[packet]! > 0;
        if (came) delivered++;
        if (mayPass && mayStop) either++;
        if (came ? mayPass && arrived[packet] === 1 : mayStop) continue;
        wrong++;
        if (examples.length < 10) {
          const { source, destination, port } = this.#classes[id]!;
          const steps = range.map(({ first, last }, i) => `${nodes[i]} ${first}-${last}`).join(", ");
          const what = came ? `arrived ${arrived[packet]} times` : "did not arrive";
          examples.push(`packet ${packet}, ${source} to ${destination} port ${port}: ${what} under plans ${steps}`);
        }
      }
    }
    const constant = { allow: 0, deny: 0 };
    let changing = 0;
    for (const { id } of this.#classes) {
      if (this.#histories.some((history) => !history.constant(id))) changing++;
      else {
        const all = { first: 0, last: 0 };
        constant[this.#histories.every((history) => history.verdicts(id, all).allow) ? "allow" : "deny"]++;
      }
    }
    return {
      packets: batches * batchSize,
      seconds: (to - from) / 1000,
      delivered,
      deltas,
      commits: commits.filter((time) => time >= from && time <= to).length,
      nearCommits: near,
      either,
      constant,
      changing,
      wrong,
      examples,
      lost,
    };
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Until the thread says that it is done. */
function start(file: string, workerData: SenderData | ReceiverData): Promise<unknown> {
  const worker = new Worker(new URL(file, import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    worker.on("message", resolve);
    worker.on("error", reject);
  });
}

/** The report as lines. */
export function reportText(report: FireReport): string {
  const { packets, seconds, delivered, deltas, commits, nearCommits, either, constant, changing, wrong, lost } = report;
  const perSecond = (n: number): string => `${Math.round(n / seconds).toLocaleString("en")}/s`;
  const n = (value: number): string => value.toLocaleString("en");
  return [
    `${n(packets)} packets in ${seconds.toFixed(1)} s (${perSecond(packets)}): ${n(delivered)} delivered, ${n(packets - delivered)} not`,
    `${n(deltas)} deltas, ${n(commits)} commits (${perSecond(commits)}); ${n(nearCommits)} packets within 1 ms of a commit`,
    `classes of flows: ${constant.allow} always allowed, ${constant.deny} always denied, ${changing} changing`,
    `${n(either)} packets were on their way while their verdict changed`,
    `${n(wrong)} wrong${lost === 0 ? "" : `; the machine lost ${n(lost)}: the run proves nothing`}`,
    ...report.examples,
  ].join("\n");
}
