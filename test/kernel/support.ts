/** What the kernel suites share: the right to run, a programmed sandbox, and the judgement of every answer. */
import { describe, expect } from "vitest";
import { SystemError } from "../../src/netns/libc.ts";
import { Namespace } from "../../src/netns/namespace.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import { type LivePlan, policyKey } from "../../src/policy/compile/plan.ts";
import { policyRef } from "../../src/policy/model/policy.ts";
import type { Flow } from "../../src/policy/model/verdict.ts";
import { namespacedName, type Pod, type World } from "../../src/policy/model/world.ts";
import { type Face, faceOf } from "../../src/sandbox/faces.ts";
import { Judge, type Judgement } from "../../src/sandbox/judge.ts";
import type { Drop } from "../../src/sandbox/prober.ts";
import type { Question } from "../../src/sandbox/questions.ts";
import { Sandbox } from "../../src/sandbox/sandbox.ts";
import type { Frontend } from "../../src/sandbox/services.ts";
import { cellEntry, strayEntry } from "../../src/sandbox/verification.ts";

/** `describe` for suites that need the kernel. They fail where it cannot be used: a suite that did not run proves nothing. */
export const describeKernel = process.env["BULKHEAD_SKIP_KERNEL"] === "1" ? describe.skip : describe;

/** @throws Error that says what to do */
export function requireKernel(): void {
  try {
    Namespace.create().close();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new Error(
      `this suite makes network namespaces and may not (${error.code}): run it as root or under 'unshare -Urn', or set BULKHEAD_SKIP_KERNEL=1 to leave it out`,
    );
  }
}

/** A sandbox under a plan that follows changes. */
export class Bench {
  world: World;
  readonly plan: LivePlan;
  readonly sandbox: Sandbox;

  /** `world` must be complete, see `allot`. `build`: another sandbox than ours, see the seeded faults. */
  static async up(world: World, build: (world: World) => Promise<Sandbox> = Sandbox.up): Promise<Bench> {
    requireKernel();
    const plan = compile(world);
    const sandbox = await build(world);
    const bench = new Bench(world, plan, sandbox);
    await sandbox.program(plan);
    return bench;
  }

  private constructor(world: World, plan: LivePlan, sandbox: Sandbox) {
    this.world = world;
    this.plan = plan;
    this.sandbox = sandbox;
  }

  /** Goes over to another complete world with equal nodes and Services, by the difference. */
  async follow(world: World): Promise<void> {
    const { changes, gone, come } = differenceOf(this.world, world);
    this.sandbox.removePods(gone); // first: an address may pass from one pod to another
    this.sandbox.addPods(come);
    await this.sandbox.apply(this.plan, this.plan.apply(changes));
    this.world = world;
  }

  async ask(questions: readonly Question[]): Promise<Judgement[]> {
    const observations = await this.sandbox.probe(questions);
    const judge = new Judge(this.plan, this.world, this.sandbox);
    return observations.map((observation, i) => judge.judge(questions[i]!, observation));
  }

  down(): Promise<void> {
    return this.sandbox.down();
  }
}

/** All agree, and nothing was dropped that neither a probe nor the caller had sent. */
export function expectAgreement(
  bench: Bench,
  judgements: readonly Judgement[],
  sentByCaller: (drop: Drop) => boolean = () => false,
): void {
  const wrong = judgements.filter(({ mismatches }) => mismatches.length > 0);
  expect(wrong.slice(0, 5).map((one) => ({ ...cellEntry(one), mismatches: one.mismatches }))).toEqual([]);
  const strays = bench.sandbox.takeStrays().filter((drop) => !sentByCaller(drop));
  expect(strays.map(strayEntry)).toEqual([]);
}

/** The question that a flow is; addresses are the ends' own of the flow's family. */
export function questionOf({ from, to, family, protocol, port }: Flow): Question | null {
  if (protocol === "other") return null;
  const face = (end: Flow["from"]): Face | undefined =>
    (end.kind === "address" ? [end.address] : end.kind === "pod" ? end.pod.ips : end.node.ips)
      .map((address) => faceOf(end, address))
      .find((one) => one.family === family);
  const [source, destination] = [face(from), face(to)];
  if (source === undefined || destination === undefined) return null;
  return { from: source, to: destination, protocol, port, via: null, first: true };
}

/** The same question, dialled through the Service on the same port whose only backend the destination is. */
export function throughService(question: Question, frontends: readonly Frontend[]): Question {
  const frontend = frontends.find(
    ({ family, protocol, port, backends }) =>
      family === question.from.family &&
      protocol === question.protocol &&
      port === question.port &&
      backends.length === 1 &&
      backends[0]!.address === question.to.address,
  );
  if (frontend === undefined) throw new Error(`no Service leads to ${question.to.ref} on ${question.port}`);
  return { ...question, via: { frontend, backend: 0 } };
}

export interface Difference {
  readonly changes: readonly Change[];
  readonly come: readonly Pod[];
  readonly gone: readonly Pod[];
}

/** What turns one world into the other. A pod that moved, or has other addresses, goes and comes. */
export function differenceOf(before: World, after: World): Difference {
  const place = (pod: Pod): string => `${pod.node} ${pod.hostNetwork} ${pod.phase} ${pod.ips.join(" ")}`;
  const pods = new Map(before.pods.map((pod) => [namespacedName(pod), pod]));
  const moved = after.pods.filter((pod) => {
    const old = pods.get(namespacedName(pod));
    return old === undefined || place(old) !== place(pod);
  });
  const stays = new Set(after.pods.filter((pod) => !moved.includes(pod)).map(namespacedName));
  return {
    changes: [
      ...changesOf("pod", before.pods, after.pods, namespacedName),
      ...changesOf("namespace", before.namespaces, after.namespaces, ({ name }) => name),
      ...changesOf("policy", before.policies, after.policies, (policy) => policyKey(policyRef(policy))),
    ],
    come: moved,
    gone: before.pods.filter((pod) => !stays.has(namespacedName(pod))),
  };
}

type Kind = Extract<Change, { op: "put" }>["kind"];

function changesOf<T extends object>(
  kind: Kind,
  before: readonly T[],
  after: readonly T[],
  keyOf: (object: T) => string,
): Change[] {
  const old = new Map(before.map((object) => [keyOf(object), JSON.stringify(object)]));
  const kept = new Set(after.map(keyOf));
  return [
    ...[...old.keys()].filter((key) => !kept.has(key)).map((key): Change => ({ op: "remove", kind, key })),
    ...after
      .filter((object) => old.get(keyOf(object)) !== JSON.stringify(object))
      .map((object) => ({ op: "put", kind, object }) as Change),
  ];
}
