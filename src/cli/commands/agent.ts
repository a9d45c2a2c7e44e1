/** `bulkhead agent` */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { AgentOptions } from "../../agent/agent.ts";
import type { ListenAddress } from "../../agent/health-server.ts";
import type { Log } from "../../agent/log.ts";
import { defaultSocket } from "../../cni/protocol.ts";
import type { Connection } from "../../kube/connection.ts";
import { CliError, type ExitCode, Interrupted, type Io, type Shell } from "../io.ts";
import { addColorOption, type OutputOptions, styleFor } from "../options.ts";

interface AgentCommandOptions extends OutputOptions {
  readonly nodeName?: string;
  readonly podCidr?: readonly string[];
  readonly podInterface?: readonly string[];
  readonly mixedGenerations?: boolean;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly healthAddress: string;
  readonly metricsAddress?: string;
  readonly logFormat: "json" | "text";
  readonly verbose?: boolean;
  readonly cniSocket?: string;
  readonly cniConfDir?: string;
  readonly table: string;
  readonly markMask: { readonly epochBits: number; readonly markShift: number };
  readonly logGroup: number;
  readonly priority: number;
  readonly check?: boolean;
  readonly uninstall?: boolean;
  readonly output: "table" | "json";
}

const collect = (value: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  ...value.split(",").filter((part) => part !== ""),
];

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("agent")
    .summary("Enforce policies on a node of a cluster")
    .description(
      "Watch the cluster and keep this node's nftables at what its policies say. The rules stay in force when the agent ends, " +
        "however it ends; --uninstall removes them.",
    )
    .usage("--node-name NAME [flags]");
  command.optionsGroup("This node:");
  command
    .addOption(new Option("--node-name <name>", "name of the Node object").env("NODE_NAME"))
    .addOption(
      new Option("--pod-cidr <cidr>", "range of this node's pods, beside its spec.podCIDRs (repeatable)").argParser(
        collect,
      ),
    )
    .addOption(
      new Option(
        "--pod-interface <name>",
        "this node's ends of its pods' links, a trailing * for any end: cali*; of pods on a bridge, the bridge (repeatable)",
      ).argParser(collect),
    );
  command.optionsGroup("The cluster (in a pod: its service account):");
  command
    .option("--kubeconfig <path>", "kubeconfig file (default: those of KUBECONFIG, or ~/.kube/config)")
    .option("--context <name>", "context of the kubeconfig (default: its current-context)")
    .option("--mixed-generations", "enforce ClusterNetworkPolicy and AdminNetworkPolicy together");
  command.optionsGroup("Health, metrics, log:");
  command
    .option("--health-address <address>", "where /healthz, /livez and /readyz are served", "127.0.0.1:9650")
    .option("--metrics-address <address>", "where /metrics is served; :9651 is every address (default: as health)")
    .addOption(
      new Option("--log-format <format>", "one JSON object a line, or text").choices(["json", "text"]).default("json"),
    )
    .option("-v, --verbose", "log every change");
  command.optionsGroup("The CNI plugin (bulkhead cni):");
  command
    .option("--cni-socket <path>", `where it asks (default: ${defaultSocket}, where that folder exists)`)
    .option("--cni-conf-dir <path>", "keep it in the chain of network plugins in this folder");
  command.optionsGroup("The kernel:");
  command
    .option("--table <name>", "name of the inet table", "bulkhead")
    .addOption(
      new Option("--mark-mask <mask>", "bits of the conntrack mark that are Bulkhead's, in one piece")
        .argParser(parseMask)
        .default({ epochBits: 16, markShift: 16 }, "0xffff0000"),
    )
    .addOption(
      new Option("--log-group <n>", "NFLOG group of dropped packets").argParser(numberFrom(0, 65_535)).default(4789),
    )
    .addOption(
      new Option("--priority <n>", "priority of the forward and input hooks")
        .argParser(numberFrom(-300, 300))
        .default(-5),
    );
  command.optionsGroup("Instead of enforcing:");
  command
    .option("--check", "say whether this node has what the agent needs, and what else is on it")
    .addOption(new Option("-o, --output <format>", "of --check").choices(["table", "json"]).default("table"))
    .option("--uninstall", "remove the rules and their marks from this node");
  command.optionsGroup("Options:");
  addColorOption(command)
    .addHelpText(
      "after",
      `
Needs NET_ADMIN in the node's network namespace. --check exits with 1 when something is missing or in the
way, with 2 when something could not be looked at.

Examples:
  bulkhead agent --node-name "$(hostname)"
  bulkhead agent --node-name worker-1 --pod-interface 'cali*' --log-format text
  bulkhead agent --check
  bulkhead agent --uninstall`,
    )
    .action(async (options: AgentCommandOptions) => {
      shell.exitCode = await run(options, shell.io);
    });
}

