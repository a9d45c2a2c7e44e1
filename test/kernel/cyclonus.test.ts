/**
 * Cyclonus's 230 cases in the real kernel. One sandbox follows all 256 steps by differences, so that every step also tests
 * how the nodes get from one set of policies, labels and pods to the next.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Family, families } from "../../src/net/address.ts";
import type { Node, World } from "../../src/policy/model/world.ts";
import type { Question } from "../../src/sandbox/questions.ts";
import { type CyclonusStep, cyclonusCases, cyclonusCells, cyclonusWorld } from "../spec/cases.ts";
import { Bench, describeKernel, expectAgreement, questionOf } from "./support.ts";

const nodes = ["n1", "n2", "n3"].map(
  (name, i): Node => ({
    name,
    labels: {},
    ips: [`172.18.0.${i + 1}`, `fd00:172:18::${i + 1}`],
    podCIDRs: [],
    source: null,
  }),
);

/** Pods of one name share a node, in every step the same. */
function placed(step: CyclonusStep, family: Family): World {
  const world = cyclonusWorld(step, family);
  const nodeOf = (name: string): string => nodes[name.charCodeAt(0) % nodes.length]!.name;
  return { ...world, nodes, pods: world.pods.map((pod) => ({ ...pod, node: nodeOf(pod.name) })) };
}

test("all of them are there", () => {
  expect([cyclonusCases.length, cyclonusCases.flatMap(({ steps }) => steps).length]).toEqual([230, 256]);
});

describeKernel.each(families)("cyclonus in the kernel, %s", (family) => {
  let bench: Bench;

  beforeAll(async () => {
    bench = await Bench.up({ ...placed(cyclonusCases[0]!.steps[0]!, family), policies: [] });
  });
  afterAll(() => bench?.down());

  test.each(cyclonusCases)("$id $description", async ({ steps }) => {
    for (const step of steps) {
      const world = placed(step, family);
      await bench.follow(world);
      // The cases deny a pod its own address, Kubernetes does not (spec A7.1).
      const cells = [...cyclonusCells(step, world, family)].filter(({ loopback }) => !loopback);
      const judgements = await bench.ask(cells.map(({ flow }): Question => questionOf(flow)!));
      const table = (outcome: (i: number) => unknown): string[] =>
        cells.map(
          ({ flow }, i) =>
            `${judgements[i]!.question.from.ref} ${judgements[i]!.question.to.ref} ${flow.port}/${flow.protocol} ${outcome(i)}`,
        );
      expect(table((i) => judgements[i]!.kernel)).toEqual(table((i) => cells[i]!.combined));
      expectAgreement(bench, judgements);
    }
  });
});
