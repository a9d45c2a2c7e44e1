/**
 * `node test/faults/cluster.ts [--share 1]`: kubelets and containerd restarted, a node rebooted, on a real Kubernetes with Bulkhead and its CNI
 * plugin installed, with traffic all the time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { addressBytes } from "../../src/netns/bytes.ts";
import { Namespace } from "../../src/netns/namespace.ts";
import { agentsReady, installBulkhead } from "../cluster/lib/bulkhead.ts";
import { type Cluster, startCluster } from "../cluster/lib/cluster.ts";
import { makeNamespace, makePods, type Pod, podsReady } from "../cluster/lib/pods.ts";
import { now } from "../fire/native.ts";
import { formatTable } from "./page.ts";
import { beginRun, keep, resultsFile } from "./results.ts";
import { type FaultResult, isClean } from "./scenario.ts";
import { Taps } from "./taps.ts";
import { type End, type Stream, Traffic } from "./traffic.ts";

const namespace = "faults";
const ports = { open: 8080, other: 9090, flows: 8000 } as const;
const families = [4, 6] as const;

const both = (first: number, last: number) =>
  ["TCP", "UDP"].map((protocol) => ({ protocol, port: first, endPort: last }));
const policy = (name: string, spec: object): object => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name, namespace },
  spec,
});
const policies = [
  policy("db", {
    podSelector: { matchLabels: { app: "db" } },
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: both(8000, 8099) }],
  }),
  // Nobody may open anything to these: whatever comes to a pod of a node from "evil" is wrong.
  policy("others", {
    podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["web", "evil"] }] },
    policyTypes: ["Ingress"],
  }),
  policy("caged", { podSelector: { matchLabels: { app: "caged" } }, policyTypes: ["Ingress", "Egress"] }),
];

/** What is lost with a node, and comes again on it. */
class Stage {
  readonly cluster: Cluster;
  readonly traffic = new Traffic();
  readonly pods = new Map<string, Pod>();
  readonly #places = new Map<string, Namespace>();
  #port: number = ports.flows;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  end(name: string, family: 4 | 6): End {
    const place = this.#places.get(name)!;
    const address = addressBytes(this.pods.get(name)!.ip(family));
    return { name, seat: { namespace: place, address, foreign: false } };
  }

  /** Takes in pods, as they are now. */
  enter(pods: readonly Pod[]): void {
    for (const pod of pods) {
      this.pods.set(pod.name, pod);
      this.#places.set(pod.name, Namespace.open(pod.netns));
    }
  }

  /** Streams between pods both of which are named. */
  async begin(names: ReadonlySet<string>): Promise<Stream[]> {
    const before = new Set(this.traffic.streams);
    const { traffic } = this;
    for (const family of families) {
      const pairs = (from: string, to: string): [End, End][] =>
        [0, 1]
          .flatMap((a) => [0, 1].map((b): [string, string] => [`${from}-${a}`, `${to}-${b}`]))
          .filter(([a, b]) => names.has(a) && names.has(b))
          .map(([a, b]) => [this.end(a, family), this.end(b, family)]);
      for (const [from, to] of pairs("evil", "db")) traffic.denied(from, to, ports.open);
      for (const [from, to] of pairs("caged", "evil")) traffic.denied(from, to, ports.open);
      for (const [from, to] of pairs("web", "caged")) traffic.denied(from, to, ports.open);
      for (const [from, to] of pairs("web", "db")) {
        traffic.denied(from, to, ports.other);
        traffic.fresh(from, to, ports.flows + 99);
        const port = this.#port++;
        await traffic.tcpFlow(from, to, port);
        traffic.udpFlow(from, to, port);
      }
    }
    return traffic.streams.filter((stream) => !before.has(stream));
  }

  /** Ends the streams of pods that go away with their node. */
  leave(streams: readonly Stream[], names: readonly string[]): void {
    this.traffic.remove(streams);
    const seats = names.flatMap((name) => families.map((family) => this.end(name, family).seat));
    this.traffic.forget(seats);
    for (const name of names) {
      this.#places.get(name)!.close();
      this.#places.delete(name);
    }
  }
}

const roles = ["web", "db", "evil", "caged"];
const podsOn = (node: number): string[] => roles.map((role) => `${role}-${node}`);

