/** Random worlds and their histories, by seed: engine against reference, and the kernel against both. Everything is counted. */
import fc from "fast-check";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import { evaluate } from "../../src/policy/evaluate/evaluate.ts";
import { referenceVerdict } from "../../src/policy/evaluate/reference.ts";
import { directions, type Flow, type Verdict } from "../../src/policy/model/verdict.ts";
import type { World } from "../../src/policy/model/world.ts";
import { kindsOf, withoutRules } from "../../src/policy/verdict-kinds.arbitrary.ts";
import { applyToWorld, arbitraryChanges, arbitraryFlow, arbitraryWorld } from "../../src/policy/world.arbitrary.ts";
import { type Question, questions } from "../../src/sandbox/questions.ts";
import { sameVerdict } from "../engine/compare.ts";
import { complete, withNodes } from "../kernel/random-worlds.ts";
import { Bench, expectAgreement } from "../kernel/support.ts";

/** How often each kind of verdict occurred; `verdicts` is their number. */
export class Tally {
  readonly counts = new Map<string, number>();
  worlds = 0;
  deltas = 0;

  count(key: string): void {
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  of(key: string): number {
    return this.counts.get(key) ?? 0;
  }

  verdict(world: World, flow: Flow, verdict: Verdict): void {
    for (const key of kindsOf(world, verdict)) this.count(key);
    this.count(`protocol ${flow.protocol}`);
    this.count(flow.family);
    // Passing leaves no reason behind: it shows where the verdict is another without.
    if (!world.policies.some((policy) => JSON.stringify(policy.spec ?? {}).includes('"Pass"'))) return;
    const without = referenceVerdict(withoutRules(world, "Pass"), flow);
    if (directions.some((direction) => without[direction].tier !== verdict[direction].tier)) this.count("Pass matters");
  }
}

/** A tally as plain data. */
export interface Counted {
  readonly what: string;
  readonly worlds: number;
  readonly deltas: number;
  /** By kind of verdict. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What must occur, whatever the seed. */
export const kinds: readonly string[] = [
  ...["allowed", "denied", "several reasons", "Pass matters", "nothing decided"],
  ...["self", "own-node", "no-pod"],
  ...["Admin", "Baseline"].flatMap((tier) => [`${tier} Accept`, `${tier} Deny`]),
  ...["NetworkPolicy Accept", "NetworkPolicy default deny"],
  ...["podSelector", "namespaceSelector", "both", "ipBlock", "everybody"].map((peer) => `NetworkPolicy rule ${peer}`),
  ...["namespaces", "pods", "networks", "nodes"].map((peer) => `cluster rule ${peer}`),
  ...["TCP", "UDP", "SCTP", "other"].map((protocol) => `protocol ${protocol}`),
  ...["IPv4", "IPv6"],
];

interface History {
  readonly world: World;
  readonly changes: readonly Change[];
}

const histories = (length: number): fc.Arbitrary<History> =>
  arbitraryWorld().chain((world) => arbitraryChanges(world, length).map((changes) => ({ world, changes })));

const changesPerHistory = 6;
const flowsPerState = 150;

/** One world and its history; throws with the smallest counterexample that is found, and its seed. */
export function compareEvaluators(seed: number, tally: Tally): void {
  const ask = (history: History, count: Tally | null): void => {
    let { world } = history;
    const plan = compile(world);
    for (const change of [null, ...history.changes]) {
      if (change !== null) {
        plan.apply([change]);
        world = applyToWorld(world, change);
        if (count !== null) count.deltas++;
      }
      for (const flow of fc.sample(arbitraryFlow(world), { seed, numRuns: flowsPerState })) {
        const [mine, law] = [evaluate(plan, flow), referenceVerdict(world, flow)];
        if (!sameVerdict(mine, law)) throw new Error(JSON.stringify({ flow, engine: mine, reference: law }));
        count?.verdict(world, flow, law);
      }
    }
    if (count !== null) count.worlds++;
  };
  let counted: Tally | null = tally;
  const property = fc.property(histories(changesPerHistory), (history) => {
    const count = counted;
    counted = null; // what shrinking asks is not counted
    ask(history, count);
  });
  fc.assert(property, { seed, numRuns: 1 });
}

const deltasPerSandbox = 5;
const connectionsPerState = 150;

/** One world in the kernel that goes through random changes, several at once; throws with its seed. */
export async function compareKernel(seed: number, tally: Tally): Promise<void> {
  const [first] = fc.sample(arbitraryWorld(), { seed, numRuns: 1 });
  let raw = withNodes(first!);
  const start = complete(raw);
  if (start === null) return;
  const bench = await Bench.up(start);
  try {
    tally.worlds++;
    for (let step = 0; step <= deltasPerSandbox; step++) {
      if (step > 0) {
        const [changes] = fc.sample(arbitraryChanges(raw, 4), { seed: seed + step, numRuns: 1 });
        const next = changes!.filter(({ kind }) => kind !== "node").reduce(applyToWorld, raw); // nodes are built once
        const world = complete(next);
        if (world === null) continue;
        raw = next;
        await bench.follow(world);
        tally.deltas++;
      }
      const asked = some([...questions(bench.plan, bench.world)], connectionsPerState, seed + step);
      const judgements = await bench.ask(asked);
      expectAgreement(bench, judgements);
      for (const { question, kernel, reference } of judgements) {
        tally.count(`kernel ${kernel}`);
        const { from, to, protocol, port } = question;
        tally.verdict(bench.world, { from: from.end, to: to.end, family: from.family, protocol, port }, reference);
      }
    }
  } catch (error) {
    throw new Error(`seed ${seed}: the kernel differs`, { cause: error });
  } finally {
    await bench.down();
  }
}

/** `count` of them, two thirds between pods as far as there are any: most worlds have more ends outside than pods. */
function some(all: readonly Question[], count: number, offset: number): readonly Question[] {
  const pods = all.filter(({ from, to }) => from.end.kind === "pod" && to.end.kind === "pod" && from !== to);
  const between = new Set(pods);
  const others = all.filter((question) => !between.has(question));
  const chosen = everyNth(pods, Math.ceil((2 * count) / 3), offset);
  return [...chosen, ...everyNth(others, count - chosen.length, offset)];
}

function everyNth<T>(all: readonly T[], count: number, offset: number): readonly T[] {
  const step = Math.max(1, Math.floor(all.length / count));
  return all.filter((_, i) => (i + offset) % step === 0).slice(0, count);
}
