/**
 * Child of `analysis.ts`: the stages of one world apart, warmed up, in a process of its own:
 * `node bench/stages.ts YAML JSON SECONDS`. Times in ms.
 */
import { loadManifests } from "../src/manifests/index.ts";
import { ask } from "../src/policy/analyze/ask.ts";
import { connectivity } from "../src/policy/analyze/connectivity.ts";
import { connectivityClasses } from "../src/policy/analyze/connectivity-classes.ts";
import { parsePort } from "../src/policy/analyze/port-reference.ts";
import { parseReference, podReference, type Reference } from "../src/policy/analyze/reference.ts";
import { isProblem, type Problem } from "../src/policy/analyze/types.ts";
import { compile } from "../src/policy/compile/live-plan.ts";
import type { Change, LivePlan } from "../src/policy/compile/plan.ts";
import { evaluate } from "../src/policy/evaluate/evaluate.ts";
import { directions } from "../src/policy/model/verdict.ts";
import { isFinished, namespacedName, type Pod, type World } from "../src/policy/model/world.ts";
import { median, quantile } from "./statistics.ts";
import { describeSum } from "./table.ts";

export interface Stage {
  readonly name: string;
  readonly samples: readonly number[];
  readonly detail?: string;
}

const [yaml, json, seconds] = process.argv.slice(2);
const budget = Number(seconds) * 1000;
const stages: Stage[] = [];

/** Repeats what takes long, at least three times and at most twenty, until the budget is spent. */
async function long(name: string, work: () => unknown, detail?: () => string): Promise<void> {
  const samples: number[] = [];
  const cpu: number[] = [];
  const end = performance.now() + budget;
  while (samples.length < 3 || (samples.length < 20 && performance.now() < end)) {
    const start = performance.now();
    const before = process.threadCpuUsage();
    await work();
    const { user, system } = process.threadCpuUsage(before);
    samples.push(performance.now() - start);
    cpu.push((user + system) / 1000);
  }
  const ownTime = `${median(cpu).toFixed(0)} ms on the CPU`;
  stages.push({ name, samples, detail: detail === undefined ? ownTime : `${ownTime}; ${detail()}` });
}

const batches = 20;
const batchSize = 50;

/** Repeats what takes less than a clock can tell: one sample is the median of a batch of single calls. */
function short(name: string, work: (i: number) => void): void {
  const all: number[] = [];
  const samples = Array.from({ length: batches }, (_, batch) => {
    const times = Array.from({ length: batchSize }, (_, i) => {
      const start = performance.now();
      work(batch * batchSize + i);
      return performance.now() - start;
    });
    all.push(...times);
    return median(times);
  });
  stages.push({ name, samples, detail: `99 % of ${all.length} calls within ${quantile(all, 0.99).toFixed(2)} ms` });
}

let world: World | undefined;
const load = async (path: string): Promise<void> => {
  world = undefined;
  const loaded = await loadManifests([path]);
  if (loaded.problems.length > 0) throw new Error(loaded.problems[0]!.message);
  world = loaded.world;
};
await long("YAML", () => load(yaml!));
await long("JSON", () => load(json!));
const { pods, namespaces } = world!;
const policies = world!.policies.filter((policy) => policy.kind === "NetworkPolicy");

let plan: LivePlan | undefined;
await long("compile", () => {
  plan = compile(world!);
});
const live = plan!;

let sum = connectivityClasses(live);
await long(
  "classes",
  () => {
    sum = connectivityClasses(live);
  },
  () => describeSum(sum),
);
// Above that, the list alone would be what is measured.
if (sum.connections < 100_000) await long("map", () => void connectivity(live));

const subjects = pods.filter((pod) => !isFinished(pod) && !pod.hostNetwork);
const some = <T>(list: readonly T[], i: number): T => list[(i * 977) % list.length]!;
const twoPods = (i: number): [Pod, Pod] => [some(subjects, i), some(subjects, 31 * i + 7)];
short("verdict", (i) => {
  const [from, to] = twoPods(i).map((pod) => ({ kind: "pod", pod: live.pods.get(namespacedName(pod))! }) as const);
  evaluate(live, { from: from!, to: to!, family: "IPv4", protocol: "TCP", port: 8080 });
});
short("query", (i) => {
  const [from, to] = twoPods(i).map(({ namespace, name }) =>
    parseReference(podReference(namespace, name), { defaultNamespace: "default" }),
  ) as [Reference | Problem, Reference | Problem];
  const port = parsePort("8080/TCP");
  if (isProblem(from) || isProblem(to) || isProblem(port)) throw new Error("a reference was not understood");
  ask(live, { from, to, port });
});

/** Applies changes, and reads the classes of the pods that they touch, as an agent does. */
const change = (...changes: Change[]): void => {
  for (const key of live.apply(changes).pods) {
    const pod = live.pods.get(key);
    if (pod === undefined || isFinished(pod) || pod.hostNetwork) continue;
    for (const direction of directions) {
      live.policyClass(pod, direction);
      live.podPeer(pod, "IPv4", direction);
    }
  }
};
short("pod", (i) => {
  const pod = some(subjects, i);
  change({ op: "put", kind: "pod", object: { ...pod, labels: { ...pod.labels, "pod-template-hash": `h${i}` } } });
});
short("namespace", (i) => {
  const namespace = some(namespaces, i);
  const labels = { ...namespace.labels, team: `team-${i % 40}` };
  change({ op: "put", kind: "namespace", object: { ...namespace, labels } });
});
short("policy", (i) => {
  const policy = some(policies, i);
  const { spec } = some(policies, i + 1);
  change({ op: "put", kind: "policy", object: { ...policy, spec } });
});
process.stdout.write(JSON.stringify(stages));
