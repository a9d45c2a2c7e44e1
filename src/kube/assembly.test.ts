import { beforeEach, describe, expect, test } from "vitest";
import type { Change } from "../policy/compile/plan.ts";
import { type PolicyKind, policyRef } from "../policy/model/policy.ts";
import { podNamed } from "../policy/objects.arbitrary.ts";
import { Assembly } from "./assembly.ts";
import type { PolicyProblem } from "./feed.ts";
import type { FollowedPolicy } from "./resources.ts";

let told: string[];
let problems: PolicyProblem[];

const tell = (change: Change, problem: PolicyProblem | null): void => {
  if (problem !== null) problems.push(problem);
  if (change.op === "remove") told.push(`remove ${change.kind} ${change.key}`);
  else if (change.kind === "policy") told.push(`put ${policyRef(change.object).kind} ${policyRef(change.object).name}`);
  else told.push(`put ${change.kind} ${change.object.name}`);
};

beforeEach(() => {
  told = [];
  problems = [];
});

describe("namespaces and their pods, which come on different streams", () => {
  const shop = { name: "shop", labels: {}, defined: true, source: null };
  const pod = podNamed("web", { namespace: "shop" });

  test("a pod waits for its namespace", () => {
    const assembly = new Assembly(tell, false);
    assembly.putPod("shop/web", pod, true);
    assembly.putPod("shop/web", pod, false);
    expect(told).toEqual([]);
    assembly.putNamespace(shop);
    expect(told).toEqual(["put namespace shop", "put pod web"]);
  });

  test("one that is gone before its namespace comes was never there", () => {
    const assembly = new Assembly(tell, false);
    assembly.putPod("shop/web", pod, true);
    assembly.removePod("shop/web", pod);
    assembly.putNamespace(shop);
    assembly.removeNamespace("shop");
    expect(told).toEqual(["put namespace shop", "remove namespace shop"]);
  });

  test("a namespace keeps its labels until its last pod is gone", () => {
    const assembly = new Assembly(tell, false);
    assembly.putNamespace(shop);
    assembly.putPod("shop/web", pod, true);
    assembly.removeNamespace("shop");
    assembly.putPod("shop/web", pod, false);
    assembly.putPod("shop/next", podNamed("next", { namespace: "shop" }), true); // of the next namespace of that name
    assembly.removePod("shop/web", pod);
    expect(told.splice(0)).toEqual([
      "put namespace shop",
      "put pod web",
      "put pod web",
      "remove pod shop/web",
      "remove namespace shop",
    ]);
    assembly.putNamespace(shop);
    expect(told).toEqual(["put namespace shop", "put pod next"]);
  });

  test("a namespace that comes back before its pods are gone", () => {
    const assembly = new Assembly(tell, false);
    assembly.putNamespace(shop);
    assembly.putPod("shop/web", pod, true);
    assembly.removeNamespace("shop");
    assembly.putNamespace(shop);
    assembly.removePod("shop/web", pod);
    expect(told).toEqual(["put namespace shop", "put pod web", "put namespace shop", "remove pod shop/web"]);
  });
});

describe("two generations of cluster policies (spec C18)", () => {
  const policy = (kind: Exclude<PolicyKind, "NetworkPolicy">, name: string): FollowedPolicy => ({
    policy: { kind, metadata: { name, namespace: "" }, spec: { subject: {} }, source: null },
    problem: null,
  });
  const [old, baseline, now] = [
    policy("AdminNetworkPolicy", "old"),
    policy("BaselineAdminNetworkPolicy", "default"),
    policy("ClusterNetworkPolicy", "now"),
  ] as const;

  test("the first that is there is in force, the other is refused until the first is gone", () => {
    const assembly = new Assembly(tell, false);
    assembly.putPolicy(old);
    assembly.putPolicy(now);
    assembly.putPolicy(baseline);
    expect(told.splice(0)).toEqual([
      "put AdminNetworkPolicy old",
      "remove policy ClusterNetworkPolicy//now",
      "put BaselineAdminNetworkPolicy default",
    ]);
    expect(problems).toMatchObject([{ policy: { name: "now" }, message: expect.stringContaining("not enforced") }]);
    assembly.removePolicy(old);
    assembly.removePolicy(baseline);
    expect(told).toEqual([
      "remove policy AdminNetworkPolicy//old",
      "remove policy BaselineAdminNetworkPolicy//default",
      "put ClusterNetworkPolicy now",
    ]);
  });

  test("both, when that is wanted", () => {
    const assembly = new Assembly(tell, true);
    assembly.putPolicy(old);
    assembly.putPolicy(now);
    assembly.removePolicy(old);
    expect(told).toEqual([
      "put AdminNetworkPolicy old",
      "put ClusterNetworkPolicy now",
      "remove policy AdminNetworkPolicy//old",
    ]);
    expect(problems).toEqual([]);
  });
});
