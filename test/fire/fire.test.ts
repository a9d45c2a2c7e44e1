/** A small share of `npm run test:fire`. */
import { beforeAll, expect, test } from "vitest";
import { describeKernel, requireKernel } from "../kernel/support.ts";
import { type FireOptions, type FireReport, reportText, underFire, writing } from "./fire.ts";
import { bulkhead, setToSet } from "./writers.ts";

/** A run in which the machine itself lost nothing: where queues overflow, at half the rate. */
async function clean(options: FireOptions & { readonly rate: number }): Promise<FireReport> {
  const report = await underFire(options);
  if (report.lost === 0 || options.rate < 5_000) return report;
  return clean({ ...options, rate: options.rate / 2 });
}

/** ms, of a machine that has much else to do. */
const patience = 600_000;

describeKernel("transactions under fire", { timeout: patience }, () => {
  beforeAll(requireKernel);

  test("every packet gets what the plan before or the plan after says", async () => {
    const seed = Math.floor(Math.random() * 1e6);
    const report = await clean({ packets: 2e5, seed, drive: writing(bulkhead), rate: 50_000 });
    console.log(`seed ${seed}\n${reportText(report)}`);
    expect({ seed, wrong: report.wrong, lost: report.lost, examples: report.examples }).toEqual({
      seed,
      wrong: 0,
      lost: 0,
      examples: [],
    });
    // It was under fire, and both kinds of wrong could have been seen.
    for (const count of [report.nearCommits, report.constant.allow, report.constant.deny, report.changing]) {
      expect(count).toBeGreaterThan(0);
    }
  });

  test("a writer that moves an element from one set to another in one transaction is caught", async () => {
    let wrong = 0;
    for (let seed = 0; wrong === 0 && seed < 10; seed++) {
      const report = await clean({ packets: 1e5, seed, drive: writing(setToSet), rate: 50_000 });
      if (report.lost === 0) wrong += report.wrong;
    }
    expect(wrong).toBeGreaterThan(0);
  });
});
