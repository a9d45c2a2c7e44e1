/** Writes docs/cli.md from the program itself, and docs/json.md: `npm run docs:cli`. */
import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { buildProgram } from "../src/cli/program.ts";

export const page = "docs/cli.md";

/** The program, as a terminal of 100 columns would see it. */
function programFor(write: (part: string) => void): Command {
  const sink = { isTTY: false, columns: 100, write };
  const io = {
    stdout: sink,
    stderr: sink,
    stdin: { read: async () => "" },
    env: {},
    signal: new AbortController().signal,
  };
  return buildProgram({ io, version: "", exitCode: 0 });
}

/** @param verb null: of the program itself */
function helpOf(verb: string | null): string {
  let text = "";
  const program = programFor((part) => {
    text += part;
  });
  (program.commands.find((one) => one.name() === verb) ?? program).outputHelp();
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .trim();
}

export function cliPage(): string {
  const verbs = programFor(() => undefined).commands.map((command) => command.name());
  const section = (verb: string | null): string =>
    `## bulkhead${verb === null ? "" : ` ${verb}`}\n\n\`\`\`text\n${helpOf(verb)}\n\`\`\`\n`;
  return `# Commands

Written by \`npm run docs:cli\` from the program itself; do not edit. The JSON that commands print is described in [json.md](json.md).

${[null, ...verbs].map(section).join("\n")}`;
}

if (import.meta.main) {
  const { jsonPage, page: jsonFile } = await import("./json-docs.ts");
  writeFileSync(page, cliPage());
  writeFileSync(jsonFile, await jsonPage());
}
