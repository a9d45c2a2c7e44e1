import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PortSet } from "../net/ports.ts";
import type { PlanRule, RulePorts } from "../policy/compile/plan.ts";
import { portsToAsk } from "./port-classes.ts";

const rule = (ports: Partial<RulePorts>): { rule: PlanRule; named: [] } => ({
  rule: { ports: { fixed: PortSet.empty, named: [], ...ports } } as PlanRule,
  named: [],
});
const tcp = (...ranges: [number, number][]) =>
  rule({ fixed: PortSet.of(ranges.map(([start, end]) => ({ protocol: "TCP", start, end }))) });

describe("portsToAsk", () => {
  test.each([
    ["no rule: one port", [], [1]],
    ["a rule for all: its first and last port", [tcp([1, 65_535])], [1, 65_535]],
    ["one port, and one that no rule names", [tcp([80, 80])], [1, 80]],
    ["a range", [tcp([8000, 8100])], [1, 8000, 8100]],
    ["overlapping ranges make three classes", [tcp([10, 20]), tcp([15, 30])], [1, 10, 14, 15, 20, 21, 30]],
    ["one class in two pieces: its first and last port", [tcp([10, 20], [40, 50])], [1, 10, 50]],
    ["the last port", [tcp([65_535, 65_535])], [1, 65_535]],
  ])("%s", (_, rules, expected) => {
    expect(portsToAsk(rules, "TCP")).toEqual(expected);
  });

  test("a name stands for the destination's port of that protocol", () => {
    const web = { name: "web", number: 8080, protocol: "TCP" } as const;
    const named = { ...rule({ named: [{ name: "web", protocol: "TCP" }] }), named: [web] };
    expect(portsToAsk([named], "TCP")).toEqual([1, 8080]);
    expect(portsToAsk([named], "UDP")).toEqual([1]);
  });

  test("every combination of rules that some port has is asked", () => {
    const range = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 20 }));
    fc.assert(
      fc.property(fc.array(fc.array(range, { maxLength: 3 }), { maxLength: 4 }), (lists) => {
        const rules = lists.map((list) => tcp(...list.map(([start, more]): [number, number] => [start, start + more])));
        const members = (port: number): string => rules.map(({ rule: r }) => r.ports.fixed.has("TCP", port)).join();
        const asked = new Set(portsToAsk(rules, "TCP").map(members));
        for (let port = 1; port <= 100; port++) expect(asked).toContain(members(port));
      }),
      { numRuns: 200 },
    );
  });
});
