/** Label selectors, compiled (spec A10). */
import type { LabelSelector, LabelSelectorRequirement, Labels } from "../model/labels.ts";
import { isLabelKey, isLabelValue } from "./syntax.ts";

/** A selector ready to match. */
export interface Matcher {
  /** Canonical text, as kubectl writes selectors: equal requirements in any order and spelling give equal texts. */
  readonly key: string;
  /** A token (`labelTokens`) that every matching object has, the most telling one; null when there is none. */
  readonly token: string | null;
  matches(labels: Labels): boolean;
}

interface Requirement {
  readonly text: string;
  readonly token: string | null;
  readonly test: (labels: Labels) => boolean;
}

/** Every token that a selector could be filed under and still match these labels: `key=value` and `key` for each. */
export function labelTokens(labels: Labels): string[] {
  const tokens: string[] = [];
  for (const key of Object.keys(labels)) tokens.push(`${key}=${labels[key]}`, key);
  return tokens;
}

const everything: Matcher = { key: "", token: null, matches: () => true };

/**
 * Compiles a selector; the empty one matches every object.
 *
 * Returns null for one that the API library could not parse: an operator that does not exist, a key or value that is no
 * label key or value, In and NotIn without values, Exists and DoesNotExist with some. Such selectors can be stored (spec
 * B3.4, C1.4) and callers must fail closed (A10.9).
 */
export function compileSelector(selector: LabelSelector): Matcher | null {
  const requirements = new Map<string, Requirement>(); // by text: duplicates mean nothing (A10.2)
  const add = (requirement: Requirement | null): boolean => {
    if (requirement !== null) requirements.set(requirement.text, requirement);
    return requirement !== null;
  };
  const { matchLabels, matchExpressions } = selector;
  if (matchLabels) {
    for (const key of Object.keys(matchLabels)) if (!add(isIn(key, [matchLabels[key]!]))) return null;
  }
  if (matchExpressions)
    for (const expression of matchExpressions) if (!add(compileRequirement(expression))) return null;

  const list = [...requirements.values()];
  const first = list[0];
  if (first === undefined) return everything;
  if (list.length === 1) return { key: first.text, token: first.token, matches: first.test };
  const tokens = list.flatMap(({ token }) => token ?? []);
  return {
    key: list
      .map(({ text }) => text)
      .sort()
      .join(","),
    token: tokens.find((token) => token.includes("=")) ?? tokens[0] ?? null,
    matches: (labels) => list.every(({ test }) => test(labels)),
  };
}

function compileRequirement({ key, operator, values }: LabelSelectorRequirement): Requirement | null {
  const given = values ?? [];
  switch (operator) {
    case "In":
      return given.length === 0 ? null : isIn(key, given);
    case "NotIn": {
      if (given.length === 0 || !isLabelKey(key) || !given.every(isLabelValue)) return null;
      const unwanted = new Set(given);
      return {
        text: `${key} notin (${sorted(unwanted)})`,
        token: null,
        test: (labels) => !Object.hasOwn(labels, key) || !unwanted.has(labels[key]!), // a missing key matches (A10.3)
      };
    }
    case "Exists":
      if (given.length > 0 || !isLabelKey(key)) return null;
      return { text: key, token: key, test: (labels) => Object.hasOwn(labels, key) };
    case "DoesNotExist":
      if (given.length > 0 || !isLabelKey(key)) return null;
      return { text: `!${key}`, token: null, test: (labels) => !Object.hasOwn(labels, key) };
    default:
      return null;
  }
}

function isIn(key: string, values: readonly string[]): Requirement | null {
  if (!isLabelKey(key) || !values.every(isLabelValue)) return null;
  const wanted = new Set(values);
  const only = wanted.size === 1 ? values[0]! : null;
  if (only !== null) {
    const pair = `${key}=${only}`;
    return { text: pair, token: pair, test: (labels) => Object.hasOwn(labels, key) && labels[key] === only };
  }
  return {
    text: `${key} in (${sorted(wanted)})`,
    token: key,
    test: (labels) => Object.hasOwn(labels, key) && wanted.has(labels[key]!),
  };
}

const sorted = (values: ReadonlySet<string>): string => [...values].sort().join(",");
