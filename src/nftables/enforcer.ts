/** Keeps one node's table in the kernel equal to a plan. */
import { AddressSet, parseCidr } from "../net/address.ts";
import { type Plan, type PlanDelta, type PolicyClass, policyKey } from "../policy/compile/plan.ts";
import type { PolicyRef } from "../policy/model/policy.ts";
import { type Decision, type Direction, directions } from "../policy/model/verdict.ts";
import { namespacedName } from "../policy/model/world.ts";
import { adopt } from "./adopt.ts";
import { type Fitted, fitting, type Room } from "./closed.ts";
import { Collector } from "./collect.ts";
import { Desired } from "./desired.ts";
import { type DropExplanation, Drops } from "./drops.ts";
import { nextEpoch, untrusted } from "./epoch.ts";
import { denyChain } from "./names.ts";
import { fullRoom, type KernelNumbers, kernelNumbers } from "./numbers.ts";
import { hasNumbers, releaseNumbers, render } from "./render.ts";
import type { Runner } from "./runner.ts";
import { scriptOf } from "./script.ts";
import { type Purpose, sequence, type Transaction } from "./sequence.ts";
import { aboutPlace, defaultTableOptions, epochMark, markMask, skeleton, type TableOptions } from "./skeleton.ts";
import { emptyTable, isInForce, raiseStandIn, removeIfThere, standInOf, unlessMissing } from "./stand-in.ts";
import { applyOp, emptyState, type KernelState, type Op } from "./state.ts";
import { checkedInterfaces } from "./strangers.ts";
import { type Changed, mergeTouched, touchAll } from "./touched.ts";

export interface EnforcerOptions extends Partial<TableOptions> {
  /** Name of the node whose pods are enforced. */
  readonly node: string;
  readonly runner: Runner;
  /** Told of what does not stop enforcement: a clearing of marks that failed, a table of another version. */
  readonly warn?: (message: string) => void;
  /** Objects that nothing uses any more are removed after one to two times this long, in ms; default 1000. */
  readonly collectAfter?: number;
  /** CIDRs of this node's pods: an address in them that no known pod of this node has is dropped (spec A17.1). See `hold`. */
  readonly held?: readonly string[];
  /** At most so many subject classes in each direction; default 4091, what keys have room for. */
  readonly mostSubjects?: number;
  /** Watch for other programs that change or remove the table, and repair it at once. Not with the program `nft`. */
  readonly watch?: boolean;
  /**
   * Told when work that no caller waits for (a repair after such a change, collecting) failed: the kernel may differ from the
   * plan until a call of `apply` or `repair` succeeds.
   */
  readonly failed?: () => void;
}

/** Pods that there is no room for rules of: everything is dropped in that direction, except what the own node opens. */
export interface Refusal {
  readonly direction: Direction;
  /** `namespace/name` of this node's pods. */
  readonly pods: readonly string[];
  readonly policies: readonly PolicyRef[];
  readonly why: string;
}

export interface TransactionStats {
  readonly purpose: Purpose;
  /** Operations in the transaction. */
  readonly operations: number;
  readonly milliseconds: number;
}

export interface DropCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export class Enforcer {
  readonly #runner: Runner;
  readonly #options: TableOptions;
  readonly #drops: Drops;
  readonly #desired: Desired;
  readonly #warn: (message: string) => void;
  readonly #failed: () => void;
  readonly #collectAfter: number;
  readonly #room: Room;
  #state: KernelState;
  #numbers: KernelNumbers;
  /** What the kernel is to hold: of what is desired as much as there is room for. */
  #fitted: Fitted;
  /** The plan that was followed last. */
  #plan: Plan;
  /** The kernel may hold something else than `#state` says. */
  #uncertain = false;
  #sequences = 0;
  #stopped = false;
  /** A repair has been asked for and not begun. */
  #repairing = false;
  #queue: Promise<unknown> = Promise.resolve();
  /** Where the goal moved since it was last reached. */
  readonly #pending: Changed[] = [];
  #collection: NodeJS.Timeout | undefined;
  readonly #collector = new Collector();

