/** Label selectors as kubectl's `-l` takes them. */
import type { LabelSelector, LabelSelectorRequirement } from "../policy/model/labels.ts";
import { CliError } from "./io.ts";

const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const comparison = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/;

/**
 * @example `app=web,tier!=db` · `env in (prod, staging)` · `env notin (test)` · `app` (has the key) · `!app` (lacks it)
 * @throws CliError when the text is none
 */
export function parseSelector(text: string): LabelSelector {
  // Commas inside parentheses separate values, the others requirements.
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim());
  if (text.trim() === "") return {};
  return { matchExpressions: parts.map((part) => requirement(part, text)) };
}

function requirement(part: string, text: string): LabelSelectorRequirement {
  const [, setKey, operator, list] = set.exec(part) ?? [];
  if (setKey !== undefined)
    return { key: setKey, operator: operator === "in" ? "In" : "NotIn", values: list!.split(",").map((v) => v.trim()) };
  const [, key, sign, value] = comparison.exec(part) ?? [];
  if (key !== undefined) return { key, operator: sign === "!=" ? "NotIn" : "In", values: [value!] };
  const [, not, bare] = /^(!?)\s*([^\s=!()]+)$/.exec(part) ?? [];
  if (bare === undefined)
    throw new CliError(
      `"${part}" in selector "${text}" is no requirement (key=value, key!=value, key in (a,b), key, !key)`,
    );
  return { key: bare, operator: not === "!" ? "DoesNotExist" : "Exists" };
}
