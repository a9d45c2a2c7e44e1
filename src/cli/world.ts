/** From `-f` or a kube context, `--with` and `--without` to a world and its plan; problems of the input go to stderr. */
import type { Loaded, ReadOptions } from "../manifests/index.ts";
import type { LivePlan } from "../policy/compile/plan.ts";
import type { World } from "../policy/model/world.ts";
import type { TypedInput } from "./complete.ts";
import { CliError, type Io, writeLines } from "./io.ts";
import type { ManifestOptions } from "./options.ts";

/** Where objects come from: the files of `-f`, or without any the cluster of the current kube context. */
export interface Input {
  /** Of references and objects that name none. */
  readonly namespace: string;
  /** For messages: `the manifests`, `context "prod" (https://10.0.0.1:6443)`. */
  readonly name: string;
  /** The world after `--with` and `--without`. */
  world(): Promise<World>;
  plan(): Promise<LivePlan>;
}

interface Origin {
  readonly namespace: string;
  readonly name: string;
  load(): Promise<Loaded>;
}

const readOptions = (options: ManifestOptions, namespace: string, io: Io): ReadOptions => ({
  recursive: options.recursive === true,
  mixedGenerations: options.mixedGenerations === true,
  allowPartial: options.allowPartial === true,
  podCIDRs: options.podCidr ?? [],
  serviceCIDRs: options.serviceCidr ?? [],
  defaultNamespace: namespace,
  ...(options.kubernetesVersion === undefined ? {} : { kubernetesVersion: options.kubernetesVersion }),
  ...(options.crdChannel === undefined ? {} : { crdChannel: options.crdChannel }),
  stdin: io.stdin.read,
});

async function originOf(options: ManifestOptions, io: Io): Promise<Origin> {
  const { filename: files = [], with: added = [] } = options;
  if ([...files, ...added].filter((file) => file === "-").length > 1)
    throw new CliError("only one of -f and --with can be read from stdin, and only once");
  if (files.length === 0) {
    const { openCluster } = await import("./cluster.ts");
    const cluster = await openCluster({ ...options, isStdinTaken: added.includes("-") }, io);
    const { namespace, description: name } = cluster;
    return { namespace, name, load: () => cluster.load(readOptions(options, namespace, io)) };
  }
  refuseClusterFlags(options);
  const namespace = options.namespace ?? "default";
  return {
    namespace,
    name: "the manifests",
    async load() {
      const { loadManifests } = await import("../manifests/index.ts");
      return loadManifests(files, readOptions(options, namespace, io));
    },
  };
}

/** `-f k8s/ --context prod` would look like an answer about prod. */
function refuseClusterFlags({ context, cluster, server }: ManifestOptions): void {
  const flag = Object.entries({ context, cluster, server }).find(([, value]) => value !== undefined)?.[0];
  if (flag !== undefined)
    throw new CliError(
      `-f reads files and --${flag} names a cluster: give one of them`,
      "--with FILE lays files over a cluster.",
    );
}

async function changed(loaded: Loaded, { with: added = [], without: removed = [] }: ManifestOptions): Promise<Loaded> {
  if (added.length + removed.length === 0) return loaded;
  const { overlay, without } = await import("../manifests/index.ts");
  const overlaid = added.length === 0 ? loaded : await overlay(loaded, added);
  return removed.length === 0 ? overlaid : without(overlaid, removed);
}

/** Says what is wrong with the input. Errors end the command: an answer from half of the input would be a guess. */
async function report(loaded: Loaded, name: string, options: ManifestOptions, io: Io): Promise<void> {
  const { formatProblem } = await import("../manifests/index.ts");
  writeLines(io, ...loaded.problems.map(formatProblem));
  if (options.verbose === true) {
    const cluster = (options.filename ?? []).length === 0 ? [name] : [];
    const from = [...cluster, ...(loaded.files === 0 ? [] : [count(loaded.files, "file")])].join(" and ");
    writeLines(io, `read ${count(loaded.objects, "object")} from ${from}`);
    for (const [kind, n] of loaded.ignored) writeLines(io, `ignored ${n} ${kind}: no part in network policy`);
  }
  const errors = loaded.problems.filter(({ severity }) => severity === "error").length;
  if (errors === 0) return;
  const hint = options.allowPartial === true ? undefined : "--allow-partial answers from what could be read.";
  throw new CliError(`${count(errors, "error")} in ${loaded.files === 0 ? name : "the manifests"}`, hint);
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Decides where to read from. Files and cluster are read when the world is asked for. */
export async function openInput(options: ManifestOptions, io: Io): Promise<Input> {
  const origin = await originOf(options, io);
  const world = async (): Promise<World> => {
    const loaded = await changed(await origin.load(), options);
    await report(loaded, origin.name, options, io);
    return loaded.world;
  };
  return { namespace: origin.namespace, name: origin.name, world, plan: async () => planOf(await world()) };
}

/** The world after `--with` and `--without`. */
export const readWorld = async (options: ManifestOptions, io: Io): Promise<World> =>
  (await openInput(options, io)).world();

/** The worlds before and after `--with` and `--without`; what is wrong with both is said once. */
export async function readBoth(options: ManifestOptions, io: Io): Promise<readonly [World, World]> {
  const { name, load } = await originOf(options, io);
  const before = await load();
  const after = await changed(before, options);
  const { formatProblem } = await import("../manifests/index.ts");
  const known = new Set(before.problems.map(formatProblem));
  await report(before, name, options, io);
  await report(
    { ...after, problems: after.problems.filter((problem) => !known.has(formatProblem(problem))) },
    name,
    { ...options, verbose: false },
    io,
  );
  return [before.world, after.world];
}

export async function planOf(world: World): Promise<LivePlan> {
  const { compile } = await import("../policy/compile/live-plan.ts");
  return compile(world);
}

export const readPlan = async (options: ManifestOptions, io: Io): Promise<LivePlan> =>
  planOf(await readWorld(options, io));

/** Longer than this nobody waits for a Tab; ms. */
const tabPatience = 2500;

/** What a command line that is being typed can complete from; null when there is nothing to read, or not without waiting. */
export async function readForCompletion({ files, recursive, cluster }: TypedInput, io: Io): Promise<World | null> {
  if (files.includes("-")) return null;
  try {
    if (files.length === 0) return await clusterForCompletion(cluster, io);
    const { loadManifests } = await import("../manifests/index.ts");
    return (await loadManifests(files, { recursive, allowPartial: true })).world;
  } catch {
    return null; // completion has no way to say what is wrong; running the command does
  }
}

async function clusterForCompletion(flags: TypedInput["cluster"], io: Io): Promise<World> {
  const { openCluster } = await import("./cluster.ts");
  const { load } = await openCluster({ ...flags, isStdinTaken: true, isTerminal: false }, io);
  return (await load({ allowPartial: true }, AbortSignal.timeout(tabPatience))).world;
}
