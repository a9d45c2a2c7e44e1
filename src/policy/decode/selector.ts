/** Label selectors and label maps (spec B3). */
import type { LabelSelector, LabelSelectorRequirement, Labels } from "../model/labels.ts";
import type { Path } from "../model/source.ts";
import { type FieldError, forbidden, invalid, required } from "./field-error.ts";
import { labelKeyProblems, labelValueProblems } from "./names.ts";
import { below, type Place, pathOf } from "./place.ts";

const none: readonly FieldError[] = [];

/** Keys and values of a label map; errors point at the map itself (spec B2.5, B3.1, B3.2). */
export function validateLabels(
  labels: Labels | null | undefined,
  at: Place,
  codes: { readonly key: string; readonly value: string },
): readonly FieldError[] {
  if (labels === null || labels === undefined) return none;
  const errors: FieldError[] = [];
  for (const key of Object.keys(labels)) {
    const value = labels[key]!;
    for (const problem of labelKeyProblems(key)) errors.push(invalid(codes.key, pathOf(at), key, problem));
    for (const problem of labelValueProblems(value)) errors.push(invalid(codes.value, pathOf(at), value, problem));
  }
  return errors;
}

function validateRequirement(
  requirement: LabelSelectorRequirement,
  at: Place,
  allowInvalidValues: boolean,
  errors: FieldError[],
): void {
  // a requirement decoded from `{}` has neither key nor operator
  const { key = "", operator = "" } = requirement as Partial<LabelSelectorRequirement>;
  const values = requirement.values ?? [];
  const path = (...steps: Path): Path => [...pathOf(at), ...steps];
  if (operator === "In" || operator === "NotIn") {
    if (values.length === 0) {
      errors.push(required("B3.3", path("values"), "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (operator === "Exists" || operator === "DoesNotExist") {
    if (values.length > 0) {
      const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      errors.push(forbidden("B3.5", path("values"), detail));
    }
  } else {
    errors.push(invalid("B3.6", path("operator"), operator ?? "", "not a valid selector operator"));
  }
  for (const problem of labelKeyProblems(key ?? "")) errors.push(invalid("B3.1", path("key"), key ?? "", problem));
  if (allowInvalidValues) return;
  for (const [i, value] of values.entries()) {
    for (const problem of labelValueProblems(value)) errors.push(invalid("B3.4", path("values", i), value, problem));
  }
}

/** @param allowInvalidValues an update of an object that was stored with invalid values (spec B3.4) */
export function validateSelector(
  selector: LabelSelector | null | undefined,
  at: Place | null,
  allowInvalidValues = false,
): readonly FieldError[] {
  if (selector === null || selector === undefined) return none;
  const codes = { key: "B3.1", value: "B3.2" };
  const labels = validateLabels(selector.matchLabels, below(at, "matchLabels"), codes);
  const { matchExpressions } = selector;
  if (matchExpressions === null || matchExpressions === undefined) return labels;
  const errors = [...labels];
  const expressions = below(at, "matchExpressions");
  for (const [i, requirement] of matchExpressions.entries())
    validateRequirement(requirement, below(expressions, i), allowInvalidValues, errors);
  return errors;
}
