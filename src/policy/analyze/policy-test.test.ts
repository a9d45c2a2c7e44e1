import { describe, expect, test } from "vitest";
import { compile } from "../compile/live-plan.ts";
import { formatPath, type Source } from "../model/source.ts";
import { emptyWorld, type World } from "../model/world.ts";
import { shopNamespace, templateNamed } from "../objects.arbitrary.ts";
import { decodePolicyTest, isPolicyTest, type PolicyTest, runPolicyTest, testResults } from "./policy-test.ts";
import { apiVersion } from "./types.ts";

const world: World = {
  ...emptyWorld,
  namespaces: [shopNamespace],
  pods: [templateNamed("web"), templateNamed("api"), templateNamed("db")],
  policies: [
    {
      kind: "NetworkPolicy",
      metadata: { name: "db", namespace: "shop" },
      source: null,
      spec: {
        podSelector: { matchLabels: { app: "db" } },
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: 5432 }] }],
      },
    },
  ],
};

const source: Source = {
  file: "shop.test.yaml",
  position: (path) => ({ file: "shop.test.yaml", line: path.length + Number(path[2] ?? 0), column: 1 }),
};

const document = (cases: readonly object[]) => ({
  apiVersion,
  kind: "PolicyTest",
  metadata: { name: "shop", namespace: "shop" },
  spec: { resources: ["../k8s/"], cases },
});

function decoded(cases: readonly object[]): PolicyTest {
  const result = decodePolicyTest(document(cases));
  if (!("cases" in result)) throw new Error(JSON.stringify(result));
  return result;
}

const problemsOf = (input: unknown): readonly string[] => {
  const result = decodePolicyTest(input);
  return "cases" in result ? [] : result.map(({ path, message }) => `${formatPath(path)}: ${message}`);
};

describe("policy tests", () => {
  test("cases of the documentation", () => {
    const { results, problems } = runPolicyTest(
      compile(world),
      decoded([
        { name: "web reaches db", from: "deploy/web", to: "deploy/db", port: 5432, expect: "allow" },
        {
          name: "nobody else reaches db",
          from: "*/*",
          except: ["shop/deploy/web"],
          to: "db",
          port: "any",
          expect: "deny",
        },
        { name: "no internet from db", from: "db", to: "external", port: "any", expect: "deny" },
        { name: "only that port", from: "web", to: "db", expect: "deny" },
        { name: "api too", from: "api", to: "db", port: 5432, family: "IPv6", expect: "allow" },
      ]),
      source,
    );
    expect(problems).toEqual([]);
    expect(results.map(({ name, passed, actual, line }) => [name, passed, actual, line])).toEqual([
      ["web reaches db", true, "allow", 3],
      ["nobody else reaches db", true, "deny", 4],
      ["no internet from db", true, "deny", 5],
      ["only that port", false, "partly", 6],
      ["api too", false, "deny", 7],
    ]);
    expect(results[3]!.counterexample).toEqual({
      from: "shop/web",
      to: "shop/db",
      protocol: "TCP",
      port: 5432,
      family: "IPv4",
    });
    expect(results[3]!.reasons.map(({ rule }) => rule)).toEqual([0]);
    expect(results[4]!.counterexample?.family).toBe("IPv6");
    expect(results[4]!.reasons.map(({ rule }) => rule)).toEqual([null]);
    expect(testResults(results)).toMatchObject({ kind: "TestResults", passed: 3, failed: 2 });
  });

  test("names that are not there are problems at their case", () => {
    const { results, problems } = runPolicyTest(
      compile(world),
      decoded([{ from: "wbe", to: "db", expect: "allow" }]),
      source,
    );
    expect(results).toEqual([]);
    expect(problems).toEqual([
      {
        problem: "not-found",
        message: 'no pod "wbe" in namespace "shop"; did you mean "web"?',
        path: ["spec", "cases", 0],
      },
    ]);
  });

  test("every mistake is told with its path", () => {
    const cases = [
      { from: "web", to: "db", port: 0, expect: "yes", form: "x" },
      { to: 5, except: "x", family: "IPv5", expect: "deny" },
    ];
    expect(problemsOf({ ...document(cases), extra: 1 })).toEqual([
      "extra: unknown field",
      "spec.cases[0].form: unknown field",
      "spec.cases[0].port: port 0 is outside 1-65535",
      "spec.cases[0].expect: must be allow or deny",
      "spec.cases[1].from: required",
      "spec.cases[1].to: must be a string; quote it",
      "spec.cases[1].except: must be a list",
      "spec.cases[1].family: must be IPv4 or IPv6",
    ]);
    expect(problemsOf(null)).toContain(": required");
    expect(problemsOf(document([]))).toEqual(["spec.cases: at least one case is required"]);
  });

  test("other documents are no policy tests", () => {
    expect(isPolicyTest(document([]))).toBe(true);
    expect(isPolicyTest({ apiVersion: "v1", kind: "Pod" })).toBe(false);
    expect(isPolicyTest([])).toBe(false);
  });
});
