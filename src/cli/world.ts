/** From `-f`, `--with` and `--without` to a world and its plan; problems of the input go to stderr. */
import type { Loaded, ReadOptions } from "../manifests/index.ts";
import type { LivePlan } from "../policy/compile/plan.ts";
import type { World } from "../policy/model/world.ts";
import { CliError, type Io, writeLines } from "./io.ts";
import type { ManifestOptions } from "./options.ts";

const readOptions = (options: ManifestOptions, io: Io): ReadOptions => ({
  recursive: options.recursive === true,
  mixedGenerations: options.mixedGenerations === true,
  allowPartial: options.allowPartial === true,
  podCIDRs: options.podCidr ?? [],
  serviceCIDRs: options.serviceCidr ?? [],
  defaultNamespace: options.namespace ?? "default",
  ...(options.kubernetesVersion === undefined ? {} : { kubernetesVersion: options.kubernetesVersion }),
  ...(options.crdChannel === undefined ? {} : { crdChannel: options.crdChannel }),
  stdin: io.stdin.read,
});

async function load(options: ManifestOptions, io: Io): Promise<Loaded> {
  const files = options.filename ?? [];
  if (files.length === 0)
    throw new CliError("no manifests given (use -f FILE|DIR|-); reading a live cluster is not in this version yet");
  if ([...files, ...(options.with ?? [])].filter((file) => file === "-").length > 1)
    throw new CliError("only one of -f and --with can be read from stdin, and only once");
  const { loadManifests } = await import("../manifests/index.ts");
  return loadManifests(files, readOptions(options, io));
}

async function changed(loaded: Loaded, { with: added = [], without: removed = [] }: ManifestOptions): Promise<Loaded> {
  const { overlay, without } = await import("../manifests/index.ts");
  const overlaid = added.length === 0 ? loaded : await overlay(loaded, added);
  return removed.length === 0 ? overlaid : without(overlaid, removed);
}

/** Says what is wrong with the input. Errors end the command: an answer from half of the input would be a guess. */
async function report(loaded: Loaded, options: ManifestOptions, io: Io): Promise<void> {
  const { formatProblem } = await import("../manifests/index.ts");
  writeLines(io, ...loaded.problems.map(formatProblem));
  if (options.verbose === true) {
    io.stderr.write(`read ${count(loaded.objects, "object")} from ${count(loaded.files, "file")}\n`);
    for (const [kind, n] of loaded.ignored) writeLines(io, `ignored ${n} ${kind}: no part in network policy`);
  }
  const errors = loaded.problems.filter(({ severity }) => severity === "error").length;
  if (errors === 0) return;
  const hint = options.allowPartial === true ? undefined : "--allow-partial answers from what could be read.";
  throw new CliError(`${count(errors, "error")} in the manifests`, hint);
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** The world after `--with` and `--without`. */
export async function readWorld(options: ManifestOptions, io: Io): Promise<World> {
  const loaded = await changed(await load(options, io), options);
  await report(loaded, options, io);
  return loaded.world;
}

/** The worlds before and after `--with` and `--without`; what is wrong with both is said once. */
export async function readBoth(options: ManifestOptions, io: Io): Promise<readonly [World, World]> {
  const before = await load(options, io);
  const after = await changed(before, options);
  const { formatProblem } = await import("../manifests/index.ts");
  const known = new Set(before.problems.map(formatProblem));
  await report(before, options, io);
  await report(
    { ...after, problems: after.problems.filter((problem) => !known.has(formatProblem(problem))) },
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

/** What a command line that is being typed can complete from; null when there is nothing to read, or not without waiting. */
export async function readForCompletion(files: readonly string[], recursive: boolean): Promise<World | null> {
  if (files.length === 0 || files.includes("-")) return null;
  const { loadManifests } = await import("../manifests/index.ts");
  try {
    return (await loadManifests(files, { recursive, allowPartial: true })).world;
  } catch {
    return null; // completion has no way to say what is wrong; running the command does
  }
}
