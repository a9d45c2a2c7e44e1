/**
 * Random verdicts, counted. `npm run test:long` asks a million of engine and reference and opens a hundred thousand
 * connections; here the first share of the same. `BULKHEAD_SEED` begins elsewhere. A failure names its seed, which repeats
 * it: keep the world in `test/engine/regressions`.
 */
import { expect, test } from "vitest";
import { describeKernel } from "../kernel/support.ts";
import { type Counted, compareEvaluators, compareKernel, kinds, Tally } from "./random.ts";

const long = process.env["BULKHEAD_LONG"] === "1";
const goal = long ? { verdicts: 1_000_000, connections: 100_000 } : { verdicts: 30_000, connections: 9_000 };
const timeout = long ? 3_600_000 : 300_000;
const givenSeed = process.env["BULKHEAD_SEED"];
const firstSeed = Number(givenSeed ?? 1);

test("engine and reference", { timeout }, ({ task }) => {
  const tally = new Tally();
  for (let seed = firstSeed; tally.of("verdicts") < goal.verdicts; seed++) compareEvaluators(seed, tally);
  report("engine = reference", tally, task);
  expectWorthIt(tally);
});

describeKernel("kernel", () => {
  test("connections", { timeout }, async ({ task }) => {
    const tally = new Tally();
    for (let seed = firstSeed; tally.of("verdicts") < goal.connections; seed++) await compareKernel(seed, tally);
    report("kernel = engine", tally, task);
    expectWorthIt(tally);
    expect(tally.of("kernel deny")).toBe(tally.of("denied"));
  });
});

function expectWorthIt(tally: Tally): void {
  if (givenSeed !== undefined && !long) return; // a few worlds of any seed need not have everything
  expect(tally.of("denied") / tally.of("verdicts")).toBeGreaterThanOrEqual(0.3);
  expect(kinds.filter((kind) => tally.of(kind) === 0)).toEqual([]);
}

function report(what: string, tally: Tally, { meta }: { readonly meta: { counted?: Counted } }): void {
  const counts = Object.fromEntries([...tally.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  meta.counted = { what, worlds: tally.worlds, deltas: tally.deltas, counts };
  if (long) console.log(`from seed ${firstSeed}: ${JSON.stringify(meta.counted, null, 1)}`);
}

declare module "vitest" {
  interface TaskMeta {
    /** Of random worlds: how often each kind of verdict occurred. */
    counted?: Counted;
  }
}
