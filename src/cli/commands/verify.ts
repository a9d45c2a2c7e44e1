/** `bulkhead verify` */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { Protocol } from "../../net/ports.ts";
import { CliError, type ExitCode, type Io, type Shell } from "../io.ts";
import {
  addColorOption,
  addFamilyOption,
  addManifestOptions,
  addOutputOption,
  type FamilyOption,
  type ManifestOptions,
  type OutputOptions,
  objectsNamespaceHelp,
  styleFor,
} from "../options.ts";
import { readWorld } from "../world.ts";

export interface VerifyOptions extends ManifestOptions, OutputOptions {
  readonly output: "table" | "json" | "matrix";
  readonly family?: FamilyOption;
  readonly protocol?: readonly Protocol[];
  readonly podsPerWorkload: number;
  readonly keepGoing?: boolean;
  readonly quiet?: boolean;
}

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("verify")
    .summary("Does the kernel decide as the engine says?")
    .description(
      "Build the cluster of the manifests, or of the current kube context, on this machine in network namespaces, program its policies into the real kernel, open " +
        "real connections between every pair, and compare each with what the engine says. Exits with 1 on a mismatch.",
    )
    .usage("[-f FILE|DIR] [flags]");
  addManifestOptions(addFamilyOption(addOutputOption(command, ["table", "json", "matrix"])), {
    namespace: objectsNamespaceHelp,
  });
  addColorOption(
    command
      .addOption(
        new Option("--protocol <protocols>", "probe these protocols only: TCP, UDP, SCTP, ICMP").argParser(
          parseProtocols,
        ),
      )
      .addOption(
        new Option("--pods-per-workload <n>", "most pods that stand for a workload: 1 or 2")
          .argParser(parsePods)
          .default(2),
      )
      .option("--keep-going", "probe everything, even after many mismatches")
      .option("-q, --quiet", "no progress and no matrix: only mismatches and the summary"),
  )
    .addHelpText(
      "after",
      `
Needs root, or a kernel that lets users make their own namespaces (unshare -Urn).

Examples:
  bulkhead verify -f k8s/
  bulkhead verify -f k8s/ -R --with new-policy.yaml -o json
  bulkhead verify -f k8s/ --family IPv6 --protocol TCP,UDP`,
    )
    .action(async (options: VerifyOptions) => {
      shell.exitCode = await run(options, shell.io);
    });
}

/** ICMP echo stands for everything that has no ports. */
const protocols = new Map<string, Protocol>([
  ["TCP", "TCP"],
  ["UDP", "UDP"],
  ["SCTP", "SCTP"],
  ["ICMP", "other"],
]);

function parseProtocols(text: string): Protocol[] {
  return text.split(",").map((word) => {
    const found = protocols.get(word.trim().toUpperCase());
    if (found === undefined)
      throw new InvalidArgumentError(`Allowed choices are ${[...protocols.keys()].join(", ")}, separated by commas.`);
    return found;
  });
}

function parsePods(text: string): number {
  const n = Number(text);
  if (n !== 1 && n !== 2) throw new InvalidArgumentError("It must be 1 or 2.");
  return n;
}

export async function run(options: VerifyOptions, io: Io): Promise<ExitCode> {
  await needKernel(options);
  const { family, protocol, output, podsPerWorkload, keepGoing = false, quiet = false } = options;
  const world = await readWorld(options, io);
  const { runVerify } = await import("../../sandbox/verify.ts");
  const { SandboxError } = await import("../../sandbox/error.ts");
  const style = styleFor(io.stdout, options, io.env);
  const asked = {
    ...(family === undefined ? {} : { families: [family] }),
    ...(protocol === undefined ? {} : { protocols: protocol }),
  };
  try {
    return await runVerify(world, { output, podsPerWorkload, keepGoing, quiet, style, ...asked }, io);
  } catch (error) {
    throw error instanceof SandboxError ? new CliError(error.message, error.hint) : error;
  }
}

/** Must come before anything is read or written: without root it starts the program again, inside a user namespace. */
async function needKernel({ filename = [] }: VerifyOptions): Promise<void> {
  if (process.platform !== "linux")
    throw new CliError("verify needs a Linux kernel", "can, explain, map, diff and test work everywhere.");
  if (filename.length === 0 && process.getuid?.() !== 0)
    throw new CliError(
      "verify of a cluster needs root: the namespaces that others may make have no network to reach it by",
      "kubectl get ns,nodes,pods,svc,deploy,sts,ds,netpol -A -o yaml | bulkhead verify -f -",
    );
  const { obtainRights } = await import("../../netns/rights.ts");
  const rights = obtainRights();
  if (rights.granted) return;
  throw new CliError(
    `verify may not make network namespaces here: ${rights.why}`,
    "Run it as root, or allow user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone (Debian), " +
      "kernel.apparmor_restrict_unprivileged_userns (Ubuntu).",
  );
}