  private constructor(plan: Plan, options: EnforcerOptions) {
    const { node, runner, warn = () => undefined, failed = () => undefined, collectAfter = 1000, ...more } = options;
    const { held = [], watch: _watch, mostSubjects = fullRoom.subjects, ...table } = more;
    this.#plan = plan;
    this.#room = { ...fullRoom, subjects: Math.min(mostSubjects, fullRoom.subjects) };
    this.#collectAfter = collectAfter;
    this.#runner = runner;
    this.#warn = warn;
    this.#failed = failed;
    this.#options = checked({ ...defaultTableOptions, ...table });
    this.#drops = new Drops();
    this.#desired = new Desired(node, this.#drops, this.#options.podInterfaces.length > 0);
    this.#desired.hold(podSpace(held));
    this.#state = emptyState();
    this.#numbers = kernelNumbers(this.#room);
    this.#fitted = fitting(this.#desired.goal, this.#room);
  }

  /**
   * Puts a plan in force. Rules that an earlier process left stay in force while the difference is sent.
   * @throws NftablesError
   */
  static async start(plan: Plan, options: EnforcerOptions): Promise<Enforcer> {
    const enforcer = new Enforcer(plan, options);
    enforcer.#desired.load(plan);
    await enforcer.#enqueue(() => enforcer.#repair());
    if (options.watch === true) await enforcer.#watch();
    return enforcer;
  }

  /**
   * Follows the plan. Calls are worked off in order; after an error the next call repairs what the failed one left.
   * @param delta what `plan.apply` returned
   */
  apply(plan: Plan, delta: PlanDelta): Promise<readonly TransactionStats[]> {
    this.#plan = plan;
    return this.#follow(this.#desired.update(plan, delta));
  }

