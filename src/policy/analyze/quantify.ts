/** One question over all pairs of two sets of endpoints, by classes: ends that are judged alike are asked once. */
import { type Family, families } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import type { Plan } from "../compile/plan.ts";
import type { Endpoint, Face } from "./endpoint.ts";
import { groupAlike } from "./group.ts";
import { isOwnNode, isSelf } from "./judge.ts";
import { ClassMatrix, everything, noFamily } from "./matrix.ts";

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
  /** Every port that is asked of the destination. */
  readonly asked: PortSet;
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
export function quantify(plan: Plan, question: Question): Quantified {
  const from = question.from.flatMap(singleFaces);
  const to = Array.from(question.to, ([end, ports]) => singleFaces(end).map((one) => [one, ports] as const)).flat();
  const asked = new Map(to);
  const destinations = Array.from(asked.keys());
  const matrix = new ClassMatrix(plan, [...from, ...destinations]);
  const classOf = new Map(matrix.classes.flatMap(({ members }, index) => members.map((end) => [end, index] as const)));
  const tally = new Tally(question);
  const seen = new Map<string, Seen>();
  const targets = groupAlike(destinations, from.some(isNode), (end) => asked.get(end)!.key).map((group) => {
    const ports = asked.get(group[0]!)!;
    const known = seen.get(ports.key) ?? { IPv4: new Set<number>(), IPv6: new Set<number>() };
    seen.set(ports.key, known);
    return { group, class: classOf.get(group[0]!)!, ports, seen: known };
  });
  const judgeSelf = question.viaService || isSoleSelf(question);
  for (const group of groupAlike(from, destinations.some(isNode))) {
    const index = classOf.get(group[0]!)!;
    const rows = matrix.rows(index);
    for (const target of targets) {
      // own nodes are judged apart; else what the row says has often been counted
      if (!isNode(group[0]!) && question.families.every((f) => isCounted(target.seen[f], rows[f][target.class]!)))
        continue;
      const pair = representative(group, target.group, judgeSelf);
      if (pair === null) continue;
      const isOpen = isOwnNode(pair.from, pair.to) || (!question.viaService && isSelf(pair.from, pair.to));
      for (const family of question.families) {
        const judged = rows[family][target.class]!;
        const set = isOpen && judged !== noFamily ? everything : judged;
        if (isCounted(target.seen[family], set)) continue;
        target.seen[family].add(set);
        tally.add({ ...pair, ...facesOf(pair, family), family }, target.ports, matrix.ports(set));
      }
    }
  }
  return tally;
}

/** Results that are counted already: numbers of port sets. */
type Seen = Readonly<Record<Family, Set<number>>>;

const isCounted = (seen: ReadonlySet<number>, set: number): boolean => set === noFamily || seen.has(set);

/** The one face that each end of a pair has. */
const facesOf = ({ from, to }: Pick<Pair, "from" | "to">, family: Family): Pick<Pair, "fromFace" | "toFace"> => ({
  fromFace: from.faces[family][0]!,
  toFace: to.faces[family][0]!,
});

/** A node with several addresses of a family, taken apart: every one of them is asked. */
function singleFaces(end: Endpoint): readonly Endpoint[] {
  if (families.every((family) => end.faces[family].length <= 1)) return [end];
  return families.flatMap((family) =>
    end.faces[family].map((face) => ({ ...end, faces: { IPv4: [], IPv6: [], [family]: [face] } })),
  );
}

const isNode = (end: Endpoint): boolean => end.kind === "node";

/** One pod that is asked about itself: answered, not skipped. */
const isSoleSelf = ({ from, to }: Question): boolean => {
  const [only] = to.keys();
  return from.length === 1 && to.size === 1 && isSelf(from[0]!, only!);
};

class Tally implements Quantified {
  readonly pairs: number;
  readonly withoutFamily: number;
  readonly denied = new Map<Family, PortSet>();
  counterexample: Witness | null = null;
  example: Witness | null = null;
  first: Witness | null = null;

  constructor(question: Question) {
    const { common, others } = countPairs(question);
    this.pairs = common;
    this.withoutFamily = others;
  }

  add(pair: Pair, asked: PortSet, allowed: PortSet): void {
    const refused = asked.minus(allowed);
    const granted = asked.intersect(allowed);
    this.denied.set(pair.family, (this.denied.get(pair.family) ?? PortSet.empty).union(refused));
    this.first ??= { ...pair, asked, ports: asked };
    if (!refused.isEmpty) this.counterexample ??= { ...pair, asked, ports: refused };
    if (!granted.isEmpty) this.example ??= { ...pair, asked, ports: granted };
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

/** How many pairs are asked, with a family in common and without, by counting ends with the same families. */
function countPairs(question: Question): { readonly common: number; readonly others: number } {
  const sources = byFamilies(question.from, question.families);
  const targets = byFamilies(Array.from(question.to.keys()), question.families);
  let common = 0;
  let others = 0;
  for (const [a, from] of sources)
    for (const [b, to] of targets) {
      const pairs = from.length * to.length - skippedPairs(from, to, question);
      if ((a & b) === 0) others += pairs;
      else common += pairs;
    }
  return { common, others };
}

/** Ends by the set of families that they have, of those asked: bit i is `families[i]`. */
const byFamilies = (ends: readonly Endpoint[], asked: readonly Family[]): Map<number, Endpoint[]> =>
  Map.groupBy(ends, ({ faces }) =>
    families.reduce((bits, f, i) => (asked.includes(f) && faces[f].length > 0 ? bits | (1 << i) : bits), 0),
  );

function skippedPairs(from: readonly Endpoint[], to: readonly Endpoint[], question: Question): number {
  const unknownHosts = [...from, ...to].filter((end) => end.kind === "node" && end.elsewhere);
  const excluded = unknownHosts.length === 0 ? 0 : from.flatMap((a) => to.filter((b) => isExcluded(a, b))).length;
  if (question.viaService || isSoleSelf(question)) return excluded;
  const pods = new Set(from.flatMap((end) => (end.kind === "pod" ? [end.pod] : [])));
  return excluded + to.filter((end) => end.kind === "pod" && pods.has(end.pod)).length;
}
