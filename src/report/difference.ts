/** `diff` as table, Markdown (for a pull request) and Mermaid. */
import type { Difference, DifferenceEntry } from "../policy/analyze/types.ts";
import { formatPolicyRef, type PolicyRef } from "../policy/model/policy.ts";
import { connectionPorts, endpointLabel } from "./endpoint.ts";
import { markdown, markdownCode, mermaidLabel, oneLine } from "./escape.ts";
import { formatPorts } from "./ports.ts";
import { plain, type Style } from "./style.ts";
import { type TableOptions, table } from "./table.ts";

type Change = "added" | "removed" | "changed";
const changes: readonly Change[] = ["added", "removed", "changed"];
const sign: Readonly<Record<Change, string>> = { added: "+", removed: "-", changed: "~" };

const policiesText = (policies: readonly PolicyRef[]): string => {
  const shown = policies.slice(0, 3).map(formatPolicyRef).join(", ");
  return policies.length > 3 ? `${shown} and ${policies.length - 3} more` : shown;
};

/** What became possible and what no longer is: `+9187/TCP -80/TCP`. */
function deltaText({ widened, narrowed }: DifferenceEntry): string {
  const parts = [
    ...(widened.length > 0 ? [`+ ${formatPorts(widened)}`] : []),
    ...(narrowed.length > 0 ? [`- ${formatPorts(narrowed)}`] : []),
  ];
  return parts.join("  ");
}

const entries = (difference: Difference): { change: Change; entry: DifferenceEntry }[] =>
  changes.flatMap((change) => difference[change].map((entry) => ({ change, entry })));

const countText = (n: number, what: string): string => `${n} ${what}`;

/** `3 added, 1 removed, 2 changed: widened and narrowed` */
export function differenceSummary({ added, removed, changed, widened, narrowed }: Difference): string {
  const counts = [
    countText(added.length, "added"),
    countText(removed.length, "removed"),
    countText(changed.length, "changed"),
  ];
  const effect = [...(widened ? ["widened"] : []), ...(narrowed ? ["narrowed"] : [])].join(" and ");
  return effect === "" ? "no difference in connectivity" : `${counts.join(", ")}: connectivity is ${effect}`;
}

export function differenceTable(difference: Difference, style: Style = plain, options: TableOptions = {}): string {
  const paint: Readonly<Record<Change, (text: string) => string>> = {
    added: style.good,
    removed: style.bad,
    changed: style.warning,
  };
  const hasDelta = difference.changed.length > 0;
  const headers = ["change", "from", "to", "ports", ...(hasDelta ? ["delta"] : []), "policies"];
  const rows = entries(difference).map(({ change, entry }) => [
    paint[change](change),
    oneLine(entry.from),
    oneLine(entry.to),
    connectionPorts(entry),
    ...(hasDelta ? [change === "changed" ? deltaText(entry) : "-"] : []),
    policiesText(entry.policies),
  ]);
  const pods = [
    ...difference.endpoints.added.map((endpoint) => `new endpoint: ${endpointLabel(endpoint)}`),
    ...difference.endpoints.removed.map((endpoint) => `endpoint gone: ${endpointLabel(endpoint)}`),
  ];
  const body = rows.length === 0 ? "" : table(headers, rows, options);
  return `${body}${pods.map((text) => `${text}\n`).join("")}`;
}

export function differenceMarkdown(difference: Difference): string {
  const rows = entries(difference).map(
    ({ change, entry }) =>
      `| ${sign[change]} ${change} | ${markdownCode(entry.from)} | ${markdownCode(entry.to)} | ${markdown(connectionPorts(entry))} | ` +
      `${markdown(change === "changed" ? deltaText(entry) : "")} | ${markdown(policiesText(entry.policies))} |`,
  );
  const title = `**Network policies: ${markdown(differenceSummary(difference))}**`;
  if (rows.length === 0) return `${title}\n`;
  return `${[title, "", "| Change | From | To | Ports | Delta | Policies |", "|---|---|---|---|---|---|", ...rows].join("\n")}\n`;
}

/** New connections thick, lost ones dotted, changed ones plain with both signs. */
export function differenceMermaid(difference: Difference): string {
  const id = new Map<string, string>();
  const node = (ref: string): string => {
    const known = id.get(ref);
    if (known !== undefined) return known;
    const name = `n${id.size}`;
    id.set(ref, name);
    return `${name}[${mermaidLabel(ref)}]`;
  };
  const line: Readonly<Record<Change, string>> = { added: "==>", removed: "-.->", changed: "-->" };
  const lines = entries(difference).map(({ change, entry }) => {
    const ports = change === "changed" ? deltaText(entry) : `${sign[change]} ${connectionPorts(entry)}`;
    return `  ${node(entry.from)} ${line[change]}|${mermaidLabel(ports)}| ${node(entry.to)}`;
  });
  return `${["flowchart LR", ...lines].join("\n")}\n`;
}
