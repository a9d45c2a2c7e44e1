/** `bulkhead can FROM TO [PORT]` */
import type { Command } from "commander";
import { verdictLine } from "../../report/verdict.ts";
import { toData } from "../../report/yaml.ts";
import type { ExitCode, Io, Shell } from "../io.ts";
import { addColorOption, addFamilyOption, addManifestOptions, addOutputOption, styleFor } from "../options.ts";
import { type Question, question, referenceHelp, writeNotes } from "../question.ts";

export interface CanOptions extends Question {
  readonly output: "text" | "json" | "yaml";
  readonly quiet?: boolean;
}

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("can")
    .summary("May FROM open a connection to TO?")
    .description("Say in one line whether FROM may open a connection to TO. Exits with 0 if it may, 1 if it may not.")
    .usage("FROM TO [PORT] [flags]")
    .argument("<from>", "who opens the connection")
    .argument("<to>", "who is called")
    .argument("[port...]", "5432, 53/UDP, 8000-8100/TCP, http, any (the default) or icmp");
  addManifestOptions(addFamilyOption(addOutputOption(command, ["text", "json", "yaml"])));
  addColorOption(command.option("-q, --quiet", "print nothing, only set the exit code"))
    .addHelpText("after", referenceHelp)
    .addHelpText(
      "after",
      `
Examples:
  bulkhead can shop/deploy/web shop/deploy/db 5432          # in the cluster of the current kube context
  bulkhead can shop/deploy/web shop/deploy/db 5432 -f k8s/
  bulkhead can shop/deploy/web svc/kube-dns 53/UDP -n kube-system -f k8s/ -R
  bulkhead can '*/*' data/sts/orders-db -f k8s/ --with new-policy.yaml
  helm template ./chart | bulkhead can deploy/web external 443 -f -`,
    )
    .action(async (from: string, to: string, rest: string[], options: Omit<CanOptions, "words">) => {
      shell.exitCode = await run({ ...options, words: [from, to, ...rest] }, shell.io);
    });
}

export async function run(options: CanOptions, io: Io): Promise<ExitCode> {
  const { ask } = await import("../../policy/analyze/ask.ts");
  const answer = await question(options, io, ask);
  if (options.quiet !== true) {
    writeNotes(answer.notes, io);
    if (options.output !== "text") io.stdout.write(toData(options.output, answer));
    else io.stdout.write(`${verdictLine(answer, styleFor(io.stdout, options, io.env))}\n`);
  }
  return answer.allowed ? 0 : 1;
}
