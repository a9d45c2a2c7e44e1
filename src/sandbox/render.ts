/** A verification for people: matrix, mismatches, summary. */
import type { Direction } from "../policy/model/verdict.ts";
import { oneLine } from "../report/escape.ts";
import { directionText, place, reasonText } from "../report/reason.ts";
import type { Style } from "../report/style.ts";
import type { CellEntry, DropEntry, MismatchEntry, Verification } from "./verification.ts";

/** Counts of the cells between two groups: workloads, nodes, the outside. */
interface Tally {
  allowed: number;
  denied: number;
  wrong: number;
}

/** Adds up cells for the matrix while they come. */
export class MatrixTally {
  readonly #rows = new Map<string, Map<string, Tally>>();
  readonly #groups = new Set<string>();

  add(from: string, to: string, allowed: boolean, wrong: boolean): void {
    this.#groups.add(from).add(to);
    const row = this.#rows.get(from) ?? new Map<string, Tally>();
    this.#rows.set(from, row);
    const tally = row.get(to) ?? { allowed: 0, denied: 0, wrong: 0 };
    row.set(to, tally);
    if (allowed) tally.allowed++;
    else tally.denied++;
    if (wrong) tally.wrong++;
  }

  /** Rows open connections to columns. */
  render(style: Style): string {
    const groups = [...this.#groups].sort(byKind);
    const cells = groups.map((from) => groups.map((to) => cellText(this.#rows.get(from)?.get(to))));
    const width = Math.max(String(groups.length).length, ...cells.flat().map((text) => text.length));
    const numberWidth = String(groups.length).length;
    const names = groups.map(oneLine);
    const nameWidth = Math.max("FROM \\ TO".length, ...names.map((name) => name.length));
    const paint = (text: string, padded: string): string =>
      text === "."
        ? style.good(padded)
        : text === "X"
          ? style.bad(padded)
          : text.endsWith("!")
            ? style.strong(padded)
            : padded;
    const header = groups.map((_, i) => String(i + 1).padStart(width)).join(" ");
    const lines = [`${" ".repeat(numberWidth)}  ${"FROM \\ TO".padEnd(nameWidth)}  ${header}`];
    for (const [i, row] of cells.entries()) {
      const text = row.map((cell) => paint(cell, cell.padStart(width))).join(" ");
      lines.push(`${String(i + 1).padStart(numberWidth)}  ${names[i]!.padEnd(nameWidth)}  ${text}`);
    }
    lines.push("", ".  every connection was made   X  every connection was dropped   3/8  made 3 of 8");
    if (cells.flat().some((text) => text.endsWith("!"))) lines.push("!  not what the engine says");
    return `${lines.map((text) => text.trimEnd()).join("\n")}\n`;
  }
}

/** Workloads by name, then nodes, then the outside. */
function byKind(a: string, b: string): number {
  const rank = (group: string): number => (group === "external" ? 2 : group.startsWith("node/") ? 1 : 0);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

function cellText(tally: Tally | undefined): string {
  if (tally === undefined) return "";
  const { allowed, denied, wrong } = tally;
  const text = denied === 0 ? "." : allowed === 0 ? "X" : `${allowed}/${allowed + denied}`;
  return wrong === 0 ? text : `${text}!`;
}

const connectionText = ({ from, to, address, family, protocol, port, service }: CellEntry): string => {
  const through = service === null ? "" : ` through ${service.ref} port ${service.port}`;
  const where = to.includes(address) ? to : `${to} (${address})`;
  return `${from} -> ${where} ${port}/${protocol} ${family}${through}`;
};

function dropText({ node, id, direction, tier, reasons }: DropEntry): string {
  if (direction === null) return `dropped on ${node}, id ${id}, which the node does not know`;
  const names = reasons.map((reason) => {
    const where = place(reason);
    return `${reasonText(reason, direction)}${where === "" ? "" : ` (${where})`}`;
  });
  return `dropped on ${node}: ${direction}, tier ${tier}, ${names.join(", ")}`;
}

export function mismatchText(mismatch: MismatchEntry, style: Style): string {
  const { explanations, kernel, differences } = mismatch;
  const side = (name: string, entries: (typeof explanations)["engine"]): string[] =>
    (["egress", "ingress"] satisfies Direction[]).map(
      (direction) =>
        `    ${name} ${direction}: ${entries[direction].verdict}, ${directionText(entries[direction], direction)}`,
    );
  const seen =
    explanations.kernel !== null
      ? dropText(explanations.kernel)
      : kernel === "allow"
        ? "the connection was answered"
        : "neither an answer nor a drop record";
  return `${[
    style.strong(connectionText(mismatch)),
    ...differences.map((difference) => `  ${style.bad("differs")}: ${difference}`),
    ...side("engine   ", explanations.engine),
    ...side("reference", explanations.reference),
    `    kernel: ${seen}`,
  ].join("\n")}\n`;
}

const plural = (n: number, what: string): string => `${n.toLocaleString("en-US")} ${what}${n === 1 ? "" : "s"}`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export interface WorldSize {
  readonly pods: number;
  readonly nodes: number;
  readonly services: number;
  readonly policies: number;
}

/** The last lines: what was built, asked and found. */
export function summaryText(found: Verification, size: WorldSize, style: Style): string {
  const { evidence, mismatches, milliseconds } = found;
  const asked = evidence.answered + evidence.dropped;
  const lines = [
    `${plural(size.pods, "pod")}, ${plural(size.nodes, "node")}, ${plural(size.services, "Service port")}, ${size.policies === 1 ? "1 policy" : `${size.policies} policies`}`,
    `${plural(evidence.baseline, "connection")} without policies: all made`,
    `${plural(asked, "connection")} with policies: ${plural(evidence.answered, "answer")}, ${plural(evidence.dropped, "drop")}, each logged by the rule that decided`,
    `built in ${seconds(milliseconds.build)}, programmed in ${seconds(milliseconds.program)}, probed in ${seconds(milliseconds.baseline + milliseconds.probe)}`,
  ];
  if (evidence.overruns > 0) lines.push(`drop logs overflowed ${evidence.overruns} times: some records were lost`);
  if (evidence.logged !== evidence.counted)
    lines.push(style.bad(`${evidence.logged} drops were logged, but ${evidence.counted} counted`));
  if (evidence.strays.length > 0)
    lines.push(
      style.bad(`${plural(evidence.strays.length, "packet")} dropped that no probe sent:`),
      ...evidence.strays.slice(0, 5).map(({ node, id, packet }) => `  ${node}: ${packet}, id ${id}`),
    );
  const verdict = found.agree
    ? style.good("engine, reference and kernel agree")
    : style.bad(mismatches.length === 1 ? "1 mismatch" : `${mismatches.length} mismatches`);
  return `${[...lines, found.complete ? verdict : `${verdict} (stopped early)`].join("\n")}\n`;
}
