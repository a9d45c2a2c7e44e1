/**
 * Times of the engine on the 13,678-policy profile: `node --expose-gc bench/engine.ts`. Times in ms: quantiles by the
 * wall clock, and the mean by the thread's CPU clock, which other programs on the machine do not disturb.
 */
import { compile } from "../src/policy/compile/live-plan.ts";
import type { LivePlan } from "../src/policy/compile/plan.ts";
import { evaluate } from "../src/policy/evaluate/evaluate.ts";
import type { Policy } from "../src/policy/model/policy.ts";
import { directions } from "../src/policy/model/verdict.ts";
import { namespacedName, type Pod } from "../src/policy/model/world.ts";
import { profileWorld } from "./profile.ts";

const world = profileWorld();
const heap = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

/** Quantiles of the times of `count` calls. */
function measure(what: string, count: number, call: (i: number) => void): void {
  const times: number[] = [];
  const cpu = process.threadCpuUsage();
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    call(i);
    times.push(performance.now() - start);
  }
  const { user, system } = process.threadCpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (q: number): string => times[Math.floor(q * (count - 1))]!.toFixed(3);
  console.log(
    `${what.padEnd(44)} p50 ${at(0.5)}  p95 ${at(0.95)}  max ${at(1)}  CPU mean ${((user + system) / 1000 / count).toFixed(3)}`,
  );
}

const before = heap();
let plan: LivePlan | undefined;
measure("compile", 3, () => {
  plan = compile(world);
});
const live = plan!;
console.log(`${"memory of the plan, MiB".padEnd(44)} ${(heap() - before).toFixed(1)}`);

/** What an agent reads after a change: the classes of the pods named. */
const read = (pods: Iterable<string>): void => {
  for (const key of pods) {
    const pod = live.pods.get(key);
    if (pod === undefined) continue;
    for (const direction of directions) {
      live.policyClass(pod, direction);
      live.podPeer(pod, "IPv4", direction);
    }
  }
};
measure("all classes of all pods", 1, () => read(live.pods.keys()));

const pods = world.pods;
const some = (i: number): Pod => pods[(i * 977) % pods.length]!;
measure("pod put, same shape, new address", 1000, (i) => {
  const pod = some(i);
  live.apply([{ op: "put", kind: "pod", object: { ...pod, ips: [`10.200.${i >> 8}.${i & 255}`] } }]);
});
measure("pod put, new label set", 1000, (i) => {
  const pod = some(i);
  live.apply([{ op: "put", kind: "pod", object: { ...pod, labels: { ...pod.labels, "pod-template-hash": `h${i}` } } }]);
});
measure("the same, and read what changed", 1000, (i) => {
  const pod = some(i);
  read(live.apply([{ op: "put", kind: "pod", object: { ...pod, labels: { ...pod.labels, hash: `r${i}` } } }]).pods);
});
measure("pod remove and put", 1000, (i) => {
  const pod = some(i);
  live.apply([{ op: "remove", kind: "pod", key: namespacedName(pod) }]);
  live.apply([{ op: "put", kind: "pod", object: pod }]);
});

const policies = world.policies;
const somePolicy = (i: number): Policy => policies[(i * 977) % policies.length]!;
const renamed = (policy: Policy, i: number): Policy => ({
  ...policy,
  metadata: { ...policy.metadata, name: `bench-${i}` },
});
measure("policy put", 1000, (i) => {
  live.apply([{ op: "put", kind: "policy", object: renamed(somePolicy(i), i) }]);
});
measure("policy remove", 1000, (i) => {
  const { kind, metadata } = somePolicy(i);
  live.apply([{ op: "remove", kind: "policy", key: `${kind}/${metadata.namespace}/bench-${i}` }]);
});
measure("policy put, and read what changed", 200, (i) => {
  read(live.apply([{ op: "put", kind: "policy", object: renamed(somePolicy(i + 1), i) }]).pods);
});
measure("namespace relabelled", 200, (i) => {
  const namespace = world.namespaces[(i * 7) % world.namespaces.length]!;
  const labels = { ...namespace.labels, shared: i % 2 === 0 ? "true" : "false" };
  live.apply([{ op: "put", kind: "namespace", object: { ...namespace, labels } }]);
});
measure("address split, both directions", 1, () => {
  for (const direction of directions) console.log(`  ${direction}: ${live.netClasses(direction).length} net classes`);
});
measure("one query", 5000, (i) => {
  const from = { kind: "pod", pod: live.pods.get(namespacedName(some(i)))! } as const;
  const to = { kind: "pod", pod: live.pods.get(namespacedName(some(i * 31 + 7)))! } as const;
  evaluate(live, { from, to, family: "IPv4", protocol: "TCP", port: 8080 });
});
const distinct = pods.filter((_, i) => i % 8 === 0).map((pod) => live.pods.get(namespacedName(pod))!);
measure(`judging all ${distinct.length}² pairs of some pods`, 1, () => {
  const subjects = new Set(distinct.map((pod) => live.policyClass(pod, "ingress")));
  const peers = new Set(distinct.map((pod) => live.podPeer(pod, "IPv4", "ingress")));
  console.log(`  ${subjects.size} policy classes, ${peers.size} peer classes`);
  for (const subject of subjects) for (const peer of peers) live.judge(subject, peer);
});
console.log(`${"memory at the end, MiB".padEnd(44)} ${(heap() - before).toFixed(1)}`);
