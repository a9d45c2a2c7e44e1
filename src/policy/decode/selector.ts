/** Label selectors and label maps (spec B3). */
import type { LabelSelector, LabelSelectorRequirement, Labels } from "../model/labels.ts";
import type { Path } from "../model/source.ts";
import { type FieldError, forbidden, invalid, required } from "./field-error.ts";
import { labelKeyProblems, labelValueProblems } from "./names.ts";

/** Keys and values of a label map; errors point at the map itself (spec B2.5, B3.1, B3.2). */
export function validateLabels(
  labels: Labels | null | undefined,
  path: Path,
  codes: { readonly key: string; readonly value: string },
): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...labelKeyProblems(key).map((problem) => invalid(codes.key, path, key, problem)),
    ...labelValueProblems(value).map((problem) => invalid(codes.value, path, value, problem)),
  ]);
}

function validateRequirement(
  requirement: LabelSelectorRequirement,
  path: Path,
  allowInvalidValues: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  // a requirement decoded from `{}` has neither key nor operator
  const { key = "", operator = "" } = requirement as Partial<LabelSelectorRequirement>;
  const values = requirement.values ?? [];
  if (operator === "In" || operator === "NotIn") {
    if (values.length === 0) {
      errors.push(required("B3.3", [...path, "values"], "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (operator === "Exists" || operator === "DoesNotExist") {
    if (values.length > 0) {
      const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      errors.push(forbidden("B3.5", [...path, "values"], detail));
    }
  } else {
    errors.push(invalid("B3.6", [...path, "operator"], operator ?? "", "not a valid selector operator"));
  }
  errors.push(...labelKeyProblems(key ?? "").map((problem) => invalid("B3.1", [...path, "key"], key ?? "", problem)));
  if (!allowInvalidValues) {
    for (const [i, value] of values.entries()) {
      const at = [...path, "values", i];
      errors.push(...labelValueProblems(value).map((problem) => invalid("B3.4", at, value, problem)));
    }
  }
  return errors;
}

/** @param allowInvalidValues an update of an object that was stored with invalid values (spec B3.4) */
export function validateSelector(
  selector: LabelSelector | null | undefined,
  path: Path,
  allowInvalidValues = false,
): FieldError[] {
  if (selector === null || selector === undefined) return [];
  return [
    ...validateLabels(selector.matchLabels, [...path, "matchLabels"], { key: "B3.1", value: "B3.2" }),
    ...(selector.matchExpressions ?? []).flatMap((requirement, i) =>
      validateRequirement(requirement, [...path, "matchExpressions", i], allowInvalidValues),
    ),
  ];
}
