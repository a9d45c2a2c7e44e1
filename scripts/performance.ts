/** Writes docs/performance.md from the results of a run: `npm run docs:performance [-- FILE]`. */
import { readFileSync, writeFileSync } from "node:fs";
import {
  type Comparison,
  type Figure,
  latest,
  type Machine,
  type Results,
  readResults,
  type Suite,
} from "../bench/results.ts";
import { isMet } from "../bench/statistics.ts";
import { byGroup, formatNoise, formatTarget, formatValue } from "../bench/table.ts";

const page = "docs/performance.md";
/** Written by hand, from profiles. */
const costs = "bench/costs.md";

const cell = (text: string): string => text.replaceAll("|", "\\|");

function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) =>
    [figure.what, formatValue(figure), formatTarget(figure), formatNoise(figure), figure.detail ?? ""].map(cell),
  );
  return [["", "value", "target", "noise", "besides"], ["---", "---:", "---", "---", "---"], ...rows]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function comparisonSection({ title, head, rows, sources }: Comparison): string {
  const lines = [head, head.map(() => "---"), ...rows.map((row) => row.map(cell))];
  return `### ${title}

${lines.map((row) => `| ${row.join(" | ")} |`).join("\n")}

${sources.map((source) => `- ${source}`).join("\n")}
`;
}

const titles: Readonly<Record<string, string>> = { "agent-scale": "The agent of a large cluster" };

function suiteSection({ name, command, seconds, figures, notes, comparison, run }: Suite): string {
  const about = run === undefined ? "" : `, commit ${run.commit}, ${run.date.slice(0, 10)}, load ${loads(run.load)}`;
  return `## ${titles[name] ?? capital(name)}

\`${command}\`, ${seconds.toFixed(0)} s${about}

${Array.from(byGroup(figures), ([group, members]) => `${group === "" ? "" : `### ${capital(group)}\n\n`}${table(members)}`).join("\n\n")}

${notes.map((note) => `- ${note}`).join("\n")}
${comparison === undefined ? "" : `\n${comparisonSection(comparison)}`}`;
}

const loads = ([before, after]: Machine["load"]): string => `${before.toFixed(1)} before, ${after.toFixed(1)} after`;

function targetsSection(figures: readonly Figure[]): string {
  const aimed = figures.filter((figure) => figure.target !== undefined);
  const missed = aimed.filter((figure) => isMet(figure) === false);
  const summary = `${aimed.length - missed.length} of ${aimed.length} targets are met in this run.`;
  const list = missed.map(
    ({ group, ...figure }) =>
      `- not met: ${group === undefined ? "" : `${group}: `}${figure.what}: ${formatValue(figure)}, ${formatTarget(figure)}`,
  );
  return `${[summary, ...list].join("\n")}\n`;
}

function performancePage(results: Results, costsText: string): string {
  const { machine, suites, commit, date } = results;
  const [before] = machine.load;
  const busy =
    before > machine.cores
      ? " Other programs were using the machine: the times are longer than they would be on a quiet one."
      : "";
  return `# Performance

Written by \`npm run docs:performance\` from \`${latest}\`, which \`npm run bench\` leaves behind; do not edit.
\`npm run bench -- --quick\` takes less than a minute, \`npm run bench:compare -- A B\` compares two commits, or two files of results.

Commit ${commit}, ${date.slice(0, 10)}. ${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryMB / 1024)} GB; Linux ${machine.kernel}; Node ${machine.node}. Load ${loads(machine.load)}.${busy}

${targetsSection(suites.flatMap(({ figures }) => figures))}
How to read the tables: *median* figures stand with the median absolute deviation (MAD) and the interval that holds the
median with 95 % confidence; with fewer than six samples it is their whole range. *Best* figures are the least of all samples.

${suites.map(suiteSection).join("\n")}
${costsText}`;
}

writeFileSync(page, performancePage(readResults(process.argv[2] ?? latest), readFileSync(costs, "utf8")));
process.stdout.write(`${page}\n`);
