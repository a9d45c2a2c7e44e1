/**
 * What the rules of our chains are like, so that a rule that somebody removed, added or changed is noticed. nft prints rules
 * in words of its own, which differ between versions; of each rule its verdicts and the sets that it looks things up in
 * are compared, in order.
 */
import { directions } from "../policy/model/verdict.ts";
import { denyChain, subjectChain } from "./names.ts";
import { type Rule, ruleText } from "./rules.ts";
import { baseChain, baseRules, denyRule, hookNames, skeleton, subjectRules, type TableOptions } from "./skeleton.ts";
import type { KernelState } from "./state.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** One line for each rule. */
export type ChainShape = readonly string[];

const word = /@\w+|\b(?:goto|jump) \S+|(?<=^| )(?:accept|drop|return)(?= |$)/g;

const shapeOfText = (rule: string): string => (rule.match(word) ?? []).join(" ");
const shapeOf = (rule: Rule): string => shapeOfText(ruleText(rule));

/** Of a rule's statements in nft's JSON, libnftables-json(5). */
export const shapeOfRule = (statements: Json | undefined): string => [...words(statements)].join(" ");

function* words(value: Json | undefined): Generator<string> {
  if (typeof value === "string") {
    if (value.startsWith("@")) yield value;
  } else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (key === "accept" || key === "drop" || key === "return") yield key;
      else if (key === "goto" || key === "jump") yield `${key} ${(inner as { target?: string } | null)?.target ?? ""}`;
      else yield* words(inner);
    }
  }
}

/** The chains that a table in this state has, and no others. */
export function chainShapes(state: KernelState, options: TableOptions): ReadonlyMap<string, ChainShape> {
  const shapes = new Map<string, ChainShape>();
  const add = (name: string, rules: readonly Rule[]): void => void shapes.set(name, rules.map(shapeOf));
  const lines = skeleton(options, state.epoch);
  for (const [i, line] of lines.entries()) {
    const name = /^chain (\S+) \{$/.exec(line)?.[1];
    if (name !== undefined) shapes.set(name, lines.slice(i + 1, lines.indexOf("}", i)).map(shapeOfText));
  }
  if (state.hooked) for (const hook of hookNames) add(baseChain(hook), baseRules(options, hook, state.epoch));
  for (const direction of directions) {
    for (const subject of state[direction].subjects.keys()) {
      add(subjectChain(direction, subject), subjectRules(direction, 0));
    }
  }
  for (const id of state.denies) add(denyChain(id), [denyRule(options, id)]);
  return shapes;
}