  #follow(changed: Changed): Promise<readonly TransactionStats[]> {
    this.#pending.push(changed);
    return this.#enqueue(async () => {
      // The goal has what later calls brought as well: all of it is reached now, and they find nothing left to do.
      const touched = mergeTouched(this.#pending.splice(0));
      return this.#uncertain ? this.#repair() : this.#reach(touched);
    });
  }

  /** Holds other CIDRs than before, see `EnforcerOptions.held`. @throws Error for what is no CIDR; NftablesError */
  async hold(cidrs: readonly string[]): Promise<readonly TransactionStats[]> {
    return this.#follow(this.#desired.hold(podSpace(cidrs)));
  }

  /** Compares what the kernel holds with what it shall hold, and sends the difference; [] where there is none. @throws NftablesError */
  repair(): Promise<readonly TransactionStats[]> {
    return this.#enqueue(() => this.#repair());
  }

  /**
   * What there is no room for, and is closed instead, until there is. A transaction that nft refuses is another matter: it is
   * refused whole, the rules before stay in force, and the call that sent it throws `NftablesError`.
   */
  refused(): readonly Refusal[] {
    return directions.flatMap((direction) => this.#refusedIn(direction));
  }

  #refusedIn(direction: Direction): Refusal[] {
    const excess = this.#fitted.closed[direction];
    if (excess.size === 0) return [];
    const pods = new Set<string>();
    const policies = new Map<string, PolicyRef>();
    for (const [address, subject] of this.#desired.goal[direction].dispatch) {
      const end = excess.has(subject) ? this.#plan.endAt(address) : null;
      if (end?.kind !== "pod") continue;
      pods.add(namespacedName(end.pod));
      for (const { ref } of this.#plan.policyClass(end.pod, direction).policies) policies.set(policyKey(ref), ref);
    }
    const why = `the pods of one node can have ${this.#room.subjects} different sets of rules`;
    return [{ direction, pods: [...pods].sort(), policies: [...policies.values()], why }];
  }

  /** What a drop id stands for; null for ids that this process never knew. */
  explainDrop(id: string): DropExplanation | null {
    return this.#drops.explain(id);
  }

  /** The id that drops of a denied flow carry. */
  dropIdOf(subject: PolicyClass, decision: Decision): string {
    return this.#drops.idOf(subject, decision);
  }

  /** Packets dropped by drop id, exact. */
  async counters(): Promise<ReadonlyMap<string, DropCounter>> {
    const listing = await this.#enqueue(() =>
      this.#runner.run(`list counters table inet ${this.#options.table}`, "text"),
    );
    const counters = new Map<string, DropCounter>();
    const prefix = denyChain("");
    for (const [, name, packets, bytes] of listing.matchAll(/counter (\S+) \{\s*packets (\d+) bytes (\d+)/g)) {
      if (!name!.startsWith(prefix)) continue;
      counters.set(name!.slice(prefix.length), { packets: BigInt(packets!), bytes: BigInt(bytes!) });
    }
    return counters;
  }

  /** Ends this object; the rules stay in force. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#collection);
    await this.#queue;
  }

  /** Removes the rules: nothing is enforced afterwards. */
  async remove(): Promise<void> {
    await this.stop();
    for (const one of tablesOf(this.#options.table)) await removeIfThere(this.#runner, one);
  }

  async #watch(): Promise<void> {
    const { table } = this.#options;
    try {
      if (this.#runner.watch === null) throw new Error("it takes libnftables");
      await this.#runner.watch(table, () => this.#changedByOthers());
    } catch (error) {
      this.#warn(`table inet ${table} is not watched for changes by other programs: ${messageOf(error)}`);
    }
  }

  #changedByOthers(): void {
    if (this.#stopped || this.#repairing) return;
    this.#repairing = true;
    this.#warn(`another program changed table inet ${this.#options.table}: it is repaired`);
    void this.#enqueue(() => {
      this.#repairing = false; // what is changed from here on takes another repair
      return this.#stopped ? Promise.resolve([]) : this.#repair();
    }).catch((error: unknown) => this.#unattended(error));
  }

  #unattended(error: unknown): void {
    this.#warn(messageOf(error));
    if (!this.#stopped) this.#failed();
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Reads what the kernel holds and sends the difference. */
  async #repair(): Promise<TransactionStats[]> {
    this.#uncertain = true;
    const listing = await this.#list();
    const adopted = listing === null ? null : adopt(listing, this.#options, this.#room);
    this.#begin(adopted);
    if (listing !== null && adopted === null) {
      const { table } = this.#options;
      this.#warn(`table inet ${table} is of another version, has other options or was changed: it is replaced`);
      const stats = await this.#replace();
      this.#uncertain = false;
      return stats;
    }
    if (listing === null) await this.#build();
    else this.#collectLater(); // what an earlier process had no time to
    const stats = await this.#reach(null);
    await removeIfThere(this.#runner, standInOf(this.#options.table)); // of a process that ended while it replaced the table
    return [...stats, ...(await this.#trust())];
  }

  /** @param from what the kernel holds; null: nothing */
  #begin(from: { readonly state: KernelState; readonly numbers: KernelNumbers } | null): void {
    this.#state = from?.state ?? emptyState(this.#desired.goal.byInterface);
    this.#numbers = from?.numbers ?? kernelNumbers(this.#room);
  }

  async #list(): Promise<string | null> {
    return unlessMissing(() => this.#runner.run(`list table inet ${this.#options.table}`, "json"));
  }

  /** Puts a whole new table in place of the one that is there; see `stand-in.ts`. */
  async #replace(): Promise<TransactionStats[]> {
    const { table } = this.#options;
    this.#fitted = fitting(this.#desired.goal, this.#room);
    // If only the stand-in is in force, an earlier process ended while it built the table anew: it stays.
    if ((await isInForce(this.#runner, table)) || !(await isInForce(this.#runner, standInOf(table)))) {
      await removeIfThere(this.#runner, standInOf(table));
      await raiseStandIn(this.#runner, this.#fitted.goal, this.#options, kernelNumbers(this.#room));
    }
    await removeIfThere(this.#runner, table);
    this.#begin(null);
    await this.#build();
    const stats = await this.#approach(null);
    await removeIfThere(this.#runner, standInOf(table));
    return [...stats, ...(await this.#trust())];
  }

  async #build(): Promise<void> {
    await this.#runner.commit(emptyTable(this.#options, this.#state.epoch), this.#options.table);
  }

  /** Marks of an earlier table would pass for judged flows: until they are cleared no mark is trusted. */
  async #trust(): Promise<TransactionStats[]> {
    return this.#state.epoch === untrusted ? [await this.#commit(newEpoch)] : [];
  }

  /** Makes sure that no flow carries the epoch after `current`; `untrusted` where that fails. */
  async #enter(current: number): Promise<number> {
    const { epoch, clear } = nextEpoch(current, this.#options.epochBits);
    if (clear === null) return epoch;
    try {
      const place = (value: number): number => epochMark(this.#options, value);
      await this.#runner.clearMarks(markMask(this.#options), place(clear.first), place(clear.last));
      return epoch;
    } catch (error) {
      this.#warn(
        `conntrack marks could not be cleared (${messageOf(error)}): every packet is judged until that succeeds`,
      );
      return untrusted;
    }
  }

  #sequence(touched: Changed): Transaction[] {
    const nonce = `${process.pid}.${Date.now()}.${this.#sequences++}`;
    return sequence(this.#state, this.#fitted.goal, touched, nonce);
  }

  /** Brings the kernel to the goal. @param touched where it may differ; null: anywhere */
  async #reach(touched: Changed | null): Promise<TransactionStats[]> {
    this.#uncertain = true; // until the goal is reached, whatever is thrown
    const stats = await this.#approach(touched);
    this.#uncertain = false;
    return stats;
  }

  async #approach(touched: Changed | null): Promise<TransactionStats[]> {
    const wasWhole = this.#fitted.goal === this.#desired.goal;
    this.#fitted = fitting(this.#desired.goal, this.#room);
    const { goal } = this.#fitted;
    const isWhole = wasWhole && goal === this.#desired.goal;
    const transactions = this.#sequence(isWhole && touched !== null ? touched : touchAll(this.#state, goal));
    this.#collector.reached(goal);
    // Numbers of what is not collected yet are missing for a moment: a new table has all of them.
    if (!hasNumbers(transactions, this.#numbers)) return this.#replace();
    const stats: TransactionStats[] = [];
    for (const transaction of transactions.flatMap((one) => this.#apart(one))) {
      if (transaction.purpose === "forget" && !(await this.#forget(transaction))) continue;
      stats.push(await this.#commit(transaction));
    }
    if (transactions.length > 0) this.#collectLater();
    return stats;
  }

  /** What closes does not wait until marks are cleared for the epoch that begins with it. */
  #apart(transaction: Transaction): Transaction[] {
    const { purpose, ops } = transaction;
    const epochs = ops.filter(({ kind }) => kind === "epoch");
    const others = ops.filter(({ kind }) => kind !== "epoch");
    const { epoch, owesEpoch } = this.#state;
    if (epochs.length === 0 || others.length === 0 || nextEpoch(epoch, this.#options.epochBits).clear === null) {
      return [transaction];
    }
    const owes = owesEpoch || ops.some(({ kind }) => kind === "owe");
    return [
      { purpose, ops: owes ? others : [{ kind: "owe", epoch }, ...others] },
      { purpose: "epoch", ops: epochs },
    ];
  }

  /** Ends the flows of pods that gave up their addresses. @returns false where that failed: the next `repair` tries again */
  async #forget({ ops }: Transaction): Promise<boolean> {
    const addresses = ops.flatMap((op) => (op.kind === "owner" ? [op.address] : []));
    try {
      await this.#runner.forgetFlows(addresses);
      return true;
    } catch (error) {
      this.#warn(`connection tracking keeps flows of pods that are gone (${messageOf(error)})`);
      return false;
    }
  }

  async #commit(transaction: Transaction): Promise<TransactionStats> {
    const ops: Op[] = [];
    for (const op of transaction.ops) {
      ops.push(op.kind === "epoch" ? { kind: "epoch", to: await this.#enter(this.#state.epoch) } : op);
    }
    const commands = render(ops, this.#numbers, this.#options);
    const start = performance.now();
    try {
      await this.#runner.commit(commands, this.#options.table);
    } catch (error) {
      this.#uncertain = true;
      throw error;
    }
    const milliseconds = performance.now() - start;
    for (const op of ops) applyOp(this.#state, op);
    releaseNumbers(ops, this.#numbers);
    return { purpose: transaction.purpose, operations: ops.length, milliseconds };
  }

  /** Removes what has been unused since the last look: no packet that set out before is still on its way. */
  #collectLater(): void {
    if (this.#stopped) return; // another process may keep this table by now
    this.#collection ??= setTimeout(() => {
      this.#collection = undefined;
      void this.#enqueue(async () => {
        if (this.#pending.length > 0 || this.#uncertain) return this.#collectLater(); // the goal is ahead of the kernel
        const { ops, isMore } = this.#collector.look(this.#state, this.#fitted.goal);
        if (ops.length > 0) await this.#commit({ purpose: "collect", ops });
        if (isMore) this.#collectLater();
      }).catch((error: unknown) => this.#unattended(error));
    }, this.#collectAfter).unref();
  }
}

/** Which epoch that is, is found out when it is entered. */
const newEpoch: Transaction = { purpose: "epoch", ops: [{ kind: "epoch", to: untrusted }] };

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** @throws Error */
function podSpace(cidrs: readonly string[]): AddressSet {
  return AddressSet.ofCidrs(
    cidrs.map((text) => {
      const parsed = parseCidr(text);
      if (parsed === null) throw new Error(`pod space ${JSON.stringify(text)}: not a CIDR`);
      return parsed.cidr;
    }),
  );
}

function checked(options: TableOptions): TableOptions {
  const { epochBits, markShift } = options;
  checkedInterfaces(options.podInterfaces);
  if (epochBits < 2 || markShift < 0 || epochBits + markShift > 32) {
    throw new Error(`epoch bits ${epochBits} at ${markShift}: 2 or more bits of a 32-bit mark`);
  }
  return options;
}

/**
 * Removes a table that `Enforcer` made, of this or an earlier version, and then its bits of all conntrack marks: nothing
 * is enforced afterwards. Where there is no such table no mark is touched: the bits could be somebody else's.
 * @returns whether there was one
 * @throws NftablesError; Error when the table is gone and the marks could not be cleared
 */
export async function removeTable(runner: Runner, table: string = defaultTableOptions.table): Promise<boolean> {
  let isThere = false;
  let place: ReturnType<typeof aboutPlace> = null;
  for (const one of tablesOf(table)) {
    const content = await unlessMissing(() => runner.run(`list table inet ${one}`));
    if (content === null) continue;
    isThere = true;
    place ??= aboutPlace(content);
    await removeIfThere(runner, one);
  }
  if (place !== null) await runner.clearMarks(markMask(place), epochMark(place, 1), markMask(place));
  return isThere;
}

const tablesOf = (table: string): readonly string[] => [table, standInOf(table)];

/** The ruleset of a node as one script, for reading and for golden tests. */
export function fullScript(plan: Plan, node: string, options: Partial<TableOptions> = {}): string {
  const full = { ...defaultTableOptions, ...options };
  const desired = new Desired(node, new Drops());
  const touched = desired.load(plan);
  const before = emptyState();
  const numbers = kernelNumbers();
  const transactions = sequence(before, desired.goal, touched, "");
  const script = (ops: readonly Op[]): string => scriptOf(render(ops, numbers, full), full.table);
  return [...skeleton(full, before.epoch), ...transactions.map(({ ops }) => script(ops))].join("\n");
}

export type { DropExplanation } from "./drops.ts";
export type { Purpose } from "./sequence.ts";
