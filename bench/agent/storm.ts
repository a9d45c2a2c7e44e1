/** A thousand pods of a cluster change within a second. */
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../../test/fire/native.ts";
import { type CrowdSize, crowd } from "../../test/light/crowd.ts";
import { storeObjects } from "../../test/light/store.ts";
import type { Manifest } from "../worlds.ts";
import { seatOf } from "./seats.ts";
import { namespace, type Stage } from "./stage.ts";

export interface StormResults {
  /** ms in which the events were stored. */
  readonly stored: number;
  /** ms from the API server's answer to the last until that one is in force. */
  readonly done: number;
  readonly events: number;
  readonly transactions: number;
  readonly operations: number;
  /** ms of the agent's CPU time. */
  readonly cpu: number;
}

const portions = 10;

/**
 * Pods whose tier changes, and with it what policies of others say of them; the last event opens a stream. They are stored in
 * etcd: the API server would take longer than a second for them.
 * @param turn from 1: each storm gives the pods another tier than the one before
 */
export async function measureStorm(stage: Stage, size: CrowdSize, events: number, turn: number): Promise<StormResults> {
  const { api } = stage.cluster;
  const policy = stage.policy("storm", {
    podSelector: { matchLabels: { app: "pod-4" } },
    ingress: [{ from: [{ podSelector: { matchLabels: { storm: "over" } } }] }],
  });
  await api.create(policy);
  const stream = stage.probes.newFlows(seatOf(stage, 5), seatOf(stage, 4), 7200);
  const last = { kind: "Pod", namespace, name: "pod-5" };
  await stream.until(false);
  await stage.quiet();
  const before = { passages: stage.passages().length, cpu: stage.agent.usage().cpu };
  const pods = [...crowd(size).pods().take(events)];
  const begun = now();
  for (let i = 0; i < portions; i++) {
    const wait = begun + (i * 1000) / portions - now();
    if (wait > 0) await sleep(wait);
    const some = pods.slice((i * pods.length) / portions, ((i + 1) * pods.length) / portions);
    await storeObjects(
      stage.cluster.controlPlane.etcdUrl,
      some.map((pod) => retiered(pod, turn)),
    );
  }
  await api.patch(last, { metadata: { labels: { storm: "over" } } });
  const answered = now();
  const since = await stream.until(true);
  if (since === null) throw new Error(`the storm does not end: ${stage.agent.program.tail(5)}`);
  await stage.quiet();
  const passages = stage.passages().slice(before.passages);
  const sent = passages.flatMap(({ transactions }) => transactions);
  stream.stop();
  await api.patch(last, { metadata: { labels: { storm: null } } });
  await api.delete({ kind: "NetworkPolicy", namespace, name: "storm" });
  return {
    stored: answered - begun,
    done: since - answered,
    events: pods.length + 1,
    transactions: sent.length,
    operations: sent.reduce((sum, one) => sum + Number(one.split(" ")[1]), 0),
    cpu: stage.agent.usage().cpu - before.cpu,
  };
}

const tiers = ["web", "api", "worker", "cache", "db"];

/** Another tier each time. */
function retiered(pod: Manifest, turn: number): Manifest {
  const metadata = pod["metadata"] as { readonly labels: { readonly tier: string } };
  const tier = tiers[(tiers.indexOf(metadata.labels.tier) + turn) % tiers.length]!;
  return { ...pod, metadata: { ...metadata, labels: { ...metadata.labels, tier } } };
}
