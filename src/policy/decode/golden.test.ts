import { describe, expect, test } from "vitest";
import { assertedCases, type ExpectedError, type Gate } from "../../../test/spec/cases.ts";
import { formatPath } from "../model/source.ts";
import {
  type DecodeOptions,
  decodePolicy,
  type FieldError,
  formatFieldError,
  isDomainNamePattern,
  matchesDomainName,
  parseStrictJson,
  validateUpdate,
} from "./index.ts";

const optionsOf = (gate: Gate): readonly DecodeOptions[] => {
  const strict = { kubernetesVersion: "1.36" };
  const legacy = { kubernetesVersion: "1.35" };
  return gate === "strict" ? [strict, {}] : gate === "legacy" ? [legacy] : [strict, legacy];
};

/** The complete list, in order; details as substrings. */
function expectErrors(errors: readonly FieldError[], expected: readonly ExpectedError[]): void {
  expect(errors.map((e) => `${formatPath(e.path)}: ${e.kind}`)).toEqual(expected.map((e) => `${e.path}: ${e.type}`));
  for (const [i, { has }] of expected.entries()) expect(errors[i]?.detail).toContain(has);
}

const validation = assertedCases("Validation");
const updates = assertedCases("UpdateValidation");
const strictDecode = assertedCases("StrictDecode");
const crds = assertedCases("CRDValidation");
const domainNames = assertedCases("DomainName");

test("golden.yaml has the cases that it had", () => {
  expect(validation.length).toBeGreaterThanOrEqual(10);
  expect(updates.length).toBeGreaterThanOrEqual(2);
  expect(crds.length).toBeGreaterThanOrEqual(3);
  expect(domainNames.length).toBeGreaterThanOrEqual(1);
});

test.each(validation)("$id $title", ({ gate, object, errors, warnings = [] }) => {
  for (const options of optionsOf(gate)) {
    const result = decodePolicy(object, options);
    expectErrors(result.errors, errors);
    expect(result.warnings).toHaveLength(warnings.length);
    for (const [i, warning] of warnings.entries()) expect(result.warnings[i]).toContain(warning);
    if (errors.length === 0) expect(result.policy).not.toBeNull();
  }
});

test.each(updates)("$id $title", ({ gate, old, new: next, errors }) => {
  for (const options of optionsOf(gate)) expectErrors(validateUpdate(old, next, options), errors);
});

if (strictDecode.length > 0) {
  test.each(strictDecode)("$id $title", ({ json, findings }) => {
    const parsed = parseStrictJson(json);
    if ("error" in parsed) throw new Error(parsed.error.message);
    const { errors } = decodePolicy(parsed.value, { duplicates: parsed.duplicates });
    const strict = errors.filter((e) => e.kind === "UnknownField" || e.kind === "DuplicateField");
    expect(strict.map(formatFieldError)).toEqual(findings);
  });
}

test.each(crds)("$id $title", ({ channel, object, valid }) => {
  for (const crdChannel of channel === "both" ? (["standard", "experimental"] as const) : [channel]) {
    const result = decodePolicy(object, { crdChannel });
    expect(result.errors.length === 0, result.errors.map(formatFieldError).join("\n")).toBe(valid);
    if (valid) expect(result.policy).not.toBeNull();
  }
});

test.each(domainNames)("$id $title", ({ pattern, cases = [], valid }) => {
  if (valid !== undefined) expect(isDomainNamePattern(pattern)).toBe(valid);
  for (const { name, match } of cases) expect(matchesDomainName(pattern, name), name).toBe(match);
});

describe("every policy of the other cases", () => {
  const objects = [
    ...assertedCases("Reachability").flatMap((c) => c.policies),
    ...assertedCases("Sequence").flatMap((c) => c.steps.flatMap((step) => step.policies ?? [])),
  ];

  test("is valid, apart from those that are about a newer CRD", () => {
    expect(objects.length).toBeGreaterThan(50);
    const rejected = objects.flatMap((object) => {
      const { errors, policy } = decodePolicy(object, { defaultNamespace: "default", kubernetesVersion: "1.35" });
      expect(policy).not.toBeNull();
      return errors.length === 0 ? [] : [object.metadata.name];
    });
    expect(rejected.every((name) => name.startsWith("newer-crd"))).toBe(true);
  });
});
