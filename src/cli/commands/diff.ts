/** `bulkhead diff A B` and `bulkhead diff -f A --with FILE` */
import type { Command } from "commander";
import { Option } from "commander";
import type { Difference } from "../../policy/analyze/types.ts";
import type { World } from "../../policy/model/world.ts";
import { CliError, type ExitCode, type Io, type Shell } from "../io.ts";
import {
  addManifestOptions,
  addOutputOption,
  addTableOptions,
  type ManifestOptions,
  objectsNamespaceHelp,
  styleFor,
  type TableOptions,
} from "../options.ts";
import { planOf, readBoth, readWorld } from "../world.ts";

const formats = ["table", "json", "yaml", "md", "mermaid"] as const;
const effects = ["any", "widened", "narrowed"] as const;

export interface DiffOptions extends ManifestOptions, TableOptions {
  readonly before?: string;
  readonly after?: string;
  readonly output: (typeof formats)[number];
  readonly failOn: (typeof effects)[number];
}

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("diff")
    .summary("What would a change of manifests connect or cut off?")
    .description(
      "Compare what two sets of manifests allow, not how they are written: either two files or folders, or -f (without it: " +
        "the cluster of the current kube context) with what --with and --without make of it. Exits with 1 when there is a " +
        "difference.",
    )
    .usage("A B [flags] | [-f FILE|DIR] --with FILE [flags]")
    .argument("[before]", "manifests as they were")
    .argument("[after]", "manifests as they would be");
  addManifestOptions(addOutputOption(command, formats), { namespace: objectsNamespaceHelp });
  addTableOptions(
    command.addOption(
      new Option("--fail-on <effect>", "exit with 1 on any difference, or only when more or less is allowed")
        .choices([...effects])
        .default("any"),
    ),
  )
    .addHelpText(
      "after",
      `
Examples:
  bulkhead diff main/k8s pull-request/k8s -R
  bulkhead diff -f k8s/ --with new-policy.yaml
  bulkhead diff --with new-policy.yaml --context prod      # what applying it would do
  bulkhead diff -f k8s/ --without NetworkPolicy/shop/allow-dns
  bulkhead diff old/ new/ --fail-on widened -o md >> "$GITHUB_STEP_SUMMARY"`,
    )
    .action(async (before: string | undefined, after: string | undefined, options: DiffOptions) => {
      const sides = { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
      shell.exitCode = await run({ ...options, ...sides }, shell.io);
    });
}

export async function run(options: DiffOptions, io: Io): Promise<ExitCode> {
  const { difference } = await import("../../policy/analyze/difference.ts");
  const [before, after] = await sides(options, io);
  const result = difference(await planOf(before), await planOf(after));
  io.stdout.write(await render(result, options, io));
  const found = options.failOn === "any" ? isDifferent(result) : result[options.failOn];
  return found ? 1 : 0;
}

const isDifferent = ({ added, removed, changed }: Difference): boolean =>
  added.length + removed.length + changed.length > 0;

/** The worlds before and after. */
async function sides(options: DiffOptions, io: Io): Promise<readonly [World, World]> {
  const { filename = [], with: added = [], without: removed = [], before, after, ...rest } = options;
  const isWhatIf = added.length + removed.length > 0;
  if (before !== undefined && after !== undefined) {
    if (filename.length > 0) throw new CliError("give either two folders or -f, not both");
    if (before === "-" && after === "-") throw new CliError("only one side can be read from stdin");
    return [
      await readWorld({ ...rest, filename: [before] }, io),
      await readWorld({ ...rest, filename: [after], with: added, without: removed }, io),
    ];
  }
  if (before !== undefined && filename.length > 0) throw new CliError("give either two folders or -f, not both");
  const files = before === undefined ? filename : [before];
  if (!isWhatIf)
    throw new CliError(
      "nothing to compare with",
      "Give two files or folders, or --with FILE or --without KIND/NS/NAME.",
    );
  if (files.includes("-") && added.includes("-"))
    throw new CliError("only one of -f and --with can be read from stdin");
  return readBoth({ ...rest, filename: files, with: added, without: removed }, io);
}

async function render(result: Difference, options: DiffOptions, io: Io): Promise<string> {
  const text = await import("../../report/difference.ts");
  switch (options.output) {
    case "table":
      io.stderr.write(`${text.differenceSummary(result)}\n`);
      return text.differenceTable(result, styleFor(io.stdout, options, io.env), { headers: options.headers !== false });
    case "md":
      return text.differenceMarkdown(result);
    case "mermaid":
      return text.differenceMermaid(result);
    case "json":
    case "yaml":
      return (await import("../../report/yaml.ts")).toData(options.output, result);
  }
}
