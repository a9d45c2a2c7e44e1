/** Every Reachability case of the law's `golden.yaml` that must hold, in the real kernel. */
import { expect, test } from "vitest";
import type { Outcome } from "../../src/policy/model/verdict.ts";
import { namespacedName, type Service, type World } from "../../src/policy/model/world.ts";
import { allot } from "../../src/sandbox/allot.ts";
import type { Judgement } from "../../src/sandbox/judge.ts";
import type { Question } from "../../src/sandbox/questions.ts";
import { frontends } from "../../src/sandbox/services.ts";
import { assertedCases, type Query, queriesOfBothFamilies, toFlow, worldOf } from "../spec/cases.ts";
import { Bench, describeKernel, expectAgreement, questionOf, throughService } from "./support.ts";

/** One Service for each destination that is asked through one: its only endpoint is that pod. */
function withServices(world: World, queries: readonly Query[]): World {
  const services = queries
    .filter(({ via }) => via === "service")
    .map(({ to, proto, port }, i): Service => {
      const pod = world.pods.find((one) => namespacedName(one) === to)!;
      return {
        namespace: pod.namespace,
        name: `service-${i}`,
        type: "ClusterIP",
        clusterIPs: [],
        headless: false,
        selector: null,
        ports: [{ name: "", protocol: proto, port, targetPort: port }],
        endpoints: pod.ips,
        source: null,
      };
    });
  return { ...world, services };
}

function toQuestion(world: World, query: Query): Question {
  const question = questionOf(toFlow(world, query));
  if (question === null) throw new Error(`cannot be asked: ${JSON.stringify(query)}`);
  return query.via === "service" ? throughService(question, frontends(world)) : question;
}

const outcomes = (judgements: readonly Judgement[]): unknown =>
  judgements.map(
    ({ question: { from, to, protocol, port }, kernel }) => `${from.ref} ${to.ref} ${port}/${protocol} ${kernel}`,
  );
const expected = (judgements: readonly Judgement[], queries: readonly { readonly expect: Outcome }[]): unknown =>
  judgements.map(
    ({ question: { from, to, protocol, port } }, i) =>
      `${from.ref} ${to.ref} ${port}/${protocol} ${queries[i]!.expect}`,
  );

const reachability = assertedCases("Reachability");

describeKernel("golden cases in the kernel", () => {
  test("all of them are there; there are no sequences yet, which would have to be run here", () => {
    expect([reachability.length, assertedCases("Sequence").length]).toEqual([63, 0]);
  });

  test.each(reachability)("$id $title", async (one) => {
    const plain = worldOf(one.fixture, one.policies, one.extraPods);
    const queries = queriesOfBothFamilies(plain, one);
    const { world } = allot(withServices(plain, queries));
    const bench = await Bench.up(world);
    try {
      const judgements = await bench.ask(queries.map((query) => toQuestion(world, query)));
      expect(outcomes(judgements)).toEqual(expected(judgements, queries));
      expectAgreement(bench, judgements);
    } finally {
      await bench.down();
    }
  });
});
