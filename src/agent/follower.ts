/** Keeps the kernel after the cluster: the feed's changes and this node's own go into the plan, and its deltas into the kernel. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterFeed, PolicyProblem } from "../kube/feed.ts";
import type { TransactionStats } from "../nftables/enforcer.ts";
import { NftablesError } from "../nftables/runner.ts";
import { compile } from "../policy/compile/live-plan.ts";
import { type Change, type LivePlan, type PlanDelta, policyKey } from "../policy/compile/plan.ts";
import { formatPolicyRef, policyRef } from "../policy/model/policy.ts";
import { aborted } from "./aborted.ts";
import type { Condition } from "./condition.ts";
import type { EarlyAddresses } from "./early-addresses.ts";
import { type Log, messageOf } from "./log.ts";
import { type LocalWork, Mailbox, type Work } from "./mailbox.ts";
import { Quarantine } from "./quarantine.ts";

/** This node's kernel, as far as following needs it; `Enforcer` is one. */
export interface Kernel {
  apply(plan: LivePlan, delta: PlanDelta): Promise<readonly TransactionStats[]>;
  hold(cidrs: readonly string[]): Promise<readonly TransactionStats[]>;
  repair(): Promise<readonly TransactionStats[]>;
}

/** When the parts of a change's way into the kernel were reached, in ms of `performance.now()`. */
export interface Passage {
  /** The bytes of the oldest change had been read; null for changes of this node's own. */
  readonly received: number | null;
  readonly begun: number;
  readonly planned: number;
  readonly inForce: number;
}

/** Told what happened; for logs, events and metrics. */
export interface Witness {
  applied(passage: Passage, transactions: readonly TransactionStats[]): void;
  failed(error: unknown): void;
  problem(problem: PolicyProblem): void;
  /** The plan has taken in changes of the cluster. */
  saw(changes: readonly Change[]): void;
}

export interface FollowerOptions {
  /** Name of the node whose pods are judged. */
  readonly node: string;
  readonly feed: ClusterFeed;
  readonly early: EarlyAddresses;
  /** Puts the plan in force for the first time. May fail, and is then called again. */
  readonly start: (plan: LivePlan) => Promise<Kernel>;
  readonly witness: Witness;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Milliseconds until the kernel is tried again after a refusal, doubled with each further one; default 100. */
  readonly firstPause?: number;
  /** Milliseconds for which refusals that may pass by themselves (`NftablesError.isPassing`) are no policy's fault; default 60 s. */
  readonly patience?: number;
  /** Milliseconds until policies that the kernel refused are tried again; default 60 s. */
  readonly secondChance?: number;
}

const longestPause = 30_000; // ms
/** Milliseconds between two tries, however fast changes come. */
const leastPause = 250;
/** As many refusals in a row are no accident. */
const persistent = 3;

const nothing: PlanDelta = {
  pods: new Set(),
  freed: new Set(),
  nodes: false,
  nets: { egress: false, ingress: false },
};

/** What several deltas in a row may have altered. */
function merged(deltas: readonly PlanDelta[]): PlanDelta {
  const [first = nothing, ...more] = deltas;
  return more.reduce<PlanDelta>(
    (all, one) => ({
      pods: all.pods.union(one.pods),
      freed: all.freed.union(one.freed),
      nodes: all.nodes || one.nodes,
      nets: { egress: all.nets.egress || one.nets.egress, ingress: all.nets.ingress || one.nets.ingress },
    }),
    first,
  );
}

