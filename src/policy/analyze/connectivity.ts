/** The whole map: every pair of endpoints that may connect, and on what. Exact over ports and addresses. */
import { AddressSet } from "../../net/address.ts";
import type { Plan } from "../compile/plan.ts";
import type { Direction } from "../model/verdict.ts";
import type { Endpoint } from "./endpoint.ts";
import { portEntries } from "./entries.ts";
import { withHypothetical } from "./hypothetical.ts";
import { type MapEndpoint, mapEndpoints } from "./map-endpoints.ts";
import { isExempt, type MapRow, MapRows } from "./map-rows.ts";
import { type ClassMatrix, everything, noFamily, nothing } from "./matrix.ts";
import type { Reference } from "./reference.ts";
import { resolveReference } from "./resolve.ts";
import {
  apiVersion,
  type ConnectionEntry,
  type Connectivity,
  isProblem,
  type Level,
  type Ports,
  type Problem,
} from "./types.ts";

export interface ConnectivityOptions {
  /** Default: workload. */
  readonly level?: Level;
  /** Only connections with an end that this names, and the endpoints that they touch. */
  readonly focus?: Reference;
  /** With `focus`: only connections into it (ingress), or out of it (egress). */
  readonly direction?: Direction;
  /** false leaves out nodes; addresses outside. */
  readonly nodes?: boolean;
  readonly external?: boolean;
  /** More connections than this are a problem, before they fill the memory. Default: no limit. */
  readonly limit?: number;
}

/**
 * Every pair that may connect. Pairs without a pod, and an endpoint with itself, are left out; any other missing pair is
 * denied.
 *
 * At workload level a connection is what holds for all pods of both ends (a workload whose pods differ is several
 * endpoints), and a node counts as the own node of a workload when all its pods run on it.
 *
 * @example connectivity(plan, {level: "pod"})
 */
export function connectivity(real: Plan, options: ConnectivityOptions = {}): Connectivity | Problem {
  const plan = withHypothetical(real, options.focus === undefined ? [] : [options.focus]);
  const { level = "workload", limit = Number.POSITIVE_INFINITY } = options;
  const isFocus = focusOf(plan, options.focus);
  if (isProblem(isFocus)) return isFocus;
  const { matrix, endpoints } = mapEndpoints(plan, options, level);
  const focused = new Set(endpoints.filter(isFocus));
  const wanted = wantedPairs(focused, options);
  const touched = new Set(options.focus === undefined ? endpoints : focused);
  const connections: ConnectionEntry[] = [];
  const describe = describer(matrix);
  const rows = new MapRows(matrix);
  const classes = Int32Array.from(endpoints, (endpoint) => endpoint.class);
  for (const from of endpoints) {
    const { IPv4, IPv6 } = rows.of(from.class);
    const isNode = from.members[0]!.kind === "node";
    // By index: this runs for every pair, nearly all denied, and iterators make garbage.
    for (let i = 0; i < classes.length; i++) {
      let v4 = IPv4[classes[i]!]!;
      let v6 = IPv6[classes[i]!]!;
      if (v4 <= nothing && v6 <= nothing && !isNode) continue;
      const to = endpoints[i]!;
      if (isNode && isExempt(from, to)) {
        if (v4 !== noFamily) v4 = everything;
        if (v6 !== noFamily) v6 = everything;
      }
      if ((v4 <= nothing && v6 <= nothing) || !isListed(from, to) || !wanted(from, to)) continue;
      const { ports, families } = describe(v4, v6);
      const ends = { from: from.entry.ref, to: to.entry.ref, ports };
      connections.push(families === undefined ? ends : { ...ends, families });
      if (connections.length > limit) return { problem: "too-large", message: `more than ${limit} connections` };
      if (options.focus !== undefined) touched.add(from).add(to);
    }
  }
  const entries = endpoints.filter((endpoint) => touched.has(endpoint)).map(({ entry }) => entry);
  return { apiVersion, kind: "Connectivity", level, endpoints: entries, connections, notes: [] };
}

type ConnectionPorts = Pick<ConnectionEntry, "ports" | "families">;

/** Maps leave out pairs without a pod, and an endpoint with itself. */
export const isListed = (from: MapRow, to: MapRow): boolean =>
  from !== to && (from.members[0]!.kind === "pod" || to.members[0]!.kind === "pod");

/** The ports of a pair of port set numbers, one a family. */
function describer(matrix: ClassMatrix): (IPv4: number, IPv6: number) => ConnectionPorts {
  const known = new Map<number, ConnectionPorts>();
  const entries = new Map<number, Ports>();
  const portsOf = (set: number): Ports => {
    const made = entries.get(set) ?? portEntries(matrix.ports(set));
    entries.set(set, made);
    return made;
  };
  return (IPv4, IPv6) => {
    const key = IPv4 * 2 ** 24 + IPv6;
    const held = known.get(key);
    if (held !== undefined) return held;
    const one = IPv4 === noFamily ? IPv6 : IPv6 === noFamily ? IPv4 : null;
    const made =
      one !== null || IPv4 === IPv6
        ? { ports: portsOf(one ?? IPv4) }
        : { ports: portsOf(matrix.intersect(IPv4, IPv6)), families: { IPv4: portsOf(IPv4), IPv6: portsOf(IPv6) } };
    known.set(key, made);
    return made;
  };
}

function wantedPairs(focused: ReadonlySet<MapEndpoint>, { focus, direction }: ConnectivityOptions) {
  return (from: MapEndpoint, to: MapEndpoint): boolean =>
    focus === undefined ||
    (direction !== "ingress" && focused.has(from)) ||
    (direction !== "egress" && focused.has(to));
}

/** Does an endpoint of the map have a part that the focus names? */
function focusOf(plan: Plan, focus: Reference | undefined): ((endpoint: MapEndpoint) => boolean) | Problem {
  if (focus === undefined) return () => false;
  const resolved = resolveReference(plan, focus);
  if (isProblem(resolved)) return resolved;
  const named = new Set<object>();
  let addresses = AddressSet.empty;
  for (const end of resolved.ends) {
    if (end.kind === "addresses") addresses = addresses.union(end.set);
    else named.add(end.kind === "pod" ? end.pod : end.node);
  }
  const isNamed = (end: Endpoint): boolean =>
    end.kind === "addresses"
      ? !end.set.intersect(addresses).isEmpty
      : named.has(end.kind === "pod" ? end.pod : end.node);
  return ({ members }) => members.some(isNamed);
}
