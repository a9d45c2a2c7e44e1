/** Changes of policies and pods, one after another, and when the first packet was judged by each. */
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../../test/fire/native.ts";
import type { Stream } from "./probes.ts";
import { seatOf } from "./seats.ts";
import { namespace, type Passage, type Stage } from "./stage.ts";

/** Latencies: ms from the API server's answer to the writer until the first packet with the new verdict was sent. */
export interface RoundResults {
  /** New connections: a policy comes, and goes. */
  readonly deny: readonly number[];
  readonly allow: readonly number[];
  /** Flows that were established before. */
  readonly udpCut: readonly number[];
  readonly tcpCut: readonly number[];
  /** A pod's label changes. */
  readonly relabelClose: readonly number[];
  readonly relabelOpen: readonly number[];
  /** What the agent said of these changes. */
  readonly passages: readonly Passage[];
  /** ms of CPU time of the agent for one change. */
  readonly cpu: number;
  /** Changes whose verdict came back before it stayed, in words: must be none. */
  readonly flaps: readonly string[];
  /** ms from sending the request to the API server's answer. */
  readonly answer: readonly number[];
}

const pauseBetween = 10; // ms

export async function measureRounds(stage: Stage, rounds: number): Promise<RoundResults> {
  const { api } = stage.cluster;
  const { probes, agent } = stage;
  const [client, server, other] = [0, 1, 2].map((i) => seatOf(stage, i));
  const results = {
    deny: [] as number[],
    allow: [] as number[],
    udpCut: [] as number[],
    tcpCut: [] as number[],
    relabelClose: [] as number[],
    relabelOpen: [] as number[],
    answer: [] as number[],
    flaps: [] as string[],
  };
  const fresh = probes.newFlows(client!, server!, 7000);
  const udp = probes.udpFlow(client!, server!, 7001, 7101);
  const policy = stage.policy("deny", { podSelector: { matchLabels: { app: "pod-1" } }, policyTypes: ["Ingress"] });
  const name = { kind: "NetworkPolicy", namespace, name: "deny" };

  /** Makes a change; when the server had answered. */
  const change = async (request: Promise<unknown>): Promise<number> => {
    const asked = now();
    await request;
    const answered = now();
    results.answer.push(answered - asked);
    return answered;
  };
  type Kind = Exclude<keyof typeof results, "answer" | "flaps">;
  /** ms from the answer until the change took hold. */
  const latency = async (kind: Kind, stream: Stream, passes: boolean, answered: number): Promise<number> => {
    const since = await stream.until(passes);
    if (since === null)
      throw new Error(`${passes ? "an allow" : "a deny"} does not take hold: ${agent.program.tail(5)}`);
    const flap = flapBefore(stream, passes, since);
    if (flap !== null) results.flaps.push(`${kind}, ${(since - answered).toFixed(1)} ms after the answer: ${flap}`);
    return since - answered;
  };
  const note = async (kind: Kind, ...about: readonly [Stream, boolean, number]): Promise<void> =>
    void results[kind].push(await latency(kind, ...about));

  await fresh.until(true);
  await udp.until(true);
  await stage.quiet();
  const before = { passages: stage.passages().length, cpu: agent.usage().cpu };
  let changes = 0;
  for (let i = 0; i < rounds; i++) {
    const tcp = await probes.tcpFlow(client!, server!, 7002);
    await tcp.until(true);
    const denied = await change(api.create(policy));
    await note("deny", fresh, false, denied);
    await note("udpCut", udp, false, denied);
    await note("tcpCut", tcp, false, denied);
    tcp.stop();
    await sleep(pauseBetween);
    const allowed = await change(api.delete(name));
    await note("allow", fresh, true, allowed);
    await udp.until(true);
    changes += 2;
    await sleep(pauseBetween);
  }
  fresh.stop();
  udp.stop();

  // Only pods with a label may: the client has it, and loses it.
  await api.create(
    stage.policy("labelled", {
      podSelector: { matchLabels: { app: "pod-2" } },
      ingress: [{ from: [{ podSelector: { matchLabels: { role: "client" } } }] }],
    }),
  );
  const labelled = probes.newFlows(client!, other!, 7003);
  const pod = { kind: "Pod", namespace, name: "pod-0" };
  const relabel = (role: string) => change(api.patch(pod, { metadata: { labels: { role } } }));
  await latency("relabelOpen", labelled, true, await relabel("client"));
  for (let i = 0; i < rounds; i++) {
    await note("relabelClose", labelled, false, await relabel("none"));
    await sleep(pauseBetween);
    await note("relabelOpen", labelled, true, await relabel("client"));
    await sleep(pauseBetween);
    changes += 2;
  }
  labelled.stop();
  await api.delete({ ...name, name: "labelled" });
  await stage.quiet();
  return {
    ...results,
    passages: stage.passages().slice(before.passages),
    cpu: (agent.usage().cpu - before.cpu) / (changes + 3),
  };
}

/** Had the verdict changed in the 5 ms before it changed for good? Those packets then: `+` arrived, `-` did not. */
function flapBefore(stream: Stream, passes: boolean, since: number): string | null {
  const packets = stream.packets(since - 5).filter(({ sent }) => sent < since);
  const isEarly = packets.some(({ sent, arrived }) => sent < since - 1 && (arrived !== null) === passes);
  return isEarly ? packets.map(({ arrived }) => (arrived === null ? "-" : "+")).join("") : null;
}
