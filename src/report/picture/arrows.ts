/**
 * Fewer arrows that say the same. A relation between groups is covered with the largest pieces that a reader knows by
 * name: "from anywhere", "among themselves", a whole namespace, and only then single arrows. Nothing is added or lost.
 */
import { type Group, type Groups, isJudged } from "../grouping.ts";

/** A box of the picture: groups that stand together. */
export interface Box {
  readonly id: string;
  readonly title: string;
  readonly groups: readonly Group[];
}

export type ArrowEnd = Group | Box;
export const isBox = (end: ArrowEnd): end is Box => "title" in end;

export interface Arrow {
  readonly from: ArrowEnd;
  readonly to: ArrowEnd;
  readonly ports: string;
}

/** What is said at a box or group itself instead of with arrows. */
export interface Badge {
  readonly at: ArrowEnd;
  readonly kind:
    | "open-in"
    | "open-out"
    | "open-both"
    | "from-anywhere"
    | "to-anywhere"
    | "from-all-pods"
    | "to-all-pods"
    | "among-themselves";
  readonly ports: string;
}

export interface Merged {
  readonly arrows: readonly Arrow[];
  readonly badges: readonly Badge[];
}

/** One relation between numbered groups: what is allowed on one set of ports. */
class Relation {
  readonly ports: string;
  readonly #size: number;
  readonly #all: Uint8Array;
  /** 1 = allowed and not yet said. */
  readonly #left: Uint8Array;

  constructor(ports: string, size: number) {
    this.ports = ports;
    this.#size = size;
    this.#all = new Uint8Array(size * size);
    this.#left = new Uint8Array(size * size);
  }

  add(from: number, to: number): void {
    this.#all[from * this.#size + to] = 1;
    this.#left[from * this.#size + to] = 1;
  }

  /** Takes all pairs of the two sets, if all of them are allowed and at least one of them is new. Pairs of `skip` count as allowed. */
  take(from: readonly number[], to: readonly number[], skip: (from: number, to: number) => boolean): boolean {
    let fresh = 0;
    let real = 0;
    for (const a of from)
      for (const b of to) {
        if (skip(a, b)) continue;
        if (this.#all[a * this.#size + b] === 0) return false;
        real++;
        fresh += this.#left[a * this.#size + b]!;
      }
    if (real === 0 || fresh === 0) return false;
    for (const a of from) for (const b of to) this.#left[a * this.#size + b] = 0;
    return true;
  }

  /** May `from` open connections to all of `to`? Pairs of `skip` count as allowed. */
  covers(from: number, to: readonly number[], skip: (from: number, to: number) => boolean): boolean {
    return to.every((b) => this.#all[from * this.#size + b] === 1 || skip(from, b));
  }

  /** Those that `from` may open connections to. */
  targets(from: number): number[] {
    return Array.from({ length: this.#size }, (_, b) => b).filter((b) => this.#all[from * this.#size + b] === 1);
  }

  *rest(): Generator<readonly [number, number]> {
    for (let a = 0; a < this.#size; a++)
      for (let b = 0; b < this.#size; b++) if (this.#left[a * this.#size + b] === 1) yield [a, b];
  }
}

export function mergeArrows(groups: Groups, boxes: readonly Box[]): Merged {
  const { members } = groups;
  const number = new Map(members.map((group, i) => [group, i]));
  const relations = new Map<string, Relation>();
  for (const { from, to, ports } of groups.edges()) {
    const relation = relations.get(ports) ?? new Relation(ports, members.length);
    relations.set(ports, relation);
    relation.add(number.get(from)!, number.get(to)!);
  }
  // A single endpoint has no connection with itself; a group of several has one between its members.
  const isSelf = (a: number, b: number): boolean => a === b && members[a]!.endpoints.length === 1;
  const everyone = members.map((_, i) => i);
  const pods = everyone.filter((i) => members[i]!.kind === "pod" || members[i]!.kind === "workload");
  const inBox = boxes.map((box) => box.groups.map((group) => number.get(group)!));
  const arrows: Arrow[] = [];
  const badges: Badge[] = [];

  for (const relation of relations.values()) {
    const { ports } = relation;
    const foreign = (a: number, b: number): boolean => !isJudged(members[a]!, members[b]!);
    if (ports === "any") badges.push(...openBadges(relation, members, foreign));
    // Two or three workloads that reach each other need no word such as "anywhere".
    const crowds = [
      { list: everyone, word: "anywhere" as const },
      { list: pods, word: "all-pods" as const },
    ].filter(({ list }) => list.length > 3);
    for (const { list, word } of crowds)
      for (const i of everyone) {
        if (relation.take(list, [i], foreign)) badges.push({ at: members[i]!, kind: `from-${word}`, ports });
        if (relation.take([i], list, foreign)) badges.push({ at: members[i]!, kind: `to-${word}`, ports });
      }
    for (const [i, box] of boxes.entries())
      if (inBox[i]!.length > 1 && relation.take(inBox[i]!, inBox[i]!, isSelf))
        badges.push({ at: box, kind: "among-themselves", ports });
    for (const [i, from] of boxes.entries())
      for (const [j, to] of boxes.entries())
        if (i !== j && inBox[i]!.length + inBox[j]!.length > 2 && relation.take(inBox[i]!, inBox[j]!, isSelf))
          arrows.push({
            from: inBox[i]!.length > 1 ? from : from.groups[0]!,
            to: inBox[j]!.length > 1 ? to : to.groups[0]!,
            ports,
          });
    for (const [i, box] of boxes.entries()) {
      if (inBox[i]!.length < 2) continue;
      for (const k of everyone) {
        if (relation.take(inBox[i]!, [k], isSelf)) arrows.push({ from: box, to: members[k]!, ports });
        if (relation.take([k], inBox[i]!, isSelf)) arrows.push({ from: members[k]!, to: box, ports });
      }
    }
    for (const [a, b] of relation.rest()) arrows.push({ from: members[a]!, to: members[b]!, ports });
  }
  return { arrows, badges };
}

/**
 * What no policy isolates is open to all that no policy limits: one large block, which would be a thicket of arrows. The
 * largest such block becomes a mark at each of its members instead.
 */
function openBadges(
  relation: Relation,
  members: readonly Group[],
  skip: (from: number, to: number) => boolean,
): Badge[] {
  const everyone = members.map((_, i) => i);
  let best: { readonly from: readonly number[]; readonly to: readonly number[] } = { from: [], to: [] };
  for (const seed of everyone) {
    const reached = relation.targets(seed);
    if (reached.length < 2) continue;
    // A member must take part in earnest: pairs that are never judged prove nothing.
    const from = everyone.filter((i) => relation.covers(i, reached, skip) && reached.some((j) => !skip(i, j)));
    // The seed itself may be reached by all the others too; its own row can't tell.
    const to = everyone.filter(
      (j) => from.every((i) => relation.covers(i, [j], skip)) && from.some((i) => !skip(i, j)),
    );
    if (from.length * to.length > best.from.length * best.to.length) best = { from, to };
  }
  if (best.from.length < 2 || best.to.length < 2 || best.from.length + best.to.length < 6) return [];
  if (!relation.take(best.from, best.to, skip)) return [];
  return everyone.flatMap((i): Badge[] => {
    const out = best.from.includes(i);
    const into = best.to.includes(i);
    if (!out && !into) return [];
    return [{ at: members[i]!, kind: out && into ? "open-both" : out ? "open-out" : "open-in", ports: relation.ports }];
  });
}
