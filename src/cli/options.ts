/** Flags that several commands share, and their meaning. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { KubeconfigOptions } from "../kube/kubeconfig.ts";
import { ansi, plain, type Style } from "../report/style.ts";
import type { Io, Sink } from "./io.ts";

/** Flags of every command that prints. */
export interface OutputOptions {
  readonly color?: "auto" | "always" | "never";
}

/** Flags of commands that print a table. */
export interface TableOptions extends OutputOptions {
  readonly headers?: boolean;
}

/** Which cluster is read when no files are: kubectl's flags. */
export interface ClusterOptions
  extends Pick<
    KubeconfigOptions,
    "kubeconfig" | "context" | "cluster" | "user" | "server" | "token" | "as" | "asGroup"
  > {
  readonly requestTimeout?: string;
}

/** What commander makes of the flags of `addManifestOptions`. */
export interface ManifestOptions extends ClusterOptions {
  readonly filename?: readonly string[];
  readonly recursive?: boolean;
  readonly with?: readonly string[];
  readonly without?: readonly string[];
  readonly namespace?: string;
  readonly kubernetesVersion?: string;
  readonly crdChannel?: "standard" | "experimental";
  readonly mixedGenerations?: boolean;
  readonly podCidr?: readonly string[];
  readonly serviceCidr?: readonly string[];
  readonly allowPartial?: boolean;
  readonly verbose?: boolean;
}

export type FamilyOption = "IPv4" | "IPv6";

/** Repeatable flag: collects its values; commas inside a value are kept. */
const collect = (value: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  value,
];

/** Repeatable flag that also splits at commas, for values that hold none. */
const collectList = (value: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  ...value.split(",").filter((part) => part !== ""),
];

/** Repeatable `-f FILE`. */
const filenameOption = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(collect);

export function addColorOption(command: Command): Command {
  return command.addOption(
    new Option("--color <when>", "colour the text: auto (on a terminal, unless NO_COLOR is set), always or never")
      .choices(["auto", "always", "never"])
      .default("auto"),
  );
}

export const addTableOptions = (command: Command): Command =>
  addColorOption(command.option("--no-headers", "table without its first line"));

/** Help of -n where a command takes no references. */
export const objectsNamespaceHelp = "namespace of objects that name none (default: the context's, default with -f)";
const namespaceHelp = "namespace of references and objects that name none (default: the context's, default with -f)";

/** The flags that say which world is asked: files, or else a cluster. `namespace` is the help of -n. */
export function addManifestOptions(command: Command, { namespace = namespaceHelp } = {}): Command {
  command.optionsGroup("Manifests:");
  command
    .addOption(
      filenameOption(
        "-f, --filename <path>",
        "file or folder of manifests, or - for stdin (repeatable); without it the current kube context is read",
      ),
    )
    .addOption(filenameOption("--with <path>", "what if: lay these manifests over the others (repeatable)"))
    .addOption(
      new Option("--without <KIND/NS/NAME>", "what if: leave this object out (repeatable)").argParser(collectList),
    );
  command.option("-R, --recursive", "read folders with all their subfolders");
  command.option("-n, --namespace <name>", namespace);
  command
    .option("--kubernetes-version <version>", "validate as this version of Kubernetes does (default: the newest known)")
    .addOption(
      new Option("--crd-channel <channel>", "release channel of the cluster policy CRDs")
        .choices(["standard", "experimental"])
        .default("experimental"),
    )
    .option("--mixed-generations", "judge ClusterNetworkPolicy and AdminNetworkPolicy together")
    .addOption(
      new Option("--pod-cidr <cidr>", "range that pods get their addresses from (repeatable)").argParser(collectList),
    )
    .addOption(
      new Option("--service-cidr <cidr>", "range of the Services' addresses (repeatable)").argParser(collectList),
    )
    .option("--allow-partial", "answer from what could be read, even if some of it could not")
    .option("-v, --verbose", "say on stderr what was read and what was left out");
  command.optionsGroup("Cluster (without -f, as kubectl's):");
  command
    .option("--kubeconfig <path>", "kubeconfig file (default: those of KUBECONFIG, or ~/.kube/config)")
    .option("--context <name>", "context of the kubeconfig (default: its current-context)")
    .option("--cluster <name>", "cluster of the kubeconfig")
    .option("--user <name>", "user of the kubeconfig")
    .option("-s, --server <url>", "address of the API server")
    .option("--token <token>", "bearer token for the API server")
    .option("--as <user>", "user to impersonate")
    .addOption(new Option("--as-group <group>", "group to impersonate (repeatable)").argParser(collect))
    .option(
      "--request-timeout <time>",
      "how long one answer may keep us waiting: 1s, 2m, 3h; 0 for ever (default: 1m)",
    );
  command.optionsGroup("Options:");
  return command;
}

export function addFamilyOption(command: Command): Command {
  return command.addOption(
    new Option("--family <family>", "ask one address family only (default: every one that both ends have)")
      .choices(["IPv4", "IPv6"])
      .argParser(parseFamily),
  );
}

function parseFamily(text: string): FamilyOption {
  const family = { ipv4: "IPv4", ipv6: "IPv6" } as const;
  const found = family[text.toLowerCase() as keyof typeof family];
  if (found === undefined) throw new InvalidArgumentError("Allowed choices are IPv4, IPv6.");
  return found;
}

/** `-o`; the first format is the default. */
export function addOutputOption(command: Command, formats: readonly [string, ...string[]]): Command {
  return command.addOption(
    new Option("-o, --output <format>", "output format").choices([...formats]).default(formats[0]),
  );
}

/** Colour for one stream: the flag, then NO_COLOR (no-color.org), then FORCE_COLOR, then whether it is a terminal. */
export function styleFor(sink: Sink, { color }: OutputOptions, env: Io["env"]): Style {
  if (color === "always") return ansi;
  if (color === "never" || (env["NO_COLOR"] ?? "") !== "") return plain;
  const force = env["FORCE_COLOR"] ?? "";
  if (force !== "" && force !== "0") return ansi;
  return sink.isTTY && env["TERM"] !== "dumb" ? ansi : plain;
}
