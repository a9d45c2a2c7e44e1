/** `bulkhead map` */
import type { Command } from "commander";
import { Option } from "commander";
import { type Connectivity, isProblem, type Level } from "../../policy/analyze/types.ts";
import { CliError, type ExitCode, type Io, type Shell } from "../io.ts";
import { narrowed } from "../narrow.ts";
import {
  addManifestOptions,
  addOutputOption,
  addTableOptions,
  type ManifestOptions,
  styleFor,
  type TableOptions,
} from "../options.ts";
import { orFail, writeNotes } from "../question.ts";
import { openInput } from "../world.ts";

const formats = ["table", "matrix", "json", "yaml", "csv", "md", "dot", "mermaid", "svg", "html"] as const;

export interface MapOptions extends ManifestOptions, TableOptions {
  readonly output: (typeof formats)[number];
  readonly level: Level;
  readonly focus?: string;
  readonly selector?: string;
}

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("map")
    .summary("Who can reach whom, on what?")
    .description(
      "Show every connection that the policies allow; a pair that is missing is denied. -n, -l and --focus keep the " +
        "connections that have at least one end in what they name.",
    )
    .usage("[-f FILE|DIR] [flags]");
  addManifestOptions(addOutputOption(command, formats), {
    namespace: "only connections from or to this namespace; also that of objects that name none",
  });
  addTableOptions(
    command
      .option("-A, --all-namespaces", "all namespaces (the default)")
      .option("-l, --selector <labels>", "only connections from or to pods with these labels (app=web,tier!=db)")
      .option("--focus <ref>", "only connections from or to this reference")
      .addOption(
        new Option("--level <level>", "a row for each workload, or for each pod")
          .choices(["workload", "pod"])
          .default("workload"),
      ),
  )
    .addHelpText(
      "after",
      `
Examples:
  bulkhead map                                 # the cluster of the current kube context
  bulkhead map -f k8s/
  bulkhead map -f k8s/ -o matrix
  bulkhead map -f k8s/ -n shop -o mermaid
  bulkhead map -f k8s/ --focus data/sts/orders-db
  bulkhead map -f k8s/ -o html > map.html
  kubectl get ns,nodes,pods,svc,netpol -A -o yaml | bulkhead map -f - -o svg > map.svg`,
    )
    .action(async (options: MapOptions & { readonly allNamespaces?: boolean }) => {
      const { namespace, allNamespaces, ...rest } = options;
      const wanted = namespace === undefined || allNamespaces === true ? rest : { ...rest, namespace };
      shell.exitCode = await run(wanted, shell.io);
    });
}

/** Some minutes and gigabytes: what can still be made into text, and more than anyone reads. */
const maxConnections = 1_000_000;

export async function run(options: MapOptions, io: Io): Promise<ExitCode> {
  const { connectivity } = await import("../../policy/analyze/connectivity.ts");
  const { parseReference } = await import("../../policy/analyze/reference.ts");
  const { focus, level } = options;
  const input = await openInput(options, io);
  const context = { defaultNamespace: input.namespace };
  const focused = focus === undefined ? {} : { focus: orFail(parseReference(focus, context)) };
  const plan = await input.plan();
  const whole = connectivity(plan, { level, limit: maxConnections, ...focused });
  if (isProblem(whole) && whole.problem === "too-large")
    throw new CliError(`the map has ${whole.message}: ask for a part of it with --focus REF`);
  const map = narrowed(orFail(whole), plan, options, input.name);
  writeNotes(map.notes, io);
  io.stdout.write(await render(map, options, io));
  return 0;
}

async function render(map: Connectivity, options: MapOptions, io: Io): Promise<string> {
  const text = await import("../../report/connectivity.ts");
  const style = styleFor(io.stdout, options, io.env);
  switch (options.output) {
    case "table":
      if (map.connections.length > 0) return text.connectivityTable(map, { headers: options.headers !== false });
      // As kubectl says that it found nothing.
      io.stderr.write(hasPods(map) ? "No connections are allowed.\n" : "No pods: there is nothing to connect.\n");
      return "";
    case "matrix":
      return text.connectivityMatrix(map, style);
    case "csv":
      return text.connectivityCsv(map);
    case "md":
      return text.connectivityMarkdown(map);
    case "dot":
      return text.connectivityDot(map);
    case "mermaid":
      return text.connectivityMermaid(map);
    case "json":
    case "yaml":
      return (await import("../../report/yaml.ts")).toData(options.output, map);
    case "svg":
      return (await import("../../report/svg.ts")).connectivitySvg(map);
    case "html":
      return (await import("../../report/html.ts")).connectivityHtml(map);
  }
}

const hasPods = ({ endpoints }: Connectivity): boolean =>
  endpoints.some(({ kind }) => kind === "pod" || kind === "workload");
