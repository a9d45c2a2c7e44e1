/** A short share of `npm run test:faults`. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { underFire } from "../fire/fire.ts";
import { requireKernel } from "../kernel/support.ts";
import { missingPrograms } from "../light/control-plane.ts";
import { AgentDriver } from "./agent-driver.ts";
import { faults } from "./faults.ts";
import { formatTable } from "./page.ts";
import { run } from "./scenario.ts";
import { Stage } from "./stage.ts";

const patience = 600_000;
const isLeftOut =
  process.env["BULKHEAD_SKIP_KERNEL"] === "1" || (process.env["CI"] !== "true" && missingPrograms().length > 0);
if (isLeftOut)
  process.stderr.write("faults under traffic are left out: test/cluster/build makes etcd and kube-apiserver\n");

describe.skipIf(isLeftOut)("faults under traffic", () => {
  beforeAll(requireKernel);

  describe("on two nodes with agents", () => {
    let stage: Stage | undefined;
    beforeAll(async () => {
      stage = await Stage.build();
    }, patience);
    afterAll(async () => {
      await stage?.close();
    }, patience);

    const chosen = faults.filter(({ short }) => short > 0);
    test.for(chosen)("$name: nothing denied passes, nothing allowed is cut", { timeout: patience }, async (fault) => {
      const result = await run(stage!, fault, fault.short, () => undefined);
      console.log(formatTable([result]));
      const { denied, leaked, flows, cut, lost, wrong, examples } = result;
      const mayLeak = fault.unpreventable ?? false;
      const said = examples.filter((text) => !mayLeak || !text.includes("which policies deny"));
      expect({ leaked: mayLeak ? 0 : leaked, cut, lost, wrong, examples: said }).toEqual({
        leaked: 0,
        cut: 0,
        lost: 0,
        wrong: [],
        examples: [],
      });
      expect(denied).toBeGreaterThan(0);
      expect(flows).toBeGreaterThan(0);
    });
  });

  test(
    "an update storm through the API server and its agents: every packet gets a verdict in force",
    async () => {
      const seed = Math.floor(Math.random() * 1e6);
      const drive = (stage: Parameters<typeof AgentDriver.start>[0]) => AgentDriver.start(stage, { killEvery: 10 });
      const { wrong, lost, examples, changing } = await underFire({
        packets: 1e5,
        seed,
        rate: 10_000,
        held: true,
        drive,
      });
      expect({ seed, wrong, lost, examples }).toEqual({ seed, wrong: 0, lost: 0, examples: [] });
      expect(changing).toBeGreaterThan(0);
    },
    patience,
  );
});
