/** Keeps one node's table in the kernel equal to a plan. */
import type { Plan, PlanDelta, PolicyClass } from "../policy/compile/plan.ts";
import type { Decision, Direction, Reason, Tier } from "../policy/model/verdict.ts";
import type { Runner } from "./runner.ts";

/** Clears conntrack marks; see `conntrack.ts`. */
export interface ConntrackWalker {
  /** Sets the bits of `mask` to 0 on every flow whose masked mark is in `first..last` (both shifted into place). */
  clearMarks(mask: number, first: number, last: number): Promise<number>;
}

export interface EnforcerOptions {
  /** Name of the node whose pods are enforced. */
  readonly node: string;
  readonly runner: Runner;
  /** Default `bulkhead`. */
  readonly table?: string;
  /** NFLOG group of dropped packets; default 4789. */
  readonly logGroup?: number;
  /** Bits of the conntrack mark that hold the epoch; default 16. */
  readonly epochBits?: number;
  /** Lowest bit of the epoch in the conntrack mark; default 16. */
  readonly markShift?: number;
  readonly conntrack?: ConntrackWalker;
}

/** Why a transaction was sent. */
export type Purpose = "prepare" | "close" | "epoch" | "open" | "collect";

export interface TransactionStats {
  readonly purpose: Purpose;
  /** Commands in the transaction. */
  readonly commands: number;
  readonly milliseconds: number;
}

/** What a drop id stands for, as of the generation that dropped. */
export interface DropExplanation {
  readonly direction: Direction;
  readonly tier: Tier;
  readonly reasons: readonly Reason[];
}

export interface DropCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export class Enforcer {
  static start(_plan: Plan, _options: EnforcerOptions): Promise<Enforcer> {
    return Promise.reject(new Error("not built yet"));
  }

  apply(_plan: Plan, _delta: PlanDelta): Promise<readonly TransactionStats[]> {
    return Promise.reject(new Error("not built yet"));
  }

  explainDrop(_id: string): DropExplanation | null {
    return null;
  }

  dropIdOf(_subject: PolicyClass, _decision: Decision): string {
    return "";
  }

  counters(): Promise<ReadonlyMap<string, DropCounter>> {
    return Promise.resolve(new Map());
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}

/** The whole ruleset of a node as one script, for reading and for golden tests. */
export function fullScript(_plan: Plan, _node: string, _options?: Partial<EnforcerOptions>): string {
  return "";
}
