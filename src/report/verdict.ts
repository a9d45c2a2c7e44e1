/** `can` and `explain` as text. */

import { type Family, families } from "../net/address.ts";
import type {
  Answer,
  DirectionEntry,
  Edit,
  Explanation,
  FlowEntry,
  PortDirectionEntry,
  Ports,
} from "../policy/analyze/types.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { oneLine } from "./escape.ts";
import { formatPort, formatPorts } from "./ports.ts";
import { directionText, exemptionText, isDefaultDeny, place, reasonText } from "./reason.ts";
import { plain, type Style } from "./style.ts";
import { yamlLines } from "./yaml.ts";

const arrow = "→";

/** `shop/web → shop/db 5432/TCP` */
export const flowText = ({ from, to, protocol, port }: FlowEntry): string =>
  `${oneLine(from)} ${arrow} ${oneLine(to)} ${formatPort(protocol, port)}`;

/** The verdict and the question. */
function headline(answer: Omit<Answer, "kind">, style: Style): string {
  const word = answer.allowed ? style.good("allowed") : style.bad("denied ");
  return `${word}  ${style.strong(`${oneLine(answer.from)} ${arrow} ${oneLine(answer.to)}`)}  ${oneLine(answer.asked)}`;
}

const familyText = (byFamily: Readonly<Record<Family, Ports>>): string =>
  families.map((family) => `${family} ${formatPorts(byFamily[family])}`).join(", ");

/** What of the question is allowed where the whole is not. */
function partText(answer: Omit<Answer, "kind">): string {
  if (answer.allowed || !answer.partly) return "";
  const { allowed } = answer.ports;
  if (answer.families !== undefined) return `allowed: ${familyText(answer.families)}`;
  if (allowed.length > 0) return `allowed: ${formatPorts(allowed)}`;
  return answer.example === undefined ? "" : `allowed for some: ${flowText(answer.example)}`;
}

/** The direction that a reader wants to hear about: the one that denies, else the one where a policy decided. */
function decisive(answer: Omit<Answer, "kind">): Direction {
  const denying = directions.find((d) => answer[d].verdict === "deny");
  const decided = directions.find((d) => answer[d].reasons.length > 0);
  return denying ?? decided ?? directions.find((d) => answer[d].exempt === null) ?? "ingress";
}

/** One line (two directions that both decided are both named). */
export function verdictLine(answer: Answer, style: Style = plain): string {
  const relevant = answer.allowed
    ? directions.filter((d) => answer[d].reasons.length > 0)
    : directions.filter((d) => answer[d].verdict === "deny");
  const chosen = relevant.length > 0 ? relevant : [decisive(answer)];
  const unlimited =
    answer.allowed && relevant.length === 0 && answer.egress.exempt === null && answer.ingress.exempt === null;
  const why = unlimited ? "no policy applies" : chosen.map((d) => directionText(answer[d], d)).join("; ");
  const flow = answer.counterexample !== undefined && answer.pairs > 1 ? `${flowText(answer.counterexample)}: ` : "";
  const parts = [headline(answer, style), style.faint(`${flow}${why}`), partText(answer)];
  return parts.filter((part) => part !== "").join(" · ");
}

const maxReasons = 3;
const maxLines = 20;

function reasonLines(entry: DirectionEntry, direction: Direction, indent: string): string[] {
  const shown = entry.reasons.slice(0, maxReasons);
  const names = shown.map((reason) => reasonText(reason, direction));
  const width = Math.max(0, ...names.map((name) => name.length));
  const lines = shown.map((reason, i) => `${indent}${names[i]!.padEnd(width)}   ${place(reason)}`.trimEnd());
  const more = entry.reasons.length - shown.length;
  return more > 0 ? [...lines, `${indent}and ${more} more`] : lines;
}

function summary(entry: DirectionEntry, direction: Direction): string {
  if (entry.exempt !== null) return exemptionText[entry.exempt];
  if (entry.reasons.length === 0) return `no policy limits ${direction}`;
  if (isDefaultDeny(entry)) return "isolated, and no rule allows it:";
  const action = entry.reasons[0]!.action;
  const rules = entry.reasons.length === 1 ? "this rule" : "these rules";
  return entry.verdict === "allow"
    ? `accepted by ${rules}:`
    : `${action === "Deny" ? "denied" : "decided"} by ${rules}:`;
}

