/** Writes docs/cli.md from the program itself, and docs/json.md: `npm run docs:cli`. */
import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { buildProgram } from "../src/cli/program.ts";

export const page = "docs/cli.md";

/** Help is asked for as a terminal of 100 columns would see it. */
function helpOf(path: readonly string[]): string {
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  const sink = { isTTY: false, columns: 100, write };
  const io = {
    stdout: sink,
    stderr: sink,
    stdin: { read: async () => "" },
    env: {},
    signal: new AbortController().signal,
  };
  const program = buildProgram({ io, version: "", exitCode: 0 });
  let command: Command = program;
  for (const name of path) command = command.commands.find((one) => one.name() === name)!;
  command.outputHelp();
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .trim();
}

export function cliPage(): string {
  const verbs = ["can", "explain", "map", "diff", "test", "verify", "cni", "completion", "version"];
  const section = (title: string, path: readonly string[]): string =>
    `## ${title}\n\n\`\`\`text\n${helpOf(path)}\n\`\`\`\n`;
  return `# Commands

Written by \`npm run docs:cli\` from the program itself; do not edit. The JSON that commands print is described in [json.md](json.md).

${[section("bulkhead", []), ...verbs.map((verb) => section(`bulkhead ${verb}`, [verb]))].join("\n")}`;
}

if (import.meta.main) {
  const { jsonPage, page: jsonFile } = await import("./json-docs.ts");
  writeFileSync(page, cliPage());
  writeFileSync(jsonFile, await jsonPage());
}
