import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatReference, parseReference, podReference, type Reference, takeReference } from "./reference.ts";
import { isProblem } from "./types.ts";

const context = { defaultNamespace: "shop" };
const parse = (text: string): Reference | string => {
  const result = parseReference(text, context);
  return isProblem(result) ? result.message : result;
};

describe("endpoint references", () => {
  test.each([
    ["web", { kind: "pod", namespace: "shop", name: "web" }],
    ["data/db-0", { kind: "pod", namespace: "data", name: "db-0" }],
    ["deploy/web", { kind: "workload", namespace: "shop", workload: "Deployment", name: "web" }],
    ["deploy web", { kind: "workload", namespace: "shop", workload: "Deployment", name: "web" }],
    ["Deployments/web", { kind: "workload", namespace: "shop", workload: "Deployment", name: "web" }],
    ["deployment.apps/web", { kind: "workload", namespace: "shop", workload: "Deployment", name: "web" }],
    ["data/cronjobs.v1.batch/db", { kind: "workload", namespace: "data", workload: "CronJob", name: "db" }],
    ["data/sts/db", { kind: "workload", namespace: "data", workload: "StatefulSet", name: "db" }],
    ["data/cj/backup", { kind: "workload", namespace: "data", workload: "CronJob", name: "backup" }],
    ["po/web", { kind: "pod", namespace: "shop", name: "web" }],
    ["data/svc/db", { kind: "service", namespace: "data", name: "db" }],
    ["{app=web}", { kind: "labels", namespace: "shop", labels: { app: "web" } }],
    ["data/{a.io/app=web, tier=}", { kind: "labels", namespace: "data", labels: { "a.io/app": "web", tier: "" } }],
    ["data/{}", { kind: "labels", namespace: "data", labels: {} }],
    ["data/*", { kind: "pods", namespace: "data" }],
    ["*/*", { kind: "pods", namespace: null }],
    ["203.0.113.9", { kind: "addresses", cidr: { family: "IPv4", value: 0xcb007109n, prefix: 32 } }],
    ["10.1.2.3/8", { kind: "addresses", cidr: { family: "IPv4", value: 0x0a000000n, prefix: 8 } }],
    ["2001:db8::/32", { kind: "addresses", cidr: { family: "IPv6", value: 0x20010db8n << 96n, prefix: 32 } }],
    ["node/n1", { kind: "node", name: "n1" }],
    ["external", { kind: "external" }],
  ])("%s", (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  test.each([
    ["", /no endpoint reference/],
    ["Web", /no endpoint reference/],
    ["a/b/c/d", /no endpoint reference/],
    ["shop/tree/oak", /"tree" in "shop\/tree\/oak" is no kind of workload/],
    ["shop/deployment.batch/web", /"deployment.batch" in .* is no kind of workload/],
    ["shop/node/n1", /nodes have no namespace/],
    ["shop/{app=web", /missing "}"/],
    ["shop/{app}", /"app" in "{app}" is not key=value/],
    ["{app=a,app=b}", /given twice/],
    ["*/{app=a}", /is not NAMESPACE/],
    ["300.1.1.1/8", /no valid IP address or CIDR/],
    ["10.0.0.256", /no valid IP address or CIDR/],
    ["10.0.0.0/33", /no valid IP address or CIDR/],
  ])("%s is none", (text, message) => {
    const result = parse(text);
    expect(typeof result === "string" ? result : JSON.stringify(result)).toMatch(message);
  });

  test("two words are one reference only when the first is a kind", () => {
    expect(takeReference(["svc", "db", "80"], context)).toEqual({
      reference: { kind: "service", namespace: "shop", name: "db" },
      rest: ["80"],
    });
    expect(takeReference(["web", "db"], context)).toEqual({
      reference: { kind: "pod", namespace: "shop", name: "web" },
      rest: ["db"],
    });
    expect(takeReference([], context)).toMatchObject({ problem: "syntax" });
  });

  test("a namespace that is called like a kind stays a namespace", () => {
    for (const namespace of ["deploy", "node", "svc"]) {
      const reference = parseReference(podReference(namespace, "web"), context);
      expect(reference).toEqual({ kind: "pod", namespace, name: "web" });
    }
  });

  test("canonical spelling parses back to the same reference, in any default namespace", () => {
    const name = fc.constantFrom("web", "deploy", "node", "a-1", "svc", "db.example");
    const namespace = fc.constantFrom("shop", "deploy", "node", "po", "x");
    const value = fc.constantFrom("a", "", "B_1", "x.y");
    const reference: fc.Arbitrary<Reference> = fc.oneof(
      fc.record({ kind: fc.constant("pod" as const), namespace, name }),
      fc.record({
        kind: fc.constant("workload" as const),
        namespace,
        workload: fc.constantFrom("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"),
        name,
      }),
      fc.record({ kind: fc.constant("service" as const), namespace, name }),
      fc.record({
        kind: fc.constant("labels" as const),
        namespace,
        labels: fc.dictionary(fc.constantFrom("app", "k8s.io/app"), value, { noNullPrototype: true }),
      }),
      fc.record({ kind: fc.constant("pods" as const), namespace: fc.option(namespace) }),
      fc.record({ kind: fc.constant("node" as const), name }),
    );
    fc.assert(
      fc.property(reference, (one) => {
        expect(parseReference(formatReference(one), { defaultNamespace: "elsewhere" })).toEqual(one);
      }),
      { numRuns: 300 },
    );
  });

  test("any text is a reference or a problem, never a crash", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseReference(text, context)).toBeTypeOf("object");
      }),
      { numRuns: 300 },
    );
  });
});
