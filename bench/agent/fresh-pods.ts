/** What new pods can do: before their policies are in force, and how soon after. */
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../../test/fire/native.ts";
import { seatOf } from "./seats.ts";
import { namespace, type Stage } from "./stage.ts";

export interface FreshResults {
  /** Connections of each pod that a policy denies and that got out. */
  readonly leaked: readonly number[];
  /** Connections of each pod that its policy allows and that were lost before the API server had its address. */
  readonly lostBefore: readonly number[];
  /** ms from the API server's answer, with the pod's address, until the first allowed connection that works was begun. */
  readonly works: readonly number[];
  /** ms from the network of the pod to that. */
  readonly fromStart: readonly number[];
}

/** What a kubelet takes at the least from a pod's network to the status that tells of it, in ms. */
const statusDelay = 50;
const settle = 30; // ms
const [allowedPort, deniedPort] = [7100, 7101];

/** Pods under default deny that may reach one port, and try that and another from their first moment on. */
export async function measureFreshPods(stage: Stage, count: number): Promise<FreshResults> {
  const { cluster, probes } = stage;
  const kubelet = cluster.kubelet(0);
  const policy = stage.policy("fresh", {
    podSelector: { matchLabels: { app: "fresh" } },
    policyTypes: ["Ingress", "Egress"],
    egress: [
      { to: [{ podSelector: { matchLabels: { app: "pod-3" } } }], ports: [{ protocol: "UDP", port: allowedPort }] },
    ],
  });
  await cluster.api.create(policy);
  await stage.quiet();
  const results = {
    leaked: [] as number[],
    lostBefore: [] as number[],
    works: [] as number[],
    fromStart: [] as number[],
  };
  const server = seatOf(stage, 3);
  for (let i = 0; i < count; i++) {
    const name = `fresh-${i}`;
    const [pod] = await cluster.createPods([{ namespace, name, node: 0, labels: { app: "fresh" } }]);
    const started = now();
    const seat = cluster.seat(pod!);
    const allowed = probes.newFlows(seat, server, allowedPort);
    const denied = probes.newFlows(seat, server, deniedPort);
    await sleep(statusDelay);
    await kubelet.report(`${namespace}/${name}`);
    const answered = now();
    const since = await allowed.until(true);
    if (since === null) throw new Error(`a new pod's allowed connections do not work: ${stage.agent.program.tail(5)}`);
    await sleep(settle);
    results.works.push(since - answered);
    results.fromStart.push(since - started);
    results.leaked.push(denied.packets(started).filter(({ arrived }) => arrived !== null).length);
    results.lostBefore.push(
      allowed.packets(started).filter(({ sent, arrived }) => sent < answered && arrived === null).length,
    );
    allowed.stop();
    denied.stop();
    await cluster.api.delete({ kind: "Pod", namespace, name });
  }
  await cluster.api.delete({ kind: "NetworkPolicy", namespace, name: "fresh" });
  return results;
}