const { values } = parseArgs({
  options: { share: { type: "string", default: "1" }, only: { type: "string", default: "" } },
});
const say = (line: string): void => console.error(`${(performance.now() / 1000).toFixed(1)} s: ${line}`);
const times = (n: number): number => Math.ceil(n * Number(values.share));
say("starting a cluster");
const cluster = await startCluster({ name: `faults-${process.pid}` });
const results: FaultResult[] = [];
try {
  say("installing Bulkhead with its CNI plugin");
  await installBulkhead(cluster, { cniPlugin: true });
  await makeNamespace(cluster, namespace);
  await cluster.apply(...policies);
  say("making pods");
  const stage = new Stage(cluster);
  const plans = [0, 1].flatMap((node) =>
    roles.map((role) => ({ namespace, name: `${role}-${node}`, node, labels: { app: role } })),
  );
  stage.enter(await makePods(cluster, ...plans));
  await stage.begin(new Set(podsOn(0)));
  const all = await stage.begin(new Set([...podsOn(0), ...podsOn(1)]));
  let others: readonly Stream[] = all;

  const count = async (
    name: string,
    what: string,
    repetitions: number,
    once: (wrong: (what: string) => void) => Promise<number>,
  ): Promise<void> => {
    if (!name.includes(values.only)) return;
    say(`${name}, ${repetitions} times`);
    const ended = beginRun();
    const wrong: string[] = [];
    const recoveries: number[] = [];
    const begun = now();
    const since = await stage.traffic.snapshot();
    let done = 0;
    try {
      for (; done < repetitions; done++) recoveries.push(await once((what) => void wrong.push(what)));
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : String(error));
      say(wrong.at(-1)!);
    }
    const toll = await stage.traffic.toll(since);
    const about = { name, what, repetitions: done, unpreventable: false, recoveries, changes: 0, wrong };
    const result: FaultResult = { ...about, seconds: (now() - begun) / 1000, ...toll };
    for (const example of toll.examples) say(example);
    results.push(result);
    console.log(formatTable([result]));
    keep(resultsFile, { faults: [{ ...result, ...ended() }] });
  };

  await count("kubelets killed", "SIGKILL of the kubelets of both nodes, started again", times(5), async () => {
    await Promise.all(cluster.nodes.map((node) => node.kubelet.kill()));
    await sleep(1000);
    const origin = now();
    await Promise.all(cluster.nodes.map((node) => node.kubelet.start()));
    await cluster.nodesReady(300_000);
    return now() - origin;
  });
  await count(
    "containerd killed",
    "SIGKILL of containerd on both nodes, started again; pods run on",
    times(5),
    async () => {
      await Promise.all(cluster.nodes.map((node) => node.containerd.kill()));
      await sleep(1000);
      const origin = now();
      await Promise.all(cluster.nodes.map((node) => node.containerd.start()));
      await cluster.nodesReady(300_000);
      return now() - origin;
    },
  );
  const startedPods = async (): Promise<readonly Pod[]> => {
    for (const deadline = now() + 600_000; ; ) {
      try {
        return await podsReady(cluster, namespace, podsOn(1));
      } catch (error) {
        if (now() > deadline) throw error;
      }
    }
  };
  const reboot =
    "power off and on of a node while the other sends to every address of its pods; its pods come again, held by the CNI plugin";
  await count("node rebooted", reboot, times(3), async (wrong) => {
    const node = cluster.nodes[1]!;
    stage.leave(others, podsOn(1));
    // From the other node, to all that its pods may come to have.
    const sweep = families.flatMap((family) => {
      const before = new Set(stage.traffic.streams);
      const from = stage.end("evil-0", family);
      for (let i = 2; i < 40; i++) {
        const [v4, v6] = node.podCIDRs as [string, string];
        const text = family === 4 ? v4.replace(/0\/\d+$/, String(i)) : v6.replace(/\/\d+$/, i.toString(16));
        const address = addressBytes(text);
        stage.traffic.sweep(from, { name: `address ${i} of ${node.name}`, address }, ports.open);
      }
      return stage.traffic.streams.filter((one) => !before.has(one));
    });
    const origin = now();
    await node.reboot();
    const taps = new Taps(stage.traffic, `bulkhead-${cluster.name}-${node.name}`, node.netns);
    const tapping = taps.run();
    const watching = setInterval(() => {
      const sum = (kind: string): number =>
        sweep.filter((one) => one.kind === kind).reduce((total, one) => total + one.arrived, 0);
      say(`arrived: syn ${sum("syn")}, udp ${sum("udp")}, echo ${sum("echo")}; ${taps.count} pods heard`);
    }, 2000);
    await cluster.nodesReady(600_000);
    await agentsReady(cluster, 600_000);
    say("the agents are ready");
    stage.enter(await startedPods());
    const took = now() - origin;
    await sleep(2000);
    clearInterval(watching);
    taps.stop();
    await tapping;
    const sent = sweep.reduce((sum, stream) => sum + stream.sent, 0);
    const heard = sweep.filter(({ kind }) => kind !== "echo").reduce((sum, stream) => sum + stream.arrived, 0);
    const answered = sweep.filter(({ kind }) => kind === "echo").reduce((sum, stream) => sum + stream.arrived, 0);
    stage.traffic.remove(sweep);
    const pods = taps.count;
    taps.close();
    say(
      `${sent} packets to the node's addresses; ${pods} pods were heard from their start on: ${heard}; ${answered} pings answered`,
    );
    if (pods < podsOn(1).length) wrong(`only ${pods} pods were heard`);
    if (heard > 0) wrong(`${heard} packets that policies deny reached pods of the node that was rebooted`);
    // By the network of a pod, which is there before its first process: no tap hears that.
    if (answered > 0) wrong(`${answered} pings that policies deny were answered by pods of the node that was rebooted`);
    others = await stage.begin(new Set([...podsOn(0), ...podsOn(1)]));
    return took;
  });
  await stage.traffic.close();
} finally {
  await cluster.down();
}
console.log(formatTable(results));
process.exit(results.every(isClean) ? 0 : 1);