/** One run of 1 bits, at least two: 0xffff0000 → 16 bits from bit 16. */
function parseMask(text: string): { epochBits: number; markShift: number } {
  const mask = /^0x[0-9a-f]{1,8}$/i.test(text) ? Number(text) : Number.NaN;
  const bits = mask.toString(2);
  const [, ones = "", zeros = ""] = /^(1+)(0*)$/.exec(bits) ?? [];
  if (ones.length < 2)
    throw new InvalidArgumentError("It must be two or more bits in one piece, for example 0xff000000.");
  return { epochBits: ones.length, markShift: zeros.length };
}

const numberFrom =
  (least: number, most: number) =>
  (text: string): number => {
    const n = Number(text);
    if (!Number.isInteger(n) || n < least || n > most)
      throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
    return n;
  };

export async function run(options: AgentCommandOptions, io: Io): Promise<ExitCode> {
  if (process.platform !== "linux") throw new CliError("agent needs a Linux kernel");
  if (options.check === true && options.uninstall === true) throw new CliError("--check or --uninstall, not both");
  await checkNames(options);
  if (options.uninstall === true) return uninstall(options, io);
  if (options.check === true) return check(options, io);
  return enforce(options, io);
}

/** What is written into nftables scripts. */
async function checkNames({ podCidr = [], podInterface = [], table }: AgentCommandOptions): Promise<void> {
  const { parseCidr } = await import("../../net/address.ts");
  for (const cidr of podCidr) if (parseCidr(cidr) === null) throw new CliError(`--pod-cidr ${cidr}: not a CIDR`);
  const { checkedInterfaces } = await import("../../nftables/strangers.ts");
  await inWords(async () => checkedInterfaces(podInterface));
  if (!/^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(table)) throw new CliError(`--table ${table}: not a name of a table`);
}

