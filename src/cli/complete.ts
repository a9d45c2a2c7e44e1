/**
 * Shell completion, in cobra's protocol: one `value<TAB>description` a line, then `:DIRECTIVE`. kubectl asks plugins in it
 * (`kubectl_complete-bulkhead`), and so do the scripts of `bulkhead completion`.
 */
import type { Argument, Command, Option } from "commander";
import type { World } from "../policy/model/world.ts";

/** Cobra's bits. */
const directive = { files: 0, noSpace: 2, noFiles: 4 } as const;

interface Candidate {
  readonly value: string;
  readonly description?: string;
}

interface Completion {
  readonly candidates: readonly Candidate[];
  readonly directive: number;
}

/** What is typed already that says which world is meant. */
export interface TypedInput {
  readonly files: readonly string[];
  readonly recursive: boolean;
  /** Values of `--context`, `--kubeconfig` and their like, by the property of `ClusterOptions`. */
  readonly cluster: Readonly<Record<string, string>>;
}

/** Reads manifests or cluster of a command line that is being typed; null when that can't be done, or takes long. */
export type ReadWorld = (typed: TypedInput) => Promise<World | null>;

const none: Completion = { candidates: [], directive: directive.noFiles };
const files: Completion = { candidates: [], directive: directive.files };
const names = (values: Iterable<string>): Completion => ({
  candidates: [...new Set(values)].sort().map((value) => ({ value })),
  directive: directive.noFiles,
});

/** @param words what follows the program's name; the last one is being typed, "" when it has not been begun. */
export async function complete(
  program: Command,
  words: readonly string[],
  { descriptions, readWorld }: { readonly descriptions: boolean; readonly readWorld: ReadWorld },
): Promise<string> {
  const current = words.at(-1) ?? "";
  const { candidates, directive: bits } = await completion(program, words.slice(0, -1), current, readWorld);
  const lines = candidates
    .filter(({ value }) => value.startsWith(current))
    .map(({ value, description }) =>
      descriptions && description !== undefined && description !== "" ? `${value}\t${description}` : value,
    );
  return `${[...lines, `:${bits}`].join("\n")}\n`;
}

async function completion(
  program: Command,
  before: readonly string[],
  current: string,
  readWorld: ReadWorld,
): Promise<Completion> {
  const typed = read(program, before);
  const command = typed.command ?? program;
  const world = (): Promise<World | null> => readWorld(typed);
  if (typed.pending !== undefined) return optionValues(typed.pending, world);
  if (!typed.onlyArguments && current.startsWith("-")) {
    const equals = current.indexOf("=");
    if (equals < 0) return { candidates: flags(command), directive: directive.noFiles };
    const flag = current.slice(0, equals);
    const option = command.options.find(({ long }) => long === flag);
    if (option === undefined) return none;
    const values = await optionValues(option, world);
    const candidates = values.candidates.map(({ value, ...rest }) => ({ ...rest, value: `${flag}=${value}` }));
    return { ...values, candidates };
  }
  if (typed.command === undefined) return verbs(program);
  const declared = command.registeredArguments;
  const argument = declared[typed.arguments] ?? (declared.at(-1)?.variadic ? declared.at(-1) : undefined);
  return argument === undefined ? none : argumentValues(argument, program, world);
}

interface Typed extends TypedInput {
  readonly command: Command | undefined;
  /** Positional arguments behind the verb. */
  readonly arguments: number;
  /** The option whose value comes next. */
  readonly pending: Option | undefined;
  readonly onlyArguments: boolean;
}

const clusterFlags = ["--kubeconfig", "--context", "--cluster", "--user", "--server", "--token", "--as"];

function read(program: Command, words: readonly string[]): Typed {
  let command: Command | undefined;
  let count = 0;
  let pending: Option | undefined;
  let onlyArguments = false;
  let recursive = false;
  const paths: string[] = [];
  const cluster: Record<string, string> = {};
  const take = (option: Option, value: string): void => {
    if (isFile(option)) paths.push(value);
    else if (clusterFlags.includes(option.long ?? "")) cluster[option.attributeName()] = value;
  };
  const isFile = (option: Option): boolean => option.long === "--filename" || option.long === "--with";
  for (const word of words) {
    if (pending !== undefined) {
      take(pending, word);
      pending = undefined;
    } else if (onlyArguments || !word.startsWith("-") || word === "-") {
      if (command === undefined) command = program.commands.find((candidate) => candidate.name() === word);
      else count++;
    } else if (word === "--") {
      onlyArguments = true;
    } else {
      const [flag, value] = word.split("=", 2);
      // Before the verb, the flags of any command will do: they are moved behind it.
      const scope = command === undefined ? program.commands : [command];
      const option = scope.flatMap(({ options }) => options).find((o) => o.short === flag || o.long === flag);
      if (option?.long === "--recursive") recursive = true;
      if (option === undefined || !option.required) continue;
      if (value === undefined) pending = option;
      else take(option, value);
    }
  }
  return { command, arguments: count, pending, onlyArguments, files: paths, recursive, cluster };
}

const verbs = (program: Command): Completion => ({
  candidates: program.commands
    .filter((command) => !command.name().startsWith("__"))
    .map((command) => ({ value: command.name(), description: command.summary() || command.description() })),
  directive: directive.noFiles,
});

const flags = (command: Command): Candidate[] => [
  ...command.options
    .filter(({ hidden }) => !hidden)
    .flatMap(({ long, short, description }) =>
      [long, short].filter((flag) => flag !== undefined).map((value) => ({ value, description })),
    ),
  { value: "--help", description: "help for this command" },
];

async function optionValues(option: Option, world: () => Promise<World | null>): Promise<Completion> {
  if (option.argChoices !== undefined) return names(option.argChoices);
  switch (option.long) {
    case "--filename":
    case "--with":
      return files;
    case "--namespace":
      return names(((await world())?.namespaces ?? []).map(({ name }) => name));
    case "--focus":
      return names(references(await world()));
    case "--without":
      return names(
        ((await world())?.policies ?? []).map(({ kind, metadata }) =>
          [kind, metadata.namespace, metadata.name].filter((part) => part !== "").join("/"),
        ),
      );
    default:
      return none;
  }
}

async function argumentValues(
  argument: Argument,
  program: Command,
  world: () => Promise<World | null>,
): Promise<Completion> {
  if (argument.argChoices !== undefined) return names(argument.argChoices);
  switch (argument.name()) {
    case "from":
    case "to":
      return names(references(await world()));
    case "port": {
      const pods = (await world())?.pods ?? [];
      return names([
        "any",
        "icmp",
        ...pods.flatMap(({ ports }) =>
          ports.flatMap(({ name, number, protocol }) => [
            name,
            protocol === "TCP" ? `${number}` : `${number}/${protocol}`,
          ]),
        ),
      ]);
    }
    case "command":
      return verbs(program);
    default:
      return files;
  }
}

const shortKinds: Readonly<Record<string, string>> = {
  Deployment: "deploy",
  StatefulSet: "sts",
  DaemonSet: "ds",
  ReplicaSet: "rs",
  Job: "job",
  CronJob: "cj",
  Pod: "po",
};

function references(world: World | null): string[] {
  if (world === null) return ["external", "*/*"];
  return [
    "external",
    "*/*",
    ...world.namespaces.map(({ name }) => `${name}/*`),
    ...world.pods.map(({ namespace, workload }) => `${namespace}/${shortKinds[workload.kind]}/${workload.name}`),
    ...world.services.map(({ namespace, name }) => `${namespace}/svc/${name}`),
    ...world.nodes.map(({ name }) => `node/${name}`),
  ];
}
