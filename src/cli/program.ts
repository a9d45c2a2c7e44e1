/** The commander program, and the one place where errors become messages and exit codes. */
import { type Command, CommanderError, Command as Program } from "commander";
import { register as agent } from "./commands/agent.ts";
import { register as can } from "./commands/can.ts";
import { register as cni } from "./commands/cni.ts";
import { register as completion } from "./commands/completion.ts";
import { register as diff } from "./commands/diff.ts";
import { register as explain } from "./commands/explain.ts";
import { register as map } from "./commands/map.ts";
import { register as test } from "./commands/test.ts";
import { register as verify } from "./commands/verify.ts";
import { register as version } from "./commands/version.ts";
import { CliError, type ExitCode, Interrupted, type Io, type Shell, writeLines } from "./io.ts";

const examples = `
Examples:
  bulkhead can shop/deploy/web shop/deploy/db 5432          # in the cluster of the current kube context
  bulkhead can shop/deploy/web shop/deploy/db 5432 -f k8s/
  bulkhead explain shop/deploy/web external 443 -f k8s/
  bulkhead map -f k8s/ -o html > map.html
  bulkhead diff old/ new/ --fail-on widened
  bulkhead test policies_test.yaml
  bulkhead verify -f k8s/

Every command is also a kubectl command: kubectl bulkhead can ...
Exit codes: 0 fine, allowed, no difference; 1 findings, denied, difference; 2 could not answer; 130 interrupted.
`;

/** The whole program; parsing it runs a command, whose exit code is then in `shell.exitCode`. */
export function buildProgram(shell: Shell): Command {
  const { io } = shell;
  const program = new Program("bulkhead")
    .description("Kubernetes network policy: one engine for the terminal, CI and the kernel.")
    .usage("COMMAND [flags]")
    .version(`bulkhead ${shell.version}`, "--version", "print the version")
    .helpOption("-h, --help", "help for this command")
    .addHelpText("after", examples)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 120),
      getErrHelpWidth: () => Math.min(io.stderr.columns ?? 100, 120),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(text.replace(/^error: (.*?)\.?\s*$/s, "error: $1\n")),
    });
  program.commandsGroup("Ask:");
  for (const register of [can, explain, map, diff, test]) register(program, shell);
  program.commandsGroup("Prove:");
  verify(program, shell);
  program.commandsGroup("Enforce:");
  for (const register of [agent, cni]) register(program, shell);
  const other = "Other:";
  program.commandsGroup(other);
  for (const register of [completion, version]) register(program, shell);
  program.addHelpCommand(new Program("help").argument("[command]").description("Help for a command").helpGroup(other));
  return program;
}

/**
 * kubectl's users write flags anywhere; flags in front of the verb are moved behind it.
 * @example ["-f", "k8s", "map", "-o", "json"] → ["map", "-f", "k8s", "-o", "json"]
 */
function verbFirst(program: Command, argv: readonly string[]): string[] {
  const takesValue = new Map<string, boolean>();
  for (const command of program.commands)
    for (const option of command.options)
      for (const flag of [option.short, option.long]) if (flag !== undefined) takesValue.set(flag, option.required);
  let i = 0;
  while (i < argv.length && argv[i]!.startsWith("-") && takesValue.has(argv[i]!.split("=")[0]!))
    i += takesValue.get(argv[i]!) === true ? 2 : 1;
  const isVerb = program.commands.some((command) => command.name() === argv[i]);
  return i > 0 && isVerb ? [argv[i]!, ...argv.slice(0, i), ...argv.slice(i + 1)] : [...argv];
}

/** Runs one command line (without `node` and the script). Never throws, never prints a stack trace unasked. */
export async function runCli(argv: readonly string[], io: Io, version: string): Promise<ExitCode> {
  const shell: Shell = { io, version, exitCode: 0 };
  try {
    const program = buildProgram(shell);
    if (argv[0] === "__complete" || argv[0] === "__completeNoDesc") {
      const { complete } = await import("./complete.ts");
      const { readForCompletion } = await import("./world.ts");
      const descriptions = argv[0] === "__complete";
      io.stdout.write(
        await complete(program, argv.slice(1), { descriptions, readWorld: (typed) => readForCompletion(typed, io) }),
      );
      return 0;
    }
    if (argv.length === 0) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync(verbFirst(program, argv), { from: "user" });
    return shell.exitCode;
  } catch (error) {
    return report(error, io, argv);
  }
}

function report(error: unknown, io: Io, argv: readonly string[]): ExitCode {
  if (error instanceof CommanderError) {
    // commander has printed its message, help or version already.
    if (error.exitCode === 0) return 0;
    const verb = argv.find((word) => !word.startsWith("-"));
    if (error.code !== "commander.help")
      io.stderr.write(
        `See 'bulkhead ${verb !== undefined && error.code !== "commander.unknownCommand" ? `${verb} ` : ""}--help'.\n`,
      );
    return 2;
  }
  if (error instanceof Interrupted) return 130;
  if (error instanceof CliError) {
    writeLines(io, ...`error: ${error.message}`.split("\n"), ...(error.hint === undefined ? [] : [error.hint]));
    return 2;
  }
  const trace = io.env["BULKHEAD_DEBUG"] === "1";
  const what = error instanceof Error ? (trace ? (error.stack ?? error.message) : error.message) : String(error);
  io.stderr.write(
    `error: a fault in bulkhead itself: ${what}\n${trace ? "" : "Run it again with BULKHEAD_DEBUG=1 for the details that a bug report needs.\n"}`,
  );
  return 2;
}
