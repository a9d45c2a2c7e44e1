/** What the agent has to work on next: batches of the feed, and what was found out on this node itself. */
import type { ClusterFeed, FeedBatch } from "../kube/feed.ts";
import type { TransactionStats } from "../nftables/enforcer.ts";
import type { Change } from "../policy/compile/plan.ts";
import type { Kernel } from "./follower.ts";

/** Something of this node's own that must be in force, and who waits for it. */
export interface LocalWork {
  /** Asked when its turn has come: the world may have moved on since. */
  readonly changes?: () => readonly Change[];
  /** Done with the kernel after the changes, again and again until it succeeds. */
  readonly act?: (kernel: Kernel) => Promise<readonly TransactionStats[]>;
  /** Called when everything up to here is in force. */
  readonly done?: () => void;
}

export interface Work {
  readonly batch: FeedBatch | null;
  readonly local: readonly LocalWork[];
}

export class Mailbox {
  readonly #feed: ClusterFeed;
  readonly #signal: AbortSignal;
  #local: LocalWork[] = [];
  #batch: FeedBatch | null = null;
  /** A batch is being waited for, whoever waits for what it brings. */
  #asked = false;
  #failure: { readonly error: unknown } | null = null;
  #wake: () => void = () => undefined;

  constructor(feed: ClusterFeed, signal: AbortSignal) {
    this.#feed = feed;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  post(work: LocalWork): void {
    this.#local.push(work);
    this.#wake();
  }

  /**
   * Takes all that has come, or waits for something, at most `milliseconds`.
   * @returns null after that time
   * @throws the signal's reason, or the feed's error
   */
  async take(milliseconds: number | null): Promise<Work | null> {
    this.#ask();
    if (this.#batch === null && this.#local.length === 0 && this.#failure === null && !this.#signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timeout = milliseconds === null ? undefined : setTimeout(resolve, milliseconds);
      await promise;
      clearTimeout(timeout);
    }
    this.#signal.throwIfAborted();
    if (this.#failure !== null) throw this.#failure.error;
    const work = { batch: this.#batch, local: this.#local };
    this.#batch = null;
    this.#local = [];
    return work.batch === null && work.local.length === 0 ? null : work;
  }

  #ask(): void {
    if (this.#asked || this.#batch !== null) return;
    this.#asked = true;
    this.#feed.next(this.#signal).then(
      (batch) => {
        this.#asked = false;
        this.#batch = batch;
        this.#wake();
      },
      (error: unknown) => {
        this.#failure = { error };
        this.#wake();
      },
    );
  }
}
