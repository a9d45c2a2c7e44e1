/** `bulkhead cni` */
import type { Command } from "commander";
import { Argument, InvalidArgumentError } from "commander";
import type { HostFolders } from "../../cni/install.ts";
import { defaultSocket } from "../../cni/protocol.ts";
import { CliError, type ExitCode, type Io, type Shell } from "../io.ts";

type Action = "install" | "uninstall" | "config";

interface CniOptions {
  readonly binDir: string;
  readonly binDirOnHost?: string;
  readonly confDir: string;
  readonly socket?: string;
  readonly timeoutSeconds?: number;
  readonly keepProgram?: boolean;
}

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("cni")
    .summary("Hold a node's pods until their policies are in force")
    .description(
      "The chained CNI plugin: it holds the start of a pod until the agent of its node has the pod's policies in force. " +
        "Container runtimes call it; people, and the init container of the agent, install it.",
    )
    .usage("install|uninstall|config [flags]")
    .addArgument(
      new Argument("[action]", "install, uninstall, or config: print what install would write").choices([
        "install",
        "uninstall",
        "config",
      ]),
    );
  command.optionsGroup("The node:");
  command
    .option("--bin-dir <path>", "the runtime's folder of CNI plugins", "/opt/cni/bin")
    .option(
      "--bin-dir-on-host <path>",
      "the same folder as the host sees it (default: --bin-dir without a leading /host)",
    )
    .option("--conf-dir <path>", "the runtime's folder of network configurations", "/etc/cni/net.d")
    .option("--keep-program", "uninstall: leave the plugin's files, for runtimes that remember chains (CRI-O)");
  command.optionsGroup("The plugin:");
  command
    .option("--socket <path>", `the agent's socket (default: ${defaultSocket})`)
    .option(
      "--timeout-seconds <n>",
      "how long the start of a pod is held before the runtime tries again (default: 60)",
      parseSeconds,
    );
  command
    .addHelpText(
      "after",
      `
Examples:
  bulkhead cni install --bin-dir /host/opt/cni/bin --conf-dir /host/etc/cni/net.d
  bulkhead cni config
  bulkhead cni uninstall`,
    )
    .action(async (action: Action | undefined, options: CniOptions) => {
      shell.exitCode = await run(action, options, shell.io);
    });
}

/** kubelet gives a runtime 2 minutes; the plugin must be done before. */
function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 110)) throw new InvalidArgumentError("It must be above 0 and at most 110.");
  return seconds;
}

export async function run(action: Action | undefined, options: CniOptions, io: Io): Promise<ExitCode> {
  if (action === undefined) return call(io);
  const { pathOnHost, installCni, uninstallCni } = await import("../../cni/install.ts");
  const { binDir, binDirOnHost = pathOnHost(binDir), confDir: conf, socket, timeoutSeconds } = options;
  const folders: HostFolders = { program: { folder: binDir, onHost: binDirOnHost }, conf };
  const settings = {
    ...(socket === undefined ? {} : { socket }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
  try {
    if (action === "install") {
      const { program, source, written, gate } = installCni(folders, settings);
      io.stdout.write(`${program.path}: ${program.changed ? "installed" : "up to date"}\n`);
      if (source === null)
        io.stdout.write(`${conf}: no network plugin yet; the agent chains itself when there is one\n`);
      else {
        io.stdout.write(`${conf}/${source}: ${written === null ? "chained" : `chained now, by ${written}`}\n`);
        if (!gate)
          io.stdout.write(
            `${conf}/${source}: no gate, as its first plugin may not bear one: a pod's network is made before the agent is ready\n`,
          );
      }
    } else if (action === "uninstall") {
      const { removedConf, removedProgram } = uninstallCni(folders, { keepProgram: options.keepProgram ?? false });
      for (const name of removedConf) io.stdout.write(`${conf}/${name}: removed\n`);
      if (removedProgram) io.stdout.write(`${binDir}/bulkhead: removed\n`);
      if (removedConf.length === 0 && !removedProgram) io.stdout.write("not installed\n");
    } else {
      const { ownName, planConf } = await import("../../cni/conflist.ts");
      const { readFolder } = await import("../../cni/conf-folder.ts");
      const files = readFolder(conf);
      const { source, write } = planConf(files, settings);
      if (source === null) throw new CliError(`${conf} has no network configuration`);
      const { name, text } = write ?? files.find((file) => file.name === ownName(source))!;
      io.stderr.write(`${conf}/${name}\n`);
      io.stdout.write(text);
    }
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(error instanceof Error ? error.message : String(error));
  }
  return 0;
}

/** A container runtime's call, should it call this program and not the one that `install` puts into its folder. */
async function call(io: Io): Promise<ExitCode> {
  if ((io.env["CNI_COMMAND"] ?? "") === "")
    throw new CliError(
      "bulkhead cni is called by container runtimes, which set CNI_COMMAND",
      "To put it into a node's chain of plugins: bulkhead cni install. See 'bulkhead cni --help'.",
    );
  const { runPlugin } = await import("../../cni/plugin.ts");
  const { exitCode, output } = await runPlugin(io.env, await io.stdin.read());
  if (output !== "") io.stdout.write(`${output}\n`);
  return exitCode;
}
