/** One node of a large cluster: the kernel holds what concerns this node's pods, and changes come in few transactions. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Namespace } from "../../src/netns/namespace.ts";
import { adopt } from "../../src/nftables/adopt.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { defaultTableOptions } from "../../src/nftables/skeleton.ts";
import { isRuled } from "../../src/nftables/state.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { Change, LivePlan } from "../../src/policy/compile/plan.ts";
import type { NetworkPolicy } from "../../src/policy/model/policy.ts";
import { emptyWorld, type Pod } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed } from "../../src/policy/objects.arbitrary.ts";
import { describeKernel, requireKernel } from "./support.ts";

const nodes = 200;
const namespaces = 100;
const apps = 10;
const podsPerNode = 100;

const appOf = (k: number): string => `app-${k % apps}`;
const namespaceOf = (k: number): string => `ns-${Math.floor(k / apps) % namespaces}`;

/** Pod `k` of node `n`; every node has one pod of each app of ten namespaces. */
const pod = (n: number, k: number): Pod => ({
  ...podNamed(`pod-${n}-${k}`, { ips: [`10.${n}.0.${k + 2}`], node: `n${n}` }),
  namespace: namespaceOf(n * podsPerNode + k),
  labels: { app: appOf(k) },
});

/** Each app of a namespace lets in the next one, on a port. */
const policy = (k: number): NetworkPolicy => {
  const { metadata, ...rest } = policyNamed(`policy-${k}`, {
    podSelector: { matchLabels: { app: appOf(k) } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: appOf(k + 1) } } }], ports: [{ port: 8000 + (k % 7) }] }],
  });
  return { ...rest, metadata: { ...metadata, namespace: namespaceOf(k) } };
};

describeKernel("a node of a large cluster", () => {
  let namespace: Namespace;
  let runner: Runner;
  let enforcer: Enforcer;
  let plan: LivePlan;

  beforeAll(async () => {
    requireKernel();
    namespace = Namespace.create();
    runner = await openRunner({ netns: namespace.fd });
    plan = compile({
      ...emptyWorld,
      nodes: Array.from({ length: nodes }, (_, n) => ({
        name: `n${n}`,
        labels: {},
        ips: [`172.18.0.${n + 2}`],
        podCIDRs: [],
        source: null,
      })),
      namespaces: Array.from({ length: namespaces }, (_, k) => ({
        name: `ns-${k}`,
        labels: {},
        defined: true,
        source: null,
      })),
      pods: Array.from({ length: nodes * podsPerNode }, (_, k) => pod(Math.floor(k / podsPerNode), k % podsPerNode)),
      policies: Array.from({ length: namespaces * apps }, (_, k) => policy(k)),
    });
    enforcer = await Enforcer.start(plan, { node: "n0", runner });
  }, 300_000);

  afterAll(async () => {
    await enforcer.remove();
    await runner.close();
    namespace.close();
  });

  test("20,000 pods and 1,000 policies: the kernel holds those that this node's pods can meet", async () => {
    const state = adopt(await runner.run("list table inet bulkhead", "json"), defaultTableOptions)!.state;
    const { dispatch, subjects, exact, peers } = state.ingress;
    expect(dispatch.size).toBe(podsPerNode);
    expect([...dispatch.values()].every(isRuled)).toBe(true);
    expect(subjects.size).toBe(podsPerNode); // each of another namespace and app
    // Ten of a hundred namespaces have pods here, and every pod of those is let in by some.
    const inSight = [...plan.pods.values()].filter(({ namespace: name }) => Number(name.slice(3)) < 10);
    expect(exact.size).toBe(inSight.length);
    expect(exact.size).toBe((nodes * podsPerNode) / 10);
    expect(peers.size).toBe(podsPerNode);
    // What each class answers everyone, and what the one class that it lets in.
    expect([...subjects.values()].reduce((sum, pairs) => sum + pairs.size, 0)).toBe(2 * podsPerNode);
    // Nobody's egress is ruled: its own pods are known, and no peers are.
    expect(state.egress.exact.size + state.egress.subjects.size).toBe(0);
  });

  test("a thousand pods that come and go at once are few transactions, those of no concern none", async () => {
    const put = (object: Pod): Change => ({ op: "put", kind: "pod", object });
    const far = Array.from({ length: 1000 }, (_, k) => pod(nodes + 1 + (k % 20), 10 + (k % 90)));
    const come = await enforcer.apply(plan, plan.apply(far.map(put)));
    expect(come.length).toBeLessThanOrEqual(4);
    const gone = far.map((one): Change => ({ op: "remove", kind: "pod", key: `${one.namespace}/${one.name}` }));
    expect((await enforcer.apply(plan, plan.apply(gone))).length).toBeLessThanOrEqual(4);
    const elsewhere = Array.from({ length: 1000 }, (_, k): Change => {
      const name = `far-${k}`;
      const ips = [`10.250.${k >> 8}.${k & 255}`];
      return put({ ...podNamed(name, { ips, node: "n7" }), namespace: "ns-50", labels: { app: appOf(k) } });
    });
    expect(await enforcer.apply(plan, plan.apply(elsewhere))).toEqual([]);
  });

  test("calls that come while one is on its way are one", async () => {
    const put = (object: Pod): Change => ({ op: "put", kind: "pod", object });
    const all = Array.from({ length: 1000 }, (_, k) =>
      enforcer.apply(plan, plan.apply([put({ ...pod(0, k % podsPerNode), labels: { app: appOf(k + 1) } })])),
    );
    const stats = (await Promise.all(all)).flat();
    expect(stats.length).toBeLessThanOrEqual(20);
  });
});