/** What goes wrong here is the user's to mend: a line, and no fault of the program. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new CliError(error instanceof Error ? error.message : String(error));
  }
}

async function uninstall({ table }: AgentCommandOptions, io: Io): Promise<ExitCode> {
  const { runUninstall } = await import("../../agent/uninstall.ts");
  const { signal } = io;
  const done = await inWords(() => runUninstall(table, signal)).catch((error: unknown) => {
    throw signal.aborted ? new Interrupted() : error;
  });
  for (const line of done) io.stdout.write(`${line}\n`);
  return 0;
}

async function check(options: AgentCommandOptions, io: Io): Promise<ExitCode> {
  const { runCheck } = await import("../../agent/check/check.ts");
  const { checkExitCode, formatFindings } = await import("../agent-check.ts");
  const { table, logGroup, podCidr = [], podInterface = [], nodeName } = options;
  const connection = await connectionOf(options, io).catch((error: unknown) => (error as Error).message);
  const findings = await runCheck({
    table,
    logGroup,
    podCIDRs: podCidr,
    podInterfaces: podInterface,
    node: nodeName ?? null,
    connection,
  });
  io.stdout.write(formatFindings(findings, options.output, styleFor(io.stdout, options, io.env)));
  return checkExitCode(findings);
}

async function enforce(options: AgentCommandOptions, io: Io): Promise<ExitCode> {
  // A process that lives as long as its node, in memory that pods could have: the heap grows by little between collections.
  // A third less at 20,000 pods, for a third more CPU while they are first read.
  setFlagsFromString("--optimize-for-size");
  const agent = await agentOptions(options);
  const connection = await connectionOf(options, io);
  const { needRights } = await import("../../agent/check/node.ts");
  await inWords(async () => needRights());
  const { openLog } = await import("../../agent/log.ts");
  const log = await openLog({ format: options.logFormat, verbose: options.verbose ?? false });
  const { runAgent } = await import("../../agent/agent.ts");
  const { openRunner } = await import("../../nftables/runner.ts");
  const { EventWriter, followCluster, openClient } = await import("../../kube/index.ts");
  const { ownNetwork } = await import("../../netns/namespace.ts");
  io.signal.addEventListener("abort", () => log.info({}, "stopping"), { once: true });
  const client = openClient(connection);
  const events = new EventWriter(client, { node: agent.node });
  try {
    const runner = await openRunner();
    log.info({ node: agent.node, cluster: connection.description, nftables: runner.backend }, "starting");
    await runAgent(agent, {
      openFeed: () =>
        followCluster(client, {
          mixedGenerations: options.mixedGenerations ?? false,
          warn: (message) => log.warn({}, message),
        }),
      runner,
      network: ownNetwork,
      log,
      events,
      signal: io.signal,
    });
    return 0;
  } catch (error) {
    return fault(error, log);
  } finally {
    events.close();
    client.close();
    // A transaction that takes longer than an ending agent waits for is the kernel's: it commits all of it or nothing.
    setTimeout(() => process.exit(), 500).unref();
  }
}

/** An agent that can't go on ends, with one line in its own log; its rules stay, and kubelet starts it again. */
function fault(error: unknown, log: Log): ExitCode {
  const trace = process.env["BULKHEAD_DEBUG"] === "1" && error instanceof Error ? { stack: error.stack } : {};
  log.error(trace, `the agent ends: ${error instanceof Error ? error.message : String(error)}`);
  return 2;
}

async function agentOptions(options: AgentCommandOptions): Promise<AgentOptions> {
  const { nodeName, podCidr = [], podInterface = [], markMask, table, logGroup, priority, metricsAddress } = options;
  if (nodeName === undefined || nodeName === "")
    throw new CliError(
      "--node-name (or NODE_NAME) is needed",
      "The name of this machine's Node object: kubectl get nodes",
    );
  const { cniSocket = existsSync(dirname(defaultSocket)) ? defaultSocket : null, cniConfDir = null } = options;
  return {
    node: nodeName,
    podCIDRs: podCidr,
    podInterfaces: podInterface,
    table: { table, logGroup, priority, ...markMask },
    health: await addressOf("--health-address", options.healthAddress),
    metrics: metricsAddress === undefined ? null : await addressOf("--metrics-address", metricsAddress),
    cni: cniSocket === null ? null : { socket: cniSocket, confDir: cniConfDir },
  };
}

async function addressOf(flag: string, text: string): Promise<ListenAddress> {
  const { parseListenAddress } = await import("../../agent/health-server.ts");
  const address = parseListenAddress(text);
  if (address === null)
    throw new CliError(`${flag} ${text}: must be ADDRESS:PORT, for example 127.0.0.1:9650 or [::1]:9650`);
  return address;
}

/** A pod's own identity; elsewhere, or where a kubeconfig is named, that of a kubeconfig, whose library is large. */
async function connectionOf({ kubeconfig, context }: AgentCommandOptions, { env }: Io): Promise<Connection> {
  if (kubeconfig === undefined && context === undefined && (env["KUBERNETES_SERVICE_HOST"] ?? "") !== "") {
    const { inClusterConnection } = await import("../../kube/in-cluster.ts");
    return inClusterConnection({ environment: env });
  }
  const { kubeconfigConnection, KubeconfigError } = await import("../../kube/kubeconfig.ts");
  try {
    return await kubeconfigConnection({
      env,
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
      ...(context === undefined ? {} : { context }),
    });
  } catch (error) {
    if (!(error instanceof KubeconfigError)) throw error;
    throw new CliError(
      error.message,
      error.isAbsent
        ? "Outside a pod the agent needs a kubeconfig: --kubeconfig FILE, KUBECONFIG or ~/.kube/config."
        : error.hint,
    );
  }
}
