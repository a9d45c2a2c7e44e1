/**
 * Reads Kubernetes manifests into a World. Nothing is skipped silently: what can't be read is a problem with its place, what
 * is of no use is counted.
 */
import { formatCidr, parseCidr } from "../net/address.ts";
import type { World } from "../policy/model/world.ts";
import { applied, madeFromOldTemplates } from "./apply.ts";
import { assemble } from "./assemble.ts";
import { type Decoded, type DecodeOptions, decodeObject } from "./decode.ts";
import { readInputs, readStdin } from "./input.ts";
import type { Problem } from "./problem.ts";
import { type Reading, readObjects } from "./read.ts";
import { identityKey } from "./record.ts";
import { removeObjects } from "./remove.ts";

export type { Decoded } from "./decode.ts";
export { formatProblem, type Problem, type Severity } from "./problem.ts";

export interface ReadOptions {
  /** `-R`: folders in folders too. */
  readonly recursive?: boolean;
  /** Decides what is a valid policy; default: the newest known. */
  readonly kubernetesVersion?: string;
  /** Default: experimental. */
  readonly crdChannel?: "standard" | "experimental";
  /** Take ClusterNetworkPolicy beside (Baseline)AdminNetworkPolicy (spec C18). */
  readonly mixedGenerations?: boolean;
  /** For namespaced objects that name none; default: `default`. */
  readonly defaultNamespace?: string;
  /** Known beside those of the Nodes. */
  readonly podCIDRs?: readonly string[];
  readonly serviceCIDRs?: readonly string[];
  /** What can't be read is a warning instead of an error. */
  readonly allowPartial?: boolean;
  /** The text of standard input, for `-`. */
  readonly stdin?: () => Promise<string>;
}

export interface Loaded {
  /** What could be read; all of it only when no problem is an error. */
  readonly world: World;
  /** In the order of the input, what the objects say together last. */
  readonly problems: readonly Problem[];
  /** How many objects of each `apiVersion/kind` were of no use. */
  readonly ignored: ReadonlyMap<string, number>;
  /** All objects of the input, those ignored included. */
  readonly objects: number;
  readonly files: number;
  /** What `overlay` and `without` start from. */
  readonly origin: Origin;
}

export interface Origin {
  readonly reading: Reading;
  readonly options: ReadOptions;
}

/**
 * Reads manifests.
 * @param files values of `-f`: a file, a folder, a pattern, or `-` for standard input; their order is kept
 */
export async function loadManifests(files: readonly string[], options: ReadOptions = {}): Promise<Loaded> {
  return joined(await read(files, options), options);
}

/**
 * Reads one object that an API server stores: complete, validated, and without a place in a file.
 * @param type what the list that it is an item of says; its items don't repeat it
 */
export function readStored(
  object: unknown,
  { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
  options: ReadOptions,
): Decoded {
  const value = { ...(object as Readonly<Record<string, unknown>>), apiVersion, kind };
  return decodeObject({ apiVersion, kind, value, source: null, duplicates: [] }, decodeOptions(options));
}

/** Joins what `readStored` gave. */
export function loadStored(decoded: readonly Decoded[], options: ReadOptions): Loaded {
  const records = decoded.flatMap(({ record }) => record ?? []);
  const problems = decoded.flatMap((one) => one.problems);
  return joined({ records, problems, ignored: new Map(), objects: decoded.length, files: 0 }, options);
}

/**
 * `--with`: objects of `files` replace those of the same identity in `base`, where they stand, else are added. A workload
 * whose template changes makes new pods: its old ones are gone. What a cluster filled in, such as addresses, stays. Options that are left out are those of `base`.
 */
export async function overlay(base: Loaded, files: readonly string[], options: ReadOptions = {}): Promise<Loaded> {
  const merged = { ...base.origin.options, ...options };
  const below = base.origin.reading;
  const above = await read(files, merged);
  const [added, named] = [above.records.filter((r) => r.generated), above.records.filter((r) => !r.generated)];
  const byKey = Map.groupBy(named, identityKey);
  const kept = below.records.flatMap((record) => {
    const replacing = byKey.get(identityKey(record));
    byKey.delete(identityKey(record));
    return replacing?.map((change) => applied(record, change)) ?? [record];
  });
  const outdated = madeFromOldTemplates(below.records, named);
  const ignored = new Map(below.ignored);
  for (const [kind, count] of above.ignored) ignored.set(kind, (ignored.get(kind) ?? 0) + count);
  const reading: Reading = {
    records: [...kept.filter((record) => !outdated.has(record)), ...[...byKey.values()].flat(), ...added],
    problems: [...below.problems, ...above.problems],
    ignored,
    objects: below.objects + above.objects,
    files: below.files + above.files,
  };
  return joined(reading, merged);
}

/**
 * `--without`: takes objects away, with everything that they own or contain.
 * @param refs `KIND/NAMESPACE/NAME`, `KIND/NAME` for cluster-scoped kinds and the default namespace; kubectl's short names
 *   hold. One that names nothing is an error problem.
 */
export function without(loaded: Loaded, refs: readonly string[]): Loaded {
  const { reading, options } = loaded.origin;
  const { records, problems } = removeObjects(reading.records, refs, options.defaultNamespace ?? "default");
  return joined({ ...reading, records, problems: [...reading.problems, ...problems] }, options);
}

async function read(files: readonly string[], options: ReadOptions): Promise<Reading> {
  const { recursive = false, stdin = readStdin } = options;
  const inputs = await readInputs(files, { recursive, stdin });
  return readObjects(inputs, decodeOptions(options));
}

const decodeOptions = ({
  defaultNamespace = "default",
  kubernetesVersion,
  crdChannel,
}: ReadOptions): DecodeOptions => ({
  defaultNamespace,
  ...(kubernetesVersion === undefined ? {} : { kubernetesVersion }),
  ...(crdChannel === undefined ? {} : { crdChannel }),
});

/** Errors that stay errors with `allowPartial`: they are not about input that is left out. */
const alwaysErrors: ReadonlySet<string> = new Set([
  "duplicate-object",
  "mixed-generations",
  "no-objects",
  "unknown-reference",
  "invalid-option",
]);

function joined(reading: Reading, options: ReadOptions): Loaded {
  const optionProblems: Problem[] = [];
  const { world, problems } = assemble(reading.records, {
    podCIDRs: cidrs("pod CIDR", options.podCIDRs ?? [], optionProblems),
    serviceCIDRs: cidrs("Service CIDR", options.serviceCIDRs ?? [], optionProblems),
    mixedGenerations: options.mixedGenerations ?? false,
  });
  const all = [...optionProblems, ...reading.problems, ...problems].map(
    (problem): Problem =>
      options.allowPartial === true && !alwaysErrors.has(problem.code) ? { ...problem, severity: "warning" } : problem,
  );
  const { ignored, objects, files } = reading;
  return { world, problems: all, ignored, objects, files, origin: { reading, options } };
}

function cidrs(what: string, texts: readonly string[], problems: Problem[]): string[] {
  return texts.flatMap((text) => {
    const parsed = parseCidr(text);
    if (parsed !== null) return [formatCidr(parsed.cidr)];
    const message = `${what} ${JSON.stringify(text)}: must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`;
    problems.push({ severity: "error", code: "invalid-option", message, position: null, path: [] });
    return [];
  });
}
