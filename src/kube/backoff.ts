/** Waiting longer after each failure, never giving up. */

/** Time and chance, so that tests have their own. */
export interface Timing {
  /** Resolves after so many ms, or at once when `signal` aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** From 0, below 1. */
  random(): number;
}

export const realTiming: Timing = {
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    }),
  random: Math.random,
};

const shortest = 800;
const longest = 30_000;

export class Backoff {
  readonly #timing: Timing;
  #next = shortest;

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** Things went well: the next wait is a short one. */
  reset(): void {
    this.#next = shortest;
  }

  /**
   * How long to wait now, ms: the current interval, plus up to as much again so that many clients spread. Doubles it.
   * @param atLeast what the server asks for, ms; no more than 30 s of it are believed
   */
  next(atLeast = 0): number {
    const interval = Math.max(this.#next, Math.min(atLeast, longest));
    this.#next = Math.min(this.#next * 2, longest / 2);
    return interval * (1 + this.#timing.random());
  }

  /** @param atLeast see `next` */
  async wait(signal: AbortSignal, atLeast = 0): Promise<void> {
    await this.#timing.sleep(this.next(atLeast), signal);
  }
}
