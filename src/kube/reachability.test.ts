import { beforeEach, describe, expect, test } from "vitest";
import type { Timing } from "./backoff.ts";
import { type Patience, Reachability } from "./reachability.ts";

/** Time that passes when it is told to. */
class Clock implements Timing {
  now = 0;
  readonly random = (): number => 0.5;
  readonly #alarms = new Set<{ readonly at: number; readonly ring: () => void }>();

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const alarm = { at: this.now + milliseconds, ring: resolve };
      this.#alarms.add(alarm);
      const aborted = (): void => {
        this.#alarms.delete(alarm);
        resolve();
      };
      signal.addEventListener("abort", aborted, { once: true });
      if (signal.aborted) aborted();
    });
  }

  async pass(milliseconds: number): Promise<void> {
    const until = this.now + milliseconds;
    for (;;) {
      await settled();
      const [next] = [...this.#alarms].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) break;
      this.now = next.at;
      this.#alarms.delete(next);
      next.ring();
    }
    this.now = until;
  }
}

/** Everything has happened that needs no time. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let clock: Clock;
let stop: AbortController;
let reachability: Reachability;
/** `a 1200`: who tried again, and when. */
let tries: string[];

beforeEach(() => {
  clock = new Clock();
  stop = new AbortController();
  reachability = new Reachability(clock, stop.signal);
  tries = [];
});

/** Tries again and again, in vain. */
async function fail(name: string, patience: Patience, count = Number.POSITIVE_INFINITY): Promise<void> {
  for (let i = 0; i < count; i++) {
    await patience.wait();
    if (stop.signal.aborted) return;
    tries.push(`${name} ${clock.now}`);
  }
}

describe("while nothing reaches the server", () => {
  test("one stream waits ever longer, but looks for the server every few seconds", async () => {
    void fail("a", reachability.join());
    await clock.pass(20_000);
    expect(tries).toEqual(["a 1200", "a 3000", "a 6000", "a 9000", "a 12000", "a 15000", "a 18000"]);
    stop.abort();
  });

  test("of many streams one at a time does, each in its turn", async () => {
    for (const name of ["a", "b", "c", "d"]) void fail(name, reachability.join());
    await clock.pass(600_000);
    tries.length = 0;
    await clock.pass(60_000);
    const count = (name: string): number => tries.filter((one) => one.startsWith(name)).length;
    expect(tries).toHaveLength(20); // every 3 s
    for (const name of ["a", "b", "c", "d"]) expect(count(name)).toBe(5);
    stop.abort();
  });
});

describe("good news", () => {
  const waiting = async (): Promise<Patience> => {
    const closed = reachability.opened();
    const other = reachability.join();
    void fail("a", other);
    await clock.pass(100_000);
    closed(false);
    tries.length = 0;
    return other;
  };

  test("a stream that the server takes ends the waits of the others, within a moment", async () => {
    await waiting();
    reachability.opened();
    await clock.pass(300);
    expect(tries).toEqual(["a 100125"]);
    // and who fails again, begins with short waits
    await clock.pass(6000);
    expect(tries.slice(1)).toEqual(["a 101325", "a 103725"]);
    stop.abort();
  });

  test("an answer does as well, but no more than one in 10 s", async () => {
    await waiting();
    for (let i = 0; i < 95; i++) {
      reachability.answered();
      await clock.pass(100);
    }
    expect(tries).toEqual(["a 100125", "a 101325", "a 103000", "a 106000", "a 109000"]);
    await clock.pass(1000);
    const before = tries.length;
    reachability.answered();
    await clock.pass(300);
    expect(tries.length).toBe(before + 1);
    stop.abort();
  });

  test("streams that the server takes and drops do not drive each other on", async () => {
    const drop = async (patience: Patience): Promise<void> => {
      while (!stop.signal.aborted) {
        reachability.opened()(false);
        tries.push("");
        await patience.wait();
      }
    };
    for (let i = 0; i < 7; i++) void drop(reachability.join());
    await clock.pass(600_000);
    expect(tries.length).toBeLessThan(7 * 600);
    stop.abort();
  });
});

test("while another stream is open, a stream that fails waits on its own, up to 30 s", async () => {
  reachability.opened();
  void fail("a", reachability.join());
  await clock.pass(100_000);
  expect(tries).toEqual(["a 1200", "a 3600", "a 8400", "a 18000", "a 37200", "a 59700", "a 82200"]);
  stop.abort();
});

test.each([
  ["that was good", true, "a 40375"],
  ["that the server only took", false, "a 43000"],
])("the last open stream that ends, one %s, makes the others look for the server", async (_, wasGood, first) => {
  const closed = reachability.opened();
  void fail("a", reachability.join());
  await clock.pass(40_000); // it waits until 59.7 s
  tries.length = 0;
  closed(wasGood);
  await clock.pass(3000);
  expect(tries[0]).toBe(first);
  stop.abort();
});

test("the end of all ends the waits", async () => {
  const waits = [reachability.join(), reachability.join()].map((patience) => patience.wait());
  stop.abort();
  await Promise.all(waits);
});
