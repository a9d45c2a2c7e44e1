/** `bulkhead explain FROM TO [PORT]` */
import type { Command } from "commander";
import { explanationText } from "../../report/verdict.ts";
import { toData } from "../../report/yaml.ts";
import type { ExitCode, Io, Shell } from "../io.ts";
import { addColorOption, addFamilyOption, addManifestOptions, addOutputOption, styleFor } from "../options.ts";
import { type Question, question, referenceHelp, writeNotes } from "../question.ts";

export interface ExplainOptions extends Question {
  readonly output: "text" | "json" | "yaml";
}

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("explain")
    .summary("Which rules decide, and what would flip it?")
    .description(
      "Say for each direction which policies and rules decide, with file and line, and the smallest change that would " +
        "flip the verdict. Exits as `can` does.",
    )
    .usage("FROM TO [PORT] [flags]")
    .argument("<from>", "who opens the connection")
    .argument("<to>", "who is called")
    .argument("[port...]", "5432, 53/UDP, 8000-8100/TCP, http, any (the default) or icmp");
  addManifestOptions(addFamilyOption(addOutputOption(command, ["text", "json", "yaml"])));
  addColorOption(command)
    .addHelpText("after", referenceHelp)
    .addHelpText(
      "after",
      `
Examples:
  bulkhead explain shop/deploy/web data/sts/orders-db 5432 -f k8s/
  bulkhead explain external shop/deploy/web 8080 -f k8s/ --without NetworkPolicy/shop/default-deny
  bulkhead explain shop/deploy/web 203.0.113.9 443 -f k8s/ -o yaml`,
    )
    .action(async (from: string, to: string, rest: string[], options: Omit<ExplainOptions, "words">) => {
      shell.exitCode = await run({ ...options, words: [from, to, ...rest] }, shell.io);
    });
}

export async function run(options: ExplainOptions, io: Io): Promise<ExitCode> {
  const { explain } = await import("../../policy/analyze/explain.ts");
  const answer = await question(options, io, explain);
  writeNotes(answer.notes, io);
  if (options.output !== "text") io.stdout.write(toData(options.output, answer));
  else io.stdout.write(explanationText(answer, styleFor(io.stdout, options, io.env)));
  return answer.allowed ? 0 : 1;
}
