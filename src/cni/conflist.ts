/**
 * How Bulkhead gets into a node's chain of plugins. Container runtimes use the first file of the folder in the order of
 * names (containerd's go-cni, CRI-O's ocicni). The network plugin's own file is left alone, as many rewrite it whenever
 * they start, also after a reboot, and an entry inside it would be lost until the agent is back. Instead a copy with
 * Bulkhead as its first and last plugin is laid before it: `10-flannel.bulkhead.conflist` sorts right before
 * `10-flannel.conflist` (and before `.conf` and `.json`), has the same network name (which the addresses in use are filed
 * under), and stays in force whatever happens to the original.
 */
import { createHash } from "node:crypto";
import { defaultSocket } from "./protocol.ts";
import { isObject, type JsonObject } from "./result.ts";

export interface ConfFile {
  readonly name: string;
  readonly text: string;
}

/** What the plugin is told in its entry. What is left out stays as a copy that stands has it, else it is the plugin's default. */
export interface PluginSettings {
  readonly socket?: string;
  readonly timeoutSeconds?: number;
}

/** `type` of the entry, and the name of the program. */
export const pluginType = "bulkhead";
const ownEnding = ".bulkhead.conflist";
const endings = [".conflist", ".conf", ".json"];

export const isConf = (name: string): boolean => endings.some((ending) => name.endsWith(ending));
export const isOwn = (name: string): boolean => name.endsWith(ownEnding);
/** @example "10-flannel.conflist" → "10-flannel.bulkhead.conflist" */
export const ownName = (source: string): string => source.replace(/\.[^.]*$/, ownEnding);

/** A network configuration that can't be used; the message names the file. */
export class ConfError extends Error {
  override readonly name = "ConfError";
}

const isPlugin = (value: unknown): value is JsonObject =>
  isObject(value) && typeof value["type"] === "string" && value["type"] !== "";
const isBulkhead = (plugin: unknown): plugin is JsonObject => isObject(plugin) && plugin["type"] === pluginType;
const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

function parse({ name, text }: ConfFile): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ConfError(`${name} is not JSON`);
  }
  if (!isObject(value)) throw new ConfError(`${name} is not a JSON object`);
  return value;
}

/** A file as a list of plugins. A single plugin becomes a list as libcni makes one (ConfListFromConf). */
function asList(file: ConfFile): { readonly list: JsonObject; readonly plugins: readonly JsonObject[] } {
  const conf = parse(file);
  if (!file.name.endsWith(".conflist")) {
    if (!isPlugin(conf)) throw new ConfError(`${file.name} has no plugin type`);
    const { name = "", cniVersion } = conf;
    return { list: { name, ...(cniVersion === undefined ? {} : { cniVersion }) }, plugins: [conf] };
  }
  const { name, plugins } = conf;
  if (typeof name !== "string") throw new ConfError(`${file.name} has no name`);
  if (!Array.isArray(plugins) || plugins.length === 0) throw new ConfError(`${file.name} has no plugins`);
  if (!plugins.every(isPlugin)) throw new ConfError(`${file.name} has a plugin without a type`);
  return { list: conf, plugins };
}

/**
 * Network plugins whose ADD makes nothing of a previous result, read in their sources: the reference plugins 1.9, Flannel's,
 * Calico's, the AWS VPC CNI's and kindnet's. A gate hands an empty one to what comes after it, and the first plugin of a
 * list is never given one otherwise (specification, section 4): Cilium refuses to work with it, others take themselves for
 * chained ones.
 */
const gateable: ReadonlySet<string> = new Set([
  "bridge",
  "ptp",
  "macvlan",
  "vlan",
  "host-device",
  "flannel",
  "calico",
  "aws-cni",
  "cni-kindnet",
]);

/** ipvlan without a `master` takes it from the previous result. */
const canFollowGate = ({ type, master }: JsonObject): boolean =>
  gateable.has(String(type)) || (type === "ipvlan" && typeof master === "string" && master !== "");

