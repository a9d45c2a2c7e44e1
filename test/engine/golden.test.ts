/** Every case of `golden.yaml` that is about verdicts, through both evaluators. Validation cases: `src/policy/decode`. */
import { describe, expect, test } from "vitest";
import { defaultSpec } from "../../src/policy/decode/defaults.ts";
import { matchesDomainName } from "../../src/policy/decode/domain-name.ts";
import type { LabelSelector, Labels } from "../../src/policy/model/labels.ts";
import type { Flow } from "../../src/policy/model/verdict.ts";
import type { World } from "../../src/policy/model/world.ts";
import {
  assertedCases,
  goldenCases,
  type Query,
  queriesOfBothFamilies,
  sequenceWorlds,
  toFlow,
  worldOf,
} from "../spec/cases.ts";
import { type Evaluator, evaluators } from "./evaluators.ts";

test("no case is missing", () => {
  expect(goldenCases.length).toBe(89);
  expect(goldenCases.filter((one) => one.status === "ambiguous").length).toBe(3);
  expect(assertedCases("Reachability").length).toBe(63);
  expect(assertedCases("Reachability").flatMap((one) => one.queries).length).toBe(238);
});

describe.each(evaluators)("$name", (evaluator) => {
  test.each(assertedCases("Reachability"))("$id $title", (one) => {
    const world = worldOf(one.fixture, one.policies, one.extraPods);
    expectAnswers(evaluator, world, queriesOfBothFamilies(world, one));
  });

  test.each(assertedCases("Sequence"))("$id $title", (one) => {
    for (const { world, queries } of sequenceWorlds(one)) expectAnswers(evaluator, world, queries);
  });

  test.each(assertedCases("Selector"))("$id $title", ({ selector, cases }) => {
    for (const { labels, match } of cases)
      expect(selects(evaluator, selector, labels), JSON.stringify(labels)).toBe(match);
  });

  // Defaults change nothing: a spec and its defaulted form give the same verdicts everywhere (spec A2).
  test.each(assertedCases("Defaulting"))("$id $title", ({ input, expect: defaulted }) => {
    const world = (spec: object): World =>
      worldOf("base", [
        { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "p", namespace: "x" }, spec },
      ]);
    const plain = world(input);
    const [ask, askDefaulted] = [evaluator.open(plain), evaluator.open(world({ ...input, ...defaulted }))];
    const names = plain.pods.filter((pod) => !pod.hostNetwork).map((pod) => `${pod.namespace}/${pod.name}`);
    for (const from of names) {
      for (const to of names) {
        for (const proto of ["TCP", "UDP"] as const) {
          const flow = toFlow(plain, { from, to, proto, port: 80, expect: "allow" });
          expect(askDefaulted(flow)).toEqual(ask(flow));
        }
      }
    }
    const isolated = (flow: Flow) => {
      const { egress, ingress } = ask(flow);
      return [ingress, egress].map((decision) => decision.tier === "NetworkPolicy");
    };
    const types = defaulted.policyTypes ?? [];
    const between = toFlow(plain, { from: "x/a", to: "x/b", proto: "UDP", port: 9, expect: "deny" });
    expect(isolated(between)).toEqual([types.includes("Ingress"), types.includes("Egress")]);
  });
});

test.each(assertedCases("Defaulting"))("decode fills in: $id $title", ({ input, expect: defaulted }) => {
  expect(defaultSpec(input)).toMatchObject(defaulted);
});

test.each(assertedCases("DomainName"))("$id $title", ({ pattern, cases = [] }) => {
  for (const { name, match } of cases) expect(matchesDomainName(pattern, name), name).toBe(match);
});

function expectAnswers(evaluator: Evaluator, world: World, queries: readonly Query[]): void {
  const ask = evaluator.open(world);
  for (const query of queries) {
    const verdict = ask(toFlow(world, query));
    expect(verdict.allowed ? "allow" : "deny", `${JSON.stringify(query)}\n${JSON.stringify(verdict)}`).toBe(
      query.expect,
    );
  }
}

/** Does a default-deny policy with this subject selector isolate a pod with these labels? */
function selects(evaluator: Evaluator, podSelector: LabelSelector, labels: Labels): boolean {
  const spec = { podSelector, policyTypes: ["Ingress"] };
  const world = worldOf(
    "base",
    [{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "p", namespace: "x" }, spec }],
    [{ ns: "x", name: "asked", ips: ["10.244.1.99"], labels, ports: [] }],
  );
  const flow = toFlow(world, { from: "y/a", to: "x/asked", proto: "TCP", port: 80, expect: "deny" });
  return evaluator.open(world)(flow).ingress.tier === "NetworkPolicy";
}
