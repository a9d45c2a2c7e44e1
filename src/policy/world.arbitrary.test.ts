/** The random worlds must be worth asking about: every tier, action, exemption, peer and port form decides often enough. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { policyKey } from "./compile/plan.ts";
import { referenceVerdict } from "./evaluate/reference.ts";
import { policyRef } from "./model/policy.ts";
import { directions } from "./model/verdict.ts";
import { kindsOf, withoutRules } from "./verdict-kinds.arbitrary.ts";
import { applyToWorld, arbitraryChange, arbitraryFlow, arbitraryWorld, type WorldOptions } from "./world.arbitrary.ts";

const seed = 20_261_121;

test("verdicts of every kind occur", () => {
  const counts = countVerdicts({}, 400, 60);
  console.log(JSON.stringify(Object.fromEntries([...counts].sort()), null, 1)); // for whoever tunes the weights
  const share = (key: string) => (counts.get(key) ?? 0) / counts.get("verdicts")!;
  expect(share("denied")).toBeGreaterThanOrEqual(0.3);
  expect(share("allowed")).toBeGreaterThanOrEqual(0.2);
  for (const tier of ["Admin Accept", "Admin Deny", "Baseline Accept", "Baseline Deny", "NetworkPolicy Accept"])
    expect(share(tier), tier).toBeGreaterThan(0.01);
  expect(share("NetworkPolicy default deny")).toBeGreaterThan(0.1);
  for (const exemption of ["self", "own-node", "no-pod"]) expect(share(exemption), exemption).toBeGreaterThan(0.005);
  for (const peer of ["podSelector", "namespaceSelector", "both", "ipBlock", "everybody"])
    expect(share(`NetworkPolicy rule ${peer}`), peer).toBeGreaterThan(0.002);
  for (const peer of ["namespaces", "pods", "networks", "nodes"])
    expect(share(`cluster rule ${peer}`), peer).toBeGreaterThan(0.002);
  expect(share("Pass matters")).toBeGreaterThan(0.01);
  expect(share("several reasons")).toBeGreaterThan(0.01);
});

test("worlds that are all understood have no broken parts", () => {
  const worlds = fc.sample(arbitraryWorld({ notUnderstood: false, addressless: false }), { seed, numRuns: 300 });
  const text = JSON.stringify(worlds);
  for (const broken of ["Gt", "Reject", "Middle", "ICMP", "domainNames", "not valid"])
    expect(text).not.toContain(broken);
  expect(worlds.flatMap((world) => world.pods).every((pod) => pod.hostNetwork || pod.ips.length > 0)).toBe(true);
});

test("objects have one identity each, and changes keep it so", () => {
  const chain = arbitraryWorld().chain((world) => fc.tuple(fc.constant(world), arbitraryChange(world)));
  fc.assert(
    fc.property(chain, ([world, change]) => {
      for (const one of [world, applyToWorld(world, change)]) {
        const keys = [
          ...one.policies.map((policy) => policyKey(policyRef(policy))),
          ...one.pods.map((pod) => `pod ${pod.namespace}/${pod.name}`),
          ...one.namespaces.map(({ name }) => `namespace ${name}`),
          ...one.nodes.map(({ name }) => `node ${name}`),
        ];
        expect(new Set(keys).size).toBe(keys.length);
      }
    }),
  );
});

function countVerdicts(options: WorldOptions, worldCount: number, flowsPerWorld: number): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  const worlds = fc.sample(arbitraryWorld(options), { seed, numRuns: worldCount });
  for (const [i, world] of worlds.entries()) {
    for (const flow of fc.sample(arbitraryFlow(world), { seed: seed + i, numRuns: flowsPerWorld })) {
      const verdict = referenceVerdict(world, flow);
      for (const key of kindsOf(world, verdict)) count(key);
      const passless = referenceVerdict(withoutRules(world, "Pass"), flow);
      if (directions.some((direction) => passless[direction].tier !== verdict[direction].tier)) count("Pass matters");
    }
  }
  return counts;
}
