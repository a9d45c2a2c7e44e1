/** The whole map without its text: every pair of endpoints looked up, and a sum over all of them. */
import { isListed } from "../src/policy/analyze/connectivity.ts";
import { mapEndpoints } from "../src/policy/analyze/map-endpoints.ts";
import { isExempt, MapRows } from "../src/policy/analyze/map-rows.ts";
import { everything, noFamily, nothing } from "../src/policy/analyze/matrix.ts";
import type { Level } from "../src/policy/analyze/types.ts";
import type { Plan } from "../src/policy/compile/plan.ts";

export interface PairSum {
  readonly endpoints: number;
  readonly classes: number;
  readonly pairs: number;
  /** Pairs that may connect on some port. */
  readonly connections: number;
  /** Of all pairs with their ports; equal maps have equal sums. */
  readonly checksum: string;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value;
}

const mix = (a: number, b: number): number => {
  const mixed = Math.imul(a ^ (b >>> 15), 0x2c1b3c6d) + Math.imul(b, 0x297a2d39);
  return mixed ^ (mixed >>> 13);
};

const openPorts = (set: number, isOpen: boolean): number => (isOpen && set !== noFamily ? everything : set);

/** Numbers and a checksum of the map of a plan. */
export function pairSum(plan: Plan, level: Level): PairSum {
  const { matrix, endpoints } = mapEndpoints(plan, {}, level);
  const rows = new MapRows(matrix);
  const names = endpoints.map(({ entry }) => hash(entry.ref));
  const portHashes = new Map<number, number>();
  const portHash = (set: number): number => {
    let known = portHashes.get(set);
    if (known === undefined) {
      known = hash(matrix.ports(set).key);
      portHashes.set(set, known);
    }
    return known;
  };
  const classes = Int32Array.from(endpoints, (endpoint) => endpoint.class);
  let pairs = 0;
  let connections = 0;
  let sum = 0;
  for (let i = 0; i < endpoints.length; i++) {
    const from = endpoints[i]!;
    const { IPv4, IPv6 } = rows.of(from.class);
    const isNode = from.members[0]!.kind === "node";
    for (let j = 0; j < endpoints.length; j++) {
      const to = endpoints[j]!;
      if (!isListed(from, to)) continue;
      pairs++;
      const isOpen = isNode && isExempt(from, to);
      const v4 = openPorts(IPv4[classes[j]!]!, isOpen);
      const v6 = openPorts(IPv6[classes[j]!]!, isOpen);
      if (v4 <= nothing && v6 <= nothing) continue;
      connections++;
      const pair = mix(names[i]!, names[j]!);
      if (v4 > nothing) sum = (sum + mix(pair, portHash(v4))) | 0;
      if (v6 > nothing) sum = (sum + mix(~pair, portHash(v6))) | 0;
    }
  }
  return {
    endpoints: endpoints.length,
    classes: matrix.classes.length,
    pairs,
    connections,
    checksum: (sum >>> 0).toString(16).padStart(8, "0"),
  };
}