export class Follower {
  readonly mailbox: Mailbox;
  readonly #options: FollowerOptions;
  readonly #quarantine = new Quarantine();
  readonly #problems = new Map<string, PolicyProblem>();
  #plan: LivePlan | null = null;
  #kernel: Kernel | null = null;
  /** Refusals since the kernel was last equal to the plan. */
  #failures = 0;
  #refusal: unknown = null;
  /** When the first of these failures was, and when policies in quarantine are tried again, in ms of `performance.now()`. */
  #failingSince = 0;
  #nextChance = 0;
  #since: Date | null = null;
  /** Those whose work is in the plan, and not yet known to be in force. */
  #waiting: (() => void)[] = [];
  #acts: NonNullable<LocalWork["act"]>[] = [];
  /** A call of the kernel is on its way since then, in ms of `performance.now()`. */
  #busySince: number | null = null;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.mailbox = new Mailbox(options.feed, options.signal);
  }

  /** null until the cluster has been read. */
  get plan(): LivePlan | null {
    return this.#plan;
  }

  /** How long the kernel has been at work on one call, in ms. */
  get busyFor(): number {
    return this.#busySince === null ? 0 : performance.now() - this.#busySince;
  }

  /** Runs until the signal aborts, and finishes the transaction that is on its way. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    try {
      await this.#begin();
      while (!signal.aborted) {
        if (this.#failures > 0) await this.#recover();
        else if (this.#untilChance() === 0) await this.#giveChance();
        const work = await this.mailbox.take(this.#failures > 0 ? this.#pause() : this.#untilChance());
        if (work !== null || this.#failures > 0) await this.#work(work);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  conditions(): Condition[] {
    return [this.#rules(), ...this.#policies()];
  }

  #rules(): Condition {
    const name = "rules";
    if (this.#plan === null) return { name, state: "failed", text: "waiting for the API server" };
    if (this.#failures > 0) {
      const state = this.#since === null ? "none of this process yet" : `those of ${this.#since.toISOString()}`;
      const text = `the kernel refused ${this.#failures} times; in force: ${state}; ${messageOf(this.#refusal)}`;
      return { name, state: "failed", text };
    }
    if (this.#since === null) return { name, state: "failed", text: "the first transaction is on its way" };
    return { name, state: "ok", text: `in force since ${this.#since.toISOString()}` };
  }

  #policies(): Condition[] {
    const name = "policies";
    const bad = [
      ...Array.from(this.#problems.values(), ({ policy, message }) => `${formatPolicyRef(policy)}: ${message}`),
      ...Array.from(
        this.#quarantine.quarantined.values(),
        ({ policy, why }) =>
          `${formatPolicyRef(policyRef(policy))}: its pods are isolated, the kernel refused it: ${why}`,
      ),
    ];
    if (bad.length === 0) return [{ name, state: "ok", text: `${this.#plan?.policies.size ?? 0} understood` }];
    return bad.map((text) => ({ name, state: "warning", text }));
  }

  async #begin(): Promise<void> {
    const asked = performance.now();
    const { plan, begun } = await this.#firstPlan();
    const { log, witness } = this.#options;
    const { size: pods } = plan.pods;
    const { size: policies } = plan.policies;
    log.info({ milliseconds: Math.round(begun - asked), pods, policies }, "the cluster has been read");
    this.#plan = plan;
    this.#quarantine.suspectAll(plan);
    witness.saw([]);
    await this.#bring(nothing, null, begun);
  }

  /** A method of its own: nothing keeps the first world once it is compiled. */
  async #firstPlan(): Promise<{ readonly plan: LivePlan; readonly begun: number }> {
    const { feed, early, node, signal } = this.#options;
    const first = await Promise.race([feed.first, aborted(signal)]);
    if (first === undefined) throw signal.reason;
    const begun = performance.now();
    for (const problem of first.problems) this.#note(problem);
    return { plan: compile(early.world(first.world), { node }), begun };
  }

  async #work(work: Work | null): Promise<void> {
    const begun = performance.now();
    const plan = this.#plan!;
    const { early, witness } = this.#options;
    const batch = work?.batch ?? null;
    const deltas: PlanDelta[] = [];
    const take = (changes: readonly Change[]): void => {
      if (changes.length > 0) deltas.push(plan.apply(changes));
    };
    if (batch !== null) {
      const changes = early.changes(batch.changes);
      this.#quarantine.saw(changes);
      this.#forget(changes);
      for (const problem of batch.problems) this.#note(problem);
      take(changes);
      witness.saw(changes);
    }
    // One by one: each is asked what it changes in a plan that has everything before it. What is said of a pod as it was
    // would undo its new labels, or bring it back.
    for (const { changes, act, done } of work?.local ?? []) {
      if (changes !== undefined) take(changes());
      if (act !== undefined) this.#acts.push(act);
      if (done !== undefined) this.#waiting.push(done);
    }
    await this.#bring(merged(deltas), batch?.receivedAt ?? null, begun);
  }

  /** Brings the kernel after the plan. */
  async #bring(delta: PlanDelta, received: number | null, begun: number): Promise<boolean> {
    const planned = performance.now();
    const { witness, start } = this.#options;
    this.#busySince = planned;
    try {
      const transactions: TransactionStats[] = [];
      if (this.#kernel === null) this.#kernel = await start(this.#plan!);
      else if (delta !== nothing || this.#failures > 0)
        transactions.push(...(await this.#kernel.apply(this.#plan!, delta)));
      for (const act of this.#acts) transactions.push(...(await act(this.#kernel)));
      this.#acts = [];
      if (this.#failures > 0) this.#options.log.info({ tries: this.#failures }, "the rules are in force again");
      this.#failures = 0;
      this.#since ??= new Date();
      if (transactions.length > 0) this.#since = new Date();
      witness.applied({ received, begun, planned, inForce: performance.now() }, transactions);
    } catch (error) {
      if (this.#failures++ === 0) this.#failingSince = performance.now();
      this.#refusal = error;
      witness.failed(error);
      return false;
    } finally {
      this.#busySince = null;
    }
    this.#quarantine.cleared();
    for (const done of this.#waiting.splice(0)) done();
    return true;
  }

  #pause(): number {
    return Math.min((this.#options.firstPause ?? 100) * 2 ** (this.#failures - 1), longestPause);
  }

  /** After a refusal: a pause, so that a storm of changes is no storm of tries, and the search for who is to blame. */
  async #recover(): Promise<void> {
    const { signal, witness } = this.#options;
    await sleep(Math.min(this.#pause(), leastPause), undefined, { signal });
    if (this.#failures < persistent || !(this.#refusal instanceof NftablesError)) return;
    if (this.#isShort() && performance.now() - this.#failingSince < (this.#options.patience ?? 60_000)) return;
    const before = this.#quarantine.quarantined.size;
    await this.#quarantine.search(this.#plan!, () => messageOf(this.#refusal), this.#change);
    if (this.#quarantine.quarantined.size === before) return;
    this.#nextChance = performance.now() + this.#secondChance;
    for (const { policy, why } of this.#quarantine.quarantined.values()) {
      witness.problem({
        policy: policyRef(policy),
        uid: policy.metadata.uid ?? "",
        message: `the kernel refuses its rules, its pods are isolated: ${why}`,
      });
    }
  }

  /** Was the kernel, or the machine, short of something that says nothing of what it was told? */
  #isShort(): boolean {
    return this.#refusal instanceof NftablesError && this.#refusal.isPassing;
  }

  /** Changes the plan, and brings the kernel after it, with a few tries where it is short of something. @returns false: it refuses */
  readonly #change = async (changes: readonly Change[]): Promise<boolean> => {
    const { signal } = this.#options;
    signal.throwIfAborted();
    let isReached = await this.#bring(this.#plan!.apply(changes), null, performance.now());
    for (let tries = 1; !isReached && this.#isShort() && tries < persistent; tries++) {
      await sleep(Math.min(this.#pause(), leastPause), undefined, { signal });
      isReached = await this.#bring(nothing, null, performance.now());
    }
    return isReached;
  };

  get #secondChance(): number {
    return this.#options.secondChance ?? 60_000;
  }

  /** ms until policies in quarantine are tried again; null: there are none. */
  #untilChance(): number | null {
    if (this.#quarantine.quarantined.size === 0) return null;
    return Math.max(0, this.#nextChance - performance.now());
  }

  /** What the kernel refused once it may take now; meanwhile nothing opens that it refuses. */
  async #giveChance(): Promise<void> {
    await this.#quarantine.retry(this.#plan!, () => messageOf(this.#refusal), this.#change);
    this.#nextChance = performance.now() + this.#secondChance;
  }

  #note(problem: PolicyProblem): void {
    this.#problems.set(policyKey(problem.policy), problem);
    this.#options.witness.problem(problem);
  }

  #forget(changes: readonly Change[]): void {
    if (this.#problems.size === 0) return;
    for (const change of changes) {
      if (change.kind !== "policy") continue;
      this.#problems.delete(change.op === "put" ? policyKey(policyRef(change.object)) : change.key);
    }
  }
}
