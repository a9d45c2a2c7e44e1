/** What the agent and the CLI read a cluster through. */
import type { Change } from "../policy/compile/plan.ts";
import type { PolicyRef } from "../policy/model/policy.ts";
import type { World } from "../policy/model/world.ts";

/**
 * A stored policy that could not be understood completely. The feed gives the plan a stand-in that fails closed: it
 * isolates (or denies for) the same subjects in the same directions, and what was not understood allows nothing.
 */
export interface PolicyProblem {
  readonly policy: PolicyRef;
  readonly uid: string;
  /** In the API server's words: `unknown field "spec.ingress[0].from[1].domain"`. */
  readonly message: string;
}

/** Changes in the order in which the API server told them, and what is wrong with policies now. */
export interface FeedBatch {
  /** For `LivePlan.apply`. */
  readonly changes: readonly Change[];
  /**
   * Of policies that `changes` names; one that it names without an entry here is understood completely, or gone. A policy that
   * is refused because another generation is in force (spec C18) has a `remove` in `changes`, and its entry here.
   */
  readonly problems: readonly PolicyProblem[];
  /** When the bytes of the oldest change had been read, in ms of `performance.now()`. */
  readonly receivedAt: number;
}

/** One kind that is watched. */
export interface SourceStatus {
  /** Plural and group: `pods`, `networkpolicies.networking.k8s.io`. */
  readonly resource: string;
  /** false: the kind's CRD is not installed. */
  readonly installed: boolean;
  /** A complete list has been seen. */
  readonly synced: boolean;
  /** A watch is open, and lived (events, bookmarks or pings) within its time limit. */
  readonly connected: boolean;
  /** Why it is not; null when all is well. */
  readonly error: string | null;
  /** Lists and watches begun again since the start. */
  readonly restarts: number;
}

/** A cluster's objects, followed until `close`. Failures of the API server end nothing: they are retried for ever. */
export interface ClusterFeed {
  /** The world when every kind had been listed once; later changes come through `next`. */
  readonly first: Promise<{ readonly world: World; readonly problems: readonly PolicyProblem[] }>;
  /** Waits for changes after `first`, and takes all that have come; never empty. Rejects only after `close`, or when `signal` aborts. */
  next(signal?: AbortSignal): Promise<FeedBatch>;
  status(): readonly SourceStatus[];
  close(): void;
}
