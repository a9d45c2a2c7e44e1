/** A cluster that a test makes up: what it is told is what the agent sees. Tests against a real API server are in test/agent. */
import type { ClusterFeed, FeedBatch, PolicyProblem, SourceStatus } from "../kube/feed.ts";
import type { Change } from "../policy/compile/plan.ts";
import { emptyWorld, type World } from "../policy/model/world.ts";

export class FakeFeed implements ClusterFeed {
  readonly first: ClusterFeed["first"];
  sources: SourceStatus[] = [
    { resource: "pods", installed: true, synced: true, connected: true, error: null, restarts: 0 },
  ];
  #changes: Change[] = [];
  #problems: PolicyProblem[] = [];
  #receivedAt = 0;
  #waiting: (() => void) | null = null;
  #begin!: (first: Awaited<ClusterFeed["first"]>) => void;

  /** @param world null: nothing comes until `begin` */
  constructor(world: Partial<World> | null = {}) {
    this.first = new Promise((resolve) => {
      this.#begin = resolve;
    });
    if (world !== null) this.begin(world);
  }

  begin(world: Partial<World>, problems: readonly PolicyProblem[] = []): void {
    this.#begin({ world: { ...emptyWorld, ...world }, problems });
  }

  tell(changes: readonly Change[], problems: readonly PolicyProblem[] = []): void {
    if (this.#changes.length === 0) this.#receivedAt = performance.now();
    this.#changes.push(...changes);
    this.#problems.push(...problems);
    this.#waiting?.();
  }

  async next(signal?: AbortSignal): Promise<FeedBatch> {
    while (this.#changes.length === 0) {
      await new Promise<void>((resolve, reject) => {
        this.#waiting = resolve;
        signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
    }
    const batch = { changes: this.#changes, problems: this.#problems, receivedAt: this.#receivedAt };
    this.#changes = [];
    this.#problems = [];
    return batch;
  }

  status(): readonly SourceStatus[] {
    return this.sources;
  }

  close(): void {}
}
