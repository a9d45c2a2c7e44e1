/** One API server as the streams of a feed see it together: whoever reaches it again tells the others. */
import { Backoff, type Timing } from "./backoff.ts";

/** While nothing of a feed reaches the server, one stream tries at least every so many ms, and up to as many more. */
const probeInterval = 2000;
/** The first of these after the last stream was lost: most connections break on servers that are there. */
const firstProbe = 250;
/** After good news the others try again within so many ms. */
const spread = 250;
/** Between good news that are passed on, ms: streams that the server takes and drops must not drive each other on. */
const newsInterval = 10_000;

export class Reachability {
  readonly #timing: Timing;
  readonly #signal: AbortSignal;
  /** Those who wait, the longest first. */
  readonly #waiting = new Set<AbortController>();
  #open = 0;
  #isProbing = false;
  #nextProbe = probeInterval;
  #isResting = false;
  #news = 0;

  /** @param signal ends all waiting */
  constructor(timing: Timing, signal: AbortSignal) {
    this.#timing = timing;
    this.#signal = signal;
  }

  /** For one stream. */
  join(): Patience {
    return new Patience(this.#timing, this);
  }

  /** How often it was good news so far that the server can be reached. */
  get news(): number {
    return this.#news;
  }

  /** The server gave what it was asked for: those who wait need not. */
  answered(): void {
    if (this.#isResting || this.#waiting.size === 0) return;
    this.#isResting = true;
    void this.#timing.sleep(newsInterval, this.#signal).then(() => {
      this.#isResting = false;
    });
    this.#news++;
    for (const one of this.#waiting) one.abort();
  }

  /** The server has taken a stream. @returns to be called once, when it has ended, with whether it was any good */
  opened(): (wasGood: boolean) => void {
    this.#open++;
    this.answered();
    return (wasGood) => {
      this.#open--;
      if (this.#open === 0 && wasGood) this.#nextProbe = firstProbe;
      void this.#probe();
    };
  }

  /** Resolves after so many ms, or earlier: at good news, or when it is one's turn to look for the server. */
  async wait(milliseconds: number): Promise<void> {
    const before = this.#news;
    const cut = new AbortController();
    this.#waiting.add(cut);
    void this.#probe();
    await this.#timing.sleep(milliseconds, AbortSignal.any([this.#signal, cut.signal]));
    this.#waiting.delete(cut);
    cut.abort();
    if (this.#news > before) await this.#timing.sleep(spread * this.#timing.random(), this.#signal);
  }

  async #probe(): Promise<void> {
    if (this.#isProbing) return;
    this.#isProbing = true;
    while (this.#open === 0 && this.#waiting.size > 0 && !this.#signal.aborted) {
      const interval = this.#nextProbe;
      this.#nextProbe = probeInterval;
      await this.#timing.sleep(interval * (1 + this.#timing.random()), this.#signal);
      if (this.#open > 0) break;
      const [first] = this.#waiting;
      first?.abort();
    }
    this.#isProbing = false;
  }
}

/** How long one stream waits for a server that it can't reach: ever longer, until somebody reaches it. */
export class Patience {
  readonly #reachability: Reachability;
  readonly #backoff: Backoff;
  #newsHeard: number;

  constructor(timing: Timing, reachability: Reachability) {
    this.#reachability = reachability;
    this.#backoff = new Backoff(timing);
    this.#newsHeard = reachability.news;
  }

  reset(): void {
    this.#backoff.reset();
  }

  async wait(): Promise<void> {
    if (this.#newsHeard !== this.#reachability.news) this.#backoff.reset();
    this.#newsHeard = this.#reachability.news;
    await this.#reachability.wait(this.#backoff.next());
  }
}
