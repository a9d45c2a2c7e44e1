/** Random worlds in the real kernel: every question that `verify` would ask, before and after random changes. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Service, World } from "../../src/policy/model/world.ts";
import { applyToWorld, arbitraryChange, arbitraryWorld } from "../../src/policy/world.arbitrary.ts";
import { questions } from "../../src/sandbox/questions.ts";
import { complete, withNodes } from "./random-worlds.ts";
import { Bench, describeKernel, expectAgreement } from "./support.ts";

/** A Service in front of the pods that share a pod's labels, for every container port name. */
function withServices(world: World): World {
  const services = world.pods
    .filter(({ ports, labels }) => ports.length > 0 && Object.keys(labels).length > 0)
    .map(
      ({ namespace, name, labels, ports }): Service => ({
        namespace,
        name,
        type: "ClusterIP",
        clusterIPs: [],
        headless: false,
        selector: labels,
        ports: ports.map((port, i) => ({
          name: `p${i}`,
          protocol: port.protocol,
          port: 1000 + i,
          targetPort: port.name,
        })),
        endpoints: [],
        source: null,
      }),
    );
  return { ...world, services };
}

async function askAll(bench: Bench): Promise<number> {
  const asked = [...questions(bench.plan, bench.world)];
  const judgements = await bench.ask(asked);
  expectAgreement(bench, judgements);
  return judgements.filter(({ kernel }) => kernel === "deny").length;
}

describeKernel("random worlds in the kernel", () => {
  test("engine, reference and kernel agree, Services included", async () => {
    let dropped = 0;
    await fc.assert(
      fc.asyncProperty(arbitraryWorld(), async (given) => {
        const world = complete(withServices(given));
        fc.pre(world !== null);
        const bench = await Bench.up(world);
        try {
          dropped += await askAll(bench);
        } finally {
          await bench.down();
        }
      }),
      { numRuns: 25, interruptAfterTimeLimit: 240_000 },
    );
    expect(dropped).toBeGreaterThan(0);
  }, 300_000);

  test("they agree after every change as well", async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWorld({ maxPolicies: 4 }), fc.gen(), async (given, draw) => {
        let raw = withNodes(given);
        const first = complete(raw);
        fc.pre(first !== null);
        const bench = await Bench.up(first);
        try {
          for (let i = 0; i < 4; i++) {
            const change = draw(() => arbitraryChange(raw));
            const next = applyToWorld(raw, change);
            const world = change.kind === "node" ? null : complete(next);
            if (world === null) continue;
            raw = next;
            await bench.follow(world);
            await askAll(bench);
          }
        } finally {
          await bench.down();
        }
      }),
      { numRuns: 12, interruptAfterTimeLimit: 240_000 },
    );
  }, 300_000);
});
