/** One question over all pairs of two sets of endpoints, by classes: ends that are judged alike are asked once. */
import type { Family } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import type { Endpoint, Face } from "./endpoint.ts";
import { groupAlike } from "./group.ts";
import { isOwnNode, isSelf, type Judge } from "./judge.ts";

export interface Pair {
  readonly from: Endpoint;
  readonly fromFace: Face;
  readonly to: Endpoint;
  readonly toFace: Face;
  readonly family: Family;
}

/** A pair and the ports in question that are allowed, or denied. */
export interface Witness extends Pair {
  readonly ports: PortSet;
}

export interface Quantified {
  /** Pairs of ends that have a family in common. */
  readonly pairs: number;
  readonly withoutFamily: number;
  /** By family: asked ports that some pair is denied on; absent when no pair has the family. */
  readonly denied: ReadonlyMap<Family, PortSet>;
  /** The first pair that is denied something, that is allowed something, that was asked. */
  readonly counterexample: Witness | null;
  readonly example: Witness | null;
  readonly first: Witness | null;
}

export interface Question {
  readonly from: readonly Endpoint[];
  /** Destinations with the ports asked of each. */
  readonly to: ReadonlyMap<Endpoint, PortSet>;
  readonly families: readonly Family[];
  /** Through a Service: a pod that reaches itself is judged (spec A7.2). */
  readonly viaService: boolean;
}

/** Asks every pair, except pods with themselves and the pairs that `elsewhere` nodes rule out. */
export function quantify(judge: Judge, question: Question): Quantified {
  const { viaService } = question;
  const soleSelf = question.from.length === 1 && question.to.size === 1;
  const tally = new Tally(judge);
  const to = Array.from(question.to.keys());
  const nodes = (ends: readonly Endpoint[]): boolean => ends.some((end) => end.kind === "node");
  const destinations = groupAlike(to, nodes(question.from), (end) => question.to.get(end)!.key);
  for (const from of groupAlike(question.from, nodes(to))) {
    for (const to of destinations) {
      const pair = representative(from, to, viaService || soleSelf);
      if (pair === null) continue;
      const asked = question.to.get(pair.to)!;
      const count = countPairs(from, to, viaService || soleSelf);
      const common = question.families.filter((f) => pair.from.faces[f].length > 0 && pair.to.faces[f].length > 0);
      tally.count(count, common.length > 0);
      for (const family of common)
        for (const fromFace of pair.from.faces[family])
          for (const toFace of pair.to.faces[family])
            tally.add({ ...pair, fromFace, toFace, family }, asked, viaService);
    }
  }
  return tally;
}

class Tally implements Quantified {
  pairs = 0;
  withoutFamily = 0;
  readonly denied = new Map<Family, PortSet>();
  counterexample: Witness | null = null;
  example: Witness | null = null;
  first: Witness | null = null;
  readonly #judge: Judge;
  /** Results that are counted already, by family and ports asked. */
  readonly #seen = new Map<string, Set<PortSet>>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  count(pairs: number, common: boolean): void {
    if (common) this.pairs += pairs;
    else this.withoutFamily += pairs;
  }

  add(pair: Pair, asked: PortSet, viaService: boolean): void {
    const { from, fromFace, to, toFace, family } = pair;
    const allowed = this.#judge.pair(from, fromFace, to, toFace, viaService);
    const key = `${family}|${asked.key}`;
    const seen = this.#seen.get(key) ?? new Set();
    this.#seen.set(key, seen);
    if (seen.has(allowed)) return;
    seen.add(allowed);
    const refused = asked.minus(allowed);
    const granted = asked.intersect(allowed);
    this.denied.set(family, (this.denied.get(family) ?? PortSet.empty).union(refused));
    this.first ??= { ...pair, ports: asked };
    if (!refused.isEmpty) this.counterexample ??= { ...pair, ports: refused };
    if (!granted.isEmpty) this.example ??= { ...pair, ports: granted };
  }
}

function representative(
  from: readonly Endpoint[],
  to: readonly Endpoint[],
  self: boolean,
): Pick<Pair, "from" | "to"> | null {
  const [a] = from;
  const [b] = to;
  if (isExcluded(a!, b!)) return null;
  if (self || !isSelf(a!, b!)) return { from: a!, to: b! };
  if (to[1] !== undefined) return { from: a!, to: to[1] };
  return from[1] !== undefined ? { from: from[1], to: b! } : null;
}

/** A hostNetwork pod on an unknown node is never on its peer's. */
const isExcluded = (from: Endpoint, to: Endpoint): boolean =>
  (from.kind === "node" && from.elsewhere && isOwnNode(from, to)) ||
  (to.kind === "node" && to.elsewhere && isOwnNode(to, from));

function countPairs(from: readonly Endpoint[], to: readonly Endpoint[], self: boolean): number {
  if (self) return from.length * to.length;
  const pods = new Set(from.map((end) => (end.kind === "pod" ? end.pod : null)));
  const same = to.filter((end) => end.kind === "pod" && pods.has(end.pod)).length;
  return from.length * to.length - same;
}