const verdictWord = ({ verdict }: DirectionEntry, style: Style): string =>
  verdict === "allow" ? style.good("allow") : style.bad("deny ");

function directionLines(answer: Explanation, direction: Direction, style: Style): string[] {
  const name = direction.padEnd(7);
  const pieces: readonly PortDirectionEntry[] = answer.decisions?.[direction] ?? [];
  if (pieces.length <= 1) {
    const entry = answer[direction];
    const tier = entry.tier === "Default" ? "" : `${entry.tier}: `;
    return [
      `${name}  ${verdictWord(entry, style)}  ${tier}${summary(entry, direction)}`,
      ...reasonLines(entry, direction, "    "),
    ];
  }
  // Several ports were asked and are judged differently: one line each, those that deny least of the ports first.
  const lines = [...pieces]
    .sort((a, b) => a.ports.length - b.ports.length)
    .map(
      (piece) => `    ${verdictWord(piece, style)}  ${formatPorts(piece.ports)}: ${directionText(piece, direction)}`,
    );
  const shown = lines.slice(0, maxReasons);
  const more = lines.length - shown.length;
  return [`${name}  depends on the port:`, ...shown, ...(more > 0 ? [`    and ${more} more (-o json has all)`] : [])];
}

function editLines(edit: Edit): string[] {
  const where = place(edit);
  const lines = [`  ${oneLine(edit.text)}${where === "" ? "" : `   ${where}`}`];
  if (edit.value === undefined) return lines;
  const isElement = edit.op !== "add-policy";
  const value = yamlLines(edit.value, 72);
  const snippet = isElement ? value.map((text, i) => `${i === 0 ? "-" : " "} ${text}`) : value;
  const path = edit.path.replace(/\[\d+\]$/, "");
  return [...lines, ...(isElement ? [`    ${path}:`] : []), ...snippet.map((text) => `    ${text}`)];
}

function changeLines(answer: Explanation, room: number, style: Style): string[] {
  const goal = answer.allowed ? "deny" : "allow";
  if (answer.change.length === 0) {
    if (answer.unchangeable === undefined) return [];
    if (answer.unchangeable === "many-edits")
      return [`No short list of edits would ${goal} all of it: ask about fewer ends.`];
    const why =
      answer.unchangeable === "no-expression" ? "no policy can tell this apart" : exemptionText[answer.unchangeable];
    return [`No change of policies would ${goal} it: ${why}.`];
  }
  const count = answer.change.length;
  const together = count === 1 ? "" : count === 2 ? ", both together" : `, all ${count} together`;
  const title = style.strong(`Smallest change that would ${goal} it${together}:`);
  const full = answer.change.flatMap(editLines);
  const brief = answer.change.map((edit) => editLines(edit)[0]!);
  const alternatives = answer.alternatives
    .slice(0, 2)
    .map((edits) => `  or: ${oneLine(edits.map(({ text }) => text).join("; and "))}`);
  for (const lines of [[...full, ...alternatives], full, brief]) if (lines.length < room) return [title, ...lines];
  const kept = brief.slice(0, Math.max(1, room - 2));
  return [title, ...kept, `  and ${brief.length - kept.length} more edits (-o yaml has all)`];
}

/** At most 20 lines: the verdict, both directions with the deciding rules, the smallest change. */
export function explanationText(answer: Explanation, style: Style = plain): string {
  const part = partText(answer);
  const lines = [`${headline(answer, style)}${part === "" ? "" : `  ${part}`}`];
  if (answer.pairs > 1) {
    const which = answer.counterexample ?? answer.example;
    const pairs = `${answer.pairs} pairs asked`;
    lines.push(which === undefined ? `${pairs}` : `${pairs}; for instance ${flowText(which)}:`);
  }
  for (const direction of directions) lines.push(...directionLines(answer, direction, style));
  lines.push(...changeLines(answer, maxLines - lines.length, style));
  return lines.map((text) => `${text}\n`).join("");
}
