/**
 * Addresses of local pods that the container runtime knows better than the API server: it sets a pod's network up before
 * kubelet reports `status.podIPs`, and takes it down while the status still names them. The latest news wins: what the
 * runtime said holds until the API server says something that it had not said before.
 */
import type { Change } from "../policy/compile/plan.ts";
import { namespacedName, type Pod, type World } from "../policy/model/world.ts";
import type { PodIdentity } from "./pod-gate.ts";

/** What the runtime said about one pod. Plain data: it is kept on the host across restarts, see `early-store.ts`. */
export interface EarlyPod extends PodIdentity {
  /** The addresses that it has; null: those that the API server names, without `gone`. */
  readonly ips: readonly string[] | null;
  /** What the API server named when the runtime said so. */
  readonly told: readonly string[];
  /** Addresses that were taken from the pod, however long its status may name them. */
  readonly gone: readonly string[];
}

interface Entry extends EarlyPod {
  /** The newest object of the API server; null until the feed has brought it. */
  readonly api: Pod | null;
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((ip) => b.includes(ip));

/** Can they be the same pod? A uid that is not known may be any; the runtime calls a static pod by a uid of its own. */
export const isOneOf = (uid: string | null, pod: Pod): boolean =>
  uid === null || pod.uid == null || uid === pod.uid || uid === pod.staticUid;

/** The addresses of a pod, and what is still to be remembered of it. */
function settle(entry: Entry, api: Pod): { readonly ips: readonly string[]; readonly rest: Entry | null } {
  const told = api.ips.filter((ip) => !entry.gone.includes(ip));
  if (entry.ips !== null && (told.length === 0 || same(told, entry.told))) {
    return { ips: entry.ips, rest: { ...entry, api } };
  }
  const isNamed = api.ips.length === 0 || told.length < api.ips.length;
  return { ips: told, rest: entry.gone.length > 0 && isNamed ? { ...entry, ips: null, told, api } : null };
}

export class EarlyAddresses {
  readonly #entries: Map<string, Entry>;
  /** The newest sandbox of each pod that this process admitted, and its addresses. */
  readonly #sandboxes = new Map<string, { readonly id: string; readonly ips: readonly string[] }>();

  /** @param known from an earlier process; entries of pods that `world` then lacks are forgotten */
  constructor(known: readonly EarlyPod[] = []) {
    this.#entries = new Map(known.map((pod) => [namespacedName(pod), { ...pod, api: null }]));
  }

  /** What must outlive the process. */
  entries(): readonly EarlyPod[] {
    return Array.from(this.#entries.values(), ({ namespace, name, uid, ips, told, gone }) => ({
      namespace,
      name,
      uid,
      ips,
      told,
      gone,
    }));
  }

  /** The first world, with the addresses that pods really have. */
  world(world: World): World {
    if (this.#entries.size === 0) return world;
    const seen = new Set<string>();
    const pods = world.pods.map((pod) => {
      const key = namespacedName(pod);
      if (!this.#entries.has(key)) return pod;
      seen.add(key);
      return this.#put(key, pod);
    });
    for (const key of this.#entries.keys()) if (!seen.has(key)) this.#entries.delete(key);
    return { ...world, pods };
  }

  /** Changes of the API server, with the addresses that pods really have. */
  changes(changes: readonly Change[]): readonly Change[] {
    if (this.#entries.size + this.#sandboxes.size === 0) return changes;
    return changes.map((change) => {
      if (change.kind !== "pod") return change;
      if (change.op === "put") return { ...change, object: this.#put(namespacedName(change.object), change.object) };
      this.#entries.delete(change.key);
      this.#sandboxes.delete(change.key);
      return change;
    });
  }

  /**
   * The runtime gave a pod its addresses.
   * @param known the pod as the plan has it
   * @returns what changes in the plan
   */
  admit(pod: PodIdentity, ips: readonly string[], known: Pod): readonly Change[] {
    const key = namespacedName(pod);
    if (pod.sandbox != null) this.#sandboxes.set(key, { id: pod.sandbox, ips });
    const before = this.#entries.get(key);
    const api = before?.api ?? known;
    const gone = (before?.gone ?? []).filter((ip) => !ips.includes(ip));
    const told = api.ips.filter((ip) => !gone.includes(ip));
    if (same(told, ips)) {
      // The API server says the same: nothing has to be remembered but what went.
      if (gone.length === 0) this.#entries.delete(key);
      else this.#entries.set(key, { ...identity(pod), ips: null, told, gone, api });
    } else this.#entries.set(key, { ...identity(pod), ips, told, gone, api });
    return same(known.ips, ips) ? [] : [put({ ...api, ips })];
  }

  /**
   * The runtime took the network of one of a pod's sandboxes down.
   * @param ips empty where the runtime does not know them any more
   * @returns what changes in the plan
   */
  release(pod: PodIdentity, ips: readonly string[], known: Pod | undefined): readonly Change[] {
    if (known === undefined || !isOneOf(pod.uid, known)) return [];
    const key = namespacedName(pod);
    const before = this.#entries.get(key);
    const api = before?.api ?? known;
    const lost = this.#lost(key, pod.sandbox ?? null, ips);
    if (lost.length === 0) return [];
    const gone = [...new Set([...(before?.gone ?? []), ...lost])];
    const left = known.ips.filter((ip) => !gone.includes(ip));
    const told = api.ips.filter((ip) => !gone.includes(ip));
    this.#entries.set(key, { ...identity(pod), ips: same(left, told) ? null : left, told, gone, api });
    return same(known.ips, left) ? [] : [put({ ...api, ips: left })];
  }

  /** The addresses that go with a sandbox: those of the pod's next one stay, and without one that is known nothing is. */
  #lost(key: string, sandbox: string | null, ips: readonly string[]): readonly string[] {
    const newest = this.#sandboxes.get(key);
    if (newest === undefined) return ips;
    if (sandbox !== null && sandbox !== newest.id) return ips.filter((ip) => !newest.ips.includes(ip));
    if (sandbox === newest.id) this.#sandboxes.delete(key);
    return ips.length > 0 || sandbox === null ? ips : newest.ips;
  }

  #put(key: string, pod: Pod): Pod {
    const entry = this.#entries.get(key);
    if (entry === undefined) return pod;
    if (!isOneOf(entry.uid, pod) || (entry.api?.uid != null && !isOneOf(entry.api.uid, pod))) {
      this.#entries.delete(key); // another pod of the same name
      return pod;
    }
    const { ips, rest } = settle(entry, pod);
    if (rest === null) this.#entries.delete(key);
    else this.#entries.set(key, rest);
    return same(ips, pod.ips) ? pod : { ...pod, ips };
  }
}

const identity = ({ namespace, name, uid }: PodIdentity): PodIdentity => ({ namespace, name, uid });
const put = (object: Pod): Change => ({ op: "put", kind: "pod", object });