/** Our entries of the copy: `gate` is null where there can be none. */
interface Entries {
  readonly gate: JsonObject | null;
  readonly holder: JsonObject;
}

/** `source` is for us: which text the copy was made from. @throws ConfError when there is no network plugin */
function entriesFor(source: ConfFile, { socket, timeoutSeconds }: PluginSettings): Entries {
  const first = asList(source).plugins.find((plugin) => !isBulkhead(plugin));
  if (first === undefined) throw new ConfError(`${source.name} has no network plugin`);
  const entry = {
    type: pluginType,
    ...(socket === undefined || socket === defaultSocket ? {} : { socket }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
  return {
    gate: canFollowGate(first) ? { ...entry, gate: true } : null,
    holder: { ...entry, source: { file: source.name, sha256: digest(source.text) } },
  };
}

const inOrder = ({ gate, holder }: Entries): readonly JsonObject[] => (gate === null ? [holder] : [gate, holder]);

/** The settings in a copy; none in what can't be read. */
function settingsIn(copy: ConfFile): PluginSettings {
  try {
    const { socket, timeoutSeconds } = asList(copy).plugins.find(isBulkhead) ?? {};
    return {
      ...(typeof socket === "string" ? { socket } : {}),
      ...(typeof timeoutSeconds === "number" ? { timeoutSeconds } : {}),
    };
  } catch {
    return {};
  }
}

/** The source with Bulkhead as its last plugin, and as its first where there can be a gate; all else is kept. @throws ConfError */
export function withBulkhead(source: ConfFile, settings: PluginSettings): ConfFile {
  const { list, plugins } = asList(source);
  const others = plugins.filter((plugin) => !isBulkhead(plugin));
  const { gate, holder } = entriesFor(source, settings);
  const chained = { ...list, plugins: [...(gate === null ? [] : [gate]), ...others, holder] };
  return { name: ownName(source.name), text: `${JSON.stringify(chained, null, 2)}\n` };
}

/**
 * Was the copy made from this very source, with these settings? What others have added to the copy since (service meshes
 * chain themselves into the first file too) is theirs to keep.
 */
function isCurrent(copy: ConfFile, source: ConfFile, settings: PluginSettings): boolean {
  try {
    const own = asList(copy).plugins.filter(isBulkhead);
    return JSON.stringify(own) === JSON.stringify(inOrder(entriesFor(source, settings)));
  } catch {
    return false;
  }
}

export interface Plan {
  /** The network plugin's file that runtimes would use without us; null when there is none. */
  readonly source: string | null;
  /** What to write, first of all; null when the copy is as it should be. */
  readonly write: ConfFile | null;
  /** Is there a gate before the network plugin? */
  readonly gate: boolean;
  /** Copies of files that are gone, or no longer the first. */
  readonly remove: readonly string[];
}

/**
 * What makes a folder right. Without any source all copies are in `remove`.
 * @throws ConfError when the first source can't be used: then nothing must be touched, it may be half written
 */
export function planConf(files: readonly ConfFile[], settings: PluginSettings): Plan {
  const first = files
    .filter(({ name }) => isConf(name) && !isOwn(name))
    .reduce<ConfFile | null>((least, file) => (least === null || file.name < least.name ? file : least), null);
  const copies = files.filter(({ name }) => isOwn(name));
  if (first === null) return { source: null, write: null, gate: false, remove: copies.map(({ name }) => name) };
  const told = Object.assign({}, ...copies.map(settingsIn), settings) as PluginSettings;
  const wanted = withBulkhead(first, told);
  const standing = copies.find(({ name }) => name === wanted.name);
  return {
    source: first.name,
    write: standing !== undefined && isCurrent(standing, first, told) ? null : wanted,
    gate: entriesFor(first, told).gate !== null,
    remove: copies.map(({ name }) => name).filter((name) => name !== wanted.name),
  };
}
