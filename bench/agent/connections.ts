/** Connections of pods of a node with the agent, beside those of a node whose kernel tracks connections and nothing else. */

import type { Seat } from "../../src/netns/sockets.ts";
import { openRunner } from "../../src/nftables/runner.ts";
import { forgetConnectionsSoon } from "../kernel/place.ts";
import { Traffic } from "../kernel/traffic.ts";
import { quantile } from "../statistics.ts";
import { seatOf } from "./seats.ts";
import { namespace, type Stage } from "./stage.ts";

export interface ConnectionResults {
  /** Connections a second of CPU time, on the node with the agent. */
  readonly rate: readonly number[];
  readonly baseRate: readonly number[];
  /** `rate` as a share of `baseRate`, of two turns next to each other. */
  readonly ratio: readonly number[];
  /** µs: the 99th percentile of connect, request and answer, one for each turn. */
  readonly latency: readonly number[];
}

const port = 8080;
const pairs = 4;
/** Of the stage's pods: those before have other tasks. */
const firstPod = 6;

/** What every node has anyway, where kube-proxy or a NAT rule is. */
const conntrackOnly = `table inet tracked {
chain forward {
type filter hook forward priority -5; policy accept;
ct state established,related accept
}
}
`;

/** @param ms of CPU time, of each turn */
export async function measureConnections(stage: Stage, turns: number, ms: number): Promise<ConnectionResults> {
  const { cluster } = stage;
  const names = Array.from({ length: 2 * pairs }, (_, i) => `pod-${firstPod + i}`);
  const selector = { matchExpressions: [{ key: "app", operator: "In", values: names }] } as const;
  const [peers, ports] = [
    [{ podSelector: selector }],
    [
      { protocol: "TCP", port },
      { protocol: "UDP", port },
    ] as const,
  ];
  await cluster.api.create(
    stage.policy("traffic", {
      podSelector: selector,
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: peers, ports }],
      egress: [{ to: peers, ports }],
    }),
  );
  const others = await cluster.createPods(names.map((name) => ({ namespace, name: `${name}-free`, node: 1 })));
  await stage.quiet();
  const runner = await openRunner({ netns: cluster.node(1).fd });
  await runner.run(conntrackOnly);
  for (const node of [0, 1]) forgetConnectionsSoon(cluster.node(node));
  const traffic = (seats: readonly Seat[]): Traffic =>
    new Traffic(
      Array.from({ length: pairs }, (_, i) => ({ client: seats[2 * i]!, server: seats[2 * i + 1]! })),
      port,
    );
  const own = traffic(names.map((_, i) => seatOf(stage, firstPod + i)));
  const base = traffic(others.map((pod) => cluster.seat(pod)));
  const results = { rate: [] as number[], baseRate: [] as number[], ratio: [] as number[], latency: [] as number[] };
  try {
    for (let i = 0; i < turns; i++) {
      const [first, second] = (i % 2 === 0 ? [own, base] : [base, own]).map((one) => one.connections(ms));
      const [mine, its] = i % 2 === 0 ? [first!, second!] : [second!, first!];
      results.rate.push(mine.rate);
      results.baseRate.push(its.rate);
      results.ratio.push(mine.rate / its.rate);
      results.latency.push(quantile(mine.latencies, 0.99));
    }
  } finally {
    own.close();
    base.close();
    await runner.close();
  }
  return results;
}
