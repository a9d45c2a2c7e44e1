/** `map` as text that people and other programs read: table, matrix, csv, md, dot, mermaid. */
import { families } from "../net/address.ts";
import type { ConnectionEntry, Connectivity } from "../policy/analyze/types.ts";
import { connectionPorts, endpointLabel, orderedEndpoints } from "./endpoint.ts";
import { csvLine, dotString, markdown, markdownCode, mermaidLabel, oneLine } from "./escape.ts";
import { byCluster, groupEndpoints, groupName, isJudged, shortName } from "./grouping.ts";
import { plain, type Style } from "./style.ts";
import { type TableOptions, table } from "./table.ts";

const sorted = (map: Connectivity): readonly ConnectionEntry[] => {
  const order = new Map(orderedEndpoints(map).map(({ ref }, i) => [ref, i]));
  const at = (ref: string): number => order.get(ref) ?? order.size;
  return [...map.connections].sort((a, b) => at(a.from) - at(b.from) || at(a.to) - at(b.to));
};

export function connectivityTable(map: Connectivity, options: TableOptions = {}): string {
  const label = labels(map);
  return table(
    ["from", "to", "ports"],
    sorted(map).map((c) => [label(c.from), label(c.to), connectionPorts(c)]),
    options,
  );
}

function labels(map: Connectivity): (ref: string) => string {
  const known = new Map(map.endpoints.map((endpoint) => [endpoint.ref, endpointLabel(endpoint)]));
  return (ref) => known.get(ref) ?? oneLine(ref);
}

/** One line for each range of ports; a class of addresses is all its CIDRs, blanks between them. */
export function connectivityCsv(map: Connectivity): string {
  const classes = new Map(
    map.endpoints.flatMap(({ kind, ref, ips }) =>
      kind === "cidr" && ref !== "external" ? [[ref, ips.join(" ")]] : [],
    ),
  );
  const lines = sorted(map)
    .flatMap((connection) => {
      const { ports, families: byFamily } = connection;
      const [from, to] = [connection.from, connection.to].map((ref) => classes.get(ref) ?? ref) as [string, string];
      const rows =
        byFamily === undefined ? [{ family: "", ports }] : families.map((f) => ({ family: f, ports: byFamily[f] }));
      return rows.flatMap(({ family, ports: list }) =>
        list.map(({ protocol, start, end }) => csvLine([from, to, protocol, `${start}`, `${end}`, family])),
      );
    })
    .join("");
  return csvLine(["from", "to", "protocol", "start", "end", "family"]) + lines;
}

export function connectivityMarkdown(map: Connectivity): string {
  const label = labels(map);
  const rows = sorted(map).map(
    (c) => `| ${markdownCode(label(c.from))} | ${markdownCode(label(c.to))} | ${markdown(connectionPorts(c))} |`,
  );
  const count = `${map.endpoints.length} endpoints, ${map.connections.length} connections; a pair that is missing is denied.`;
  return `${["| From | To | Ports |", "|---|---|---|", ...rows, "", count].join("\n")}\n`;
}

const symbols = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/**
 * Rows open connections to columns: `.` denied, `*` any port, a letter for a set of ports that the legend names. Rows that
 * may do the same are one row.
 */
export function connectivityMatrix(map: Connectivity, style: Style = plain): string {
  const groups = groupEndpoints(map);
  const marks = new Map<string, string>([["any", "*"]]);
  const mark = (ports: string): string => {
    const known = marks.get(ports);
    if (known !== undefined) return known;
    // More sets than symbols: the last symbol stands for all the rest.
    const next = symbols[Math.min(marks.size - 1, symbols.length - 1)]!;
    marks.set(ports, next);
    return next;
  };
  const names = groups.members.map((group) => groupName(group));
  const nameWidth = Math.max(4, ...names.map((name) => name.length));
  const numberWidth = String(groups.members.length).length;
  const paint = (cell: string): string =>
    cell === "." ? style.faint(cell) : cell === "*" ? style.warning(cell) : cell === " " ? cell : style.good(cell);
  const rows = groups.members.map((from, i) => {
    const cells = groups.members.map((to) => {
      const ports = groups.ports(from, to);
      if (!isJudged(from, to)) return " ";
      return ports === undefined ? "." : mark(ports);
    });
    const line = cells.map((cell) => paint(cell.padStart(1))).join(" ".repeat(numberWidth));
    return `${String(i + 1).padStart(numberWidth)}  ${names[i]!.padEnd(nameWidth)}  ${" ".repeat(numberWidth - 1)}${line}`;
  });
  const header = `${" ".repeat(numberWidth)}  ${"FROM \\ TO".padEnd(nameWidth)}  ${groups.members
    .map((_, i) => String(i + 1).padStart(numberWidth))
    .join(" ")}`;
  const used = [...marks].filter(([ports]) => ports !== "any" || rows.some((row) => row.includes("*")));
  const legend = [["denied", "."] as const, ...used].map(([ports, symbol]) => `${symbol}  ${ports}`);
  return `${[header, ...rows, "", ...legend].join("\n")}\n`;
}

export function connectivityDot(map: Connectivity): string {
  const groups = groupEndpoints(map);
  const id = new Map(groups.members.map((group, i) => [group, `n${i}`]));
  const lines = [
    "digraph connectivity {",
    '  graph [rankdir=LR, fontname="sans-serif"];',
    '  node [shape=box, style=rounded, fontname="sans-serif"];',
    '  edge [fontname="sans-serif", fontsize=10];',
  ];
  let cluster = 0;
  for (const { title, groups: members } of byCluster(groups.members).values()) {
    lines.push(`  subgraph cluster_${cluster++} {`, `    label=${dotString(title)};`);
    for (const group of members) lines.push(`    ${id.get(group)} [label=${dotString(shortName(group))}];`);
    lines.push("  }");
  }
  for (const { from, to, ports } of groups.edges())
    lines.push(`  ${id.get(from)} -> ${id.get(to)} [label=${dotString(ports)}];`);
  return `${lines.join("\n")}\n}\n`;
}

export function connectivityMermaid(map: Connectivity): string {
  const groups = groupEndpoints(map);
  const id = new Map(groups.members.map((group, i) => [group, `n${i}`]));
  const lines = ["flowchart LR"];
  let cluster = 0;
  for (const { title, groups: members } of byCluster(groups.members).values()) {
    lines.push(`  subgraph g${cluster++} [${mermaidLabel(title)}]`);
    for (const group of members) lines.push(`    ${id.get(group)}[${mermaidLabel(shortName(group))}]`);
    lines.push("  end");
  }
  for (const { from, to, ports } of groups.edges())
    lines.push(`  ${id.get(from)} -->|${mermaidLabel(ports)}| ${id.get(to)}`);
  return `${lines.join("\n")}\n`;
}
