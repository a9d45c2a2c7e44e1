import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LabelSelector, LabelSelectorRequirement } from "../model/labels.ts";
import { compileSelector, labelTokens } from "./selector.ts";

const key = fc.constantFrom<string[]>("a", "b", "example.com/c");
const value = fc.constantFrom<string[]>("", "x", "y");
const labels = fc.dictionary(key, value, { maxKeys: 3 });
const selector = fc.record<LabelSelector>({
  matchLabels: fc.option(labels),
  matchExpressions: fc.option(
    fc.array<LabelSelectorRequirement>(
      fc.oneof(
        fc.record({
          key,
          operator: fc.constantFrom("In", "NotIn"),
          values: fc.array(value, { minLength: 1, maxLength: 3 }),
        }),
        fc.record({ key, operator: fc.constantFrom("Exists", "DoesNotExist"), values: fc.constantFrom(null, []) }),
      ),
      { maxLength: 3 },
    ),
  ),
});

const matches = (one: LabelSelector, own: Record<string, string>): boolean => compileSelector(one)!.matches(own);

describe("operators (A10.3, A10.4)", () => {
  const expression = (operator: string, ...values: string[]): LabelSelector => ({
    matchExpressions: [{ key: "k", operator, values }],
  });
  test.each([
    ["matchLabels", { matchLabels: { k: "v" } }, true, false, false],
    ["matchLabels, empty value", { matchLabels: { k: "" } }, false, true, false],
    ["In", expression("In", "v", "w"), true, false, false],
    ["In, empty value", expression("In", ""), false, true, false],
    ["NotIn", expression("NotIn", "v"), false, true, true],
    ["Exists", expression("Exists"), true, true, false],
    ["DoesNotExist", expression("DoesNotExist"), false, false, true],
    ["nothing", {}, true, true, true],
    ["null", { matchLabels: null, matchExpressions: null }, true, true, true],
    [
      "contradiction",
      { matchLabels: { k: "v" }, matchExpressions: [{ key: "k", operator: "NotIn", values: ["v"] }] },
      false,
      false,
      false,
    ],
  ])("%s", (_, one, withValue, withEmpty, without) => {
    expect(matches(one, { k: "v" })).toBe(withValue);
    expect(matches(one, { k: "" })).toBe(withEmpty);
    expect(matches(one, {})).toBe(without);
  });

  test("a label named like a property of objects is only a label", () => {
    expect(matches({ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, {})).toBe(false);
    expect(matches({ matchExpressions: [{ key: "toString", operator: "DoesNotExist" }] }, {})).toBe(true);
  });
});

test.each<LabelSelector>([
  { matchExpressions: [{ key: "k", operator: "Gt", values: ["1"] }] },
  { matchExpressions: [{ key: "k", operator: "in", values: ["1"] }] },
  { matchExpressions: [{ key: "k", operator: "In", values: [] }] },
  { matchExpressions: [{ key: "k", operator: "NotIn" }] },
  { matchExpressions: [{ key: "k", operator: "Exists", values: ["v"] }] },
  { matchExpressions: [{ key: "k", operator: "DoesNotExist", values: ["v"] }] },
  { matchExpressions: [{ key: "k", operator: "NotIn", values: ["-v"] }] },
  { matchExpressions: [{ key: "", operator: "Exists" }] },
  { matchExpressions: [{ key: "a/b/c", operator: "DoesNotExist" }] },
  { matchLabels: { "Upper.Case/k": "v" } },
  { matchLabels: { k: "white space" } },
  { matchLabels: { k: "v".repeat(64) } },
])("cannot be parsed: %j (A10.9)", (one) => {
  expect(compileSelector(one)).toBeNull();
});

test("equal requirements have equal keys, whatever their order and spelling", () => {
  const one = compileSelector({ matchLabels: { b: "2", a: "1" } })!;
  const other = compileSelector({
    matchLabels: { a: "1" },
    matchExpressions: [
      { key: "b", operator: "In", values: ["2", "2"] },
      { key: "a", operator: "In", values: ["1"] },
    ],
  })!;
  expect(one.key).toBe("a=1,b=2");
  expect(other.key).toBe(one.key);
});

test("selectors with equal keys match alike", () => {
  fc.assert(
    fc.property(selector, selector, labels, (one, other, own) => {
      const [a, b] = [compileSelector(one)!, compileSelector(other)!];
      if (a.key === b.key) expect(a.matches(own)).toBe(b.matches(own));
    }),
    { numRuns: 1000 },
  );
});

test("whoever matches has the token", () => {
  fc.assert(
    fc.property(selector, labels, (one, own) => {
      const { token, ...matcher } = compileSelector(one)!;
      if (matcher.matches(own) && token !== null) expect(labelTokens(own)).toContain(token);
    }),
    { numRuns: 1000 },
  );
});
