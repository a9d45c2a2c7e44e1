/** The whole map without its text: every pair of endpoints looked up, and a sum over all of them. */
import { families } from "../src/net/address.ts";
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
  let pairs = 0;
  let connections = 0;
  let sum = 0;
  for (const [i, from] of endpoints.entries()) {
    const row = rows.of(from.class);
    for (const [j, to] of endpoints.entries()) {
      if (!isListed(from, to)) continue;
      pairs++;
      const exempt = isExempt(from, to);
      let isOpen = false;
      for (const family of families) {
        const set = row[family][to.class]!;
        if (set <= nothing) continue;
        isOpen = true;
        sum = (sum + mix(mix(names[i]!, names[j]!), portHash(exempt ? everything : set))) | 0;
      }
      if (isOpen || (exempt && row.IPv4[to.class] !== noFamily)) connections++;
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
