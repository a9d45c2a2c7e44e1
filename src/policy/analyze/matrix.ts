/**
 * What every endpoint may open to every other, by classes: endpoints that are judged alike share a row and a column.
 *
 * A row of one direction is mostly one value: only peers in a group that the subject's rules mention, or with a port
 * name that they use, can differ from the rest. So a row costs what its rules reach, not the number of peers.
 */
import type { Family } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import type { PeerClass, Plan, PolicyClass } from "../compile/plan.ts";
import type { Direction } from "../model/verdict.ts";
import type { Endpoint, Face } from "./endpoint.ts";
import { groupAlike } from "./group.ts";
import { Judge, subjectOf } from "./judge.ts";

/** Port sets are numbered; these two have fixed numbers. `noFamily`: the two ends have no address family in common. */
export const nothing = 0;
export const everything = 1;
export const noFamily = -1;

export interface MatrixClass {
  /** Judged alike as source and as destination; a node is always alone. */
  readonly members: readonly Endpoint[];
}

interface IndexedClass extends MatrixClass {
  /** -1: not a subject, nothing is judged at this end. */
  readonly subject: Readonly<Record<Direction, number>>;
  /** Numbers of the peer classes of each face: `egress` = as the destination. */
  readonly faces: Readonly<Record<Family, readonly Readonly<Record<Direction, number>>[]>>;
}

/** One direction of one subject: `fallback` for every peer that is not in `exceptions`. */
interface Row {
  readonly fallback: number;
  readonly exceptions: ReadonlyMap<number, number>;
}

/** Numbers things in the order in which they are first seen. */
class Numbering<T> {
  readonly items: T[] = [];
  readonly #numbers = new Map<T, number>();

  number(item: T): number {
    const known = this.#numbers.get(item);
    if (known !== undefined) return known;
    this.#numbers.set(item, this.items.length);
    return this.items.push(item) - 1;
  }
}

/** Pairs of classes without a pod at either end count as `everything`; so does a class with itself judged as two different members. */
export class ClassMatrix {
  readonly classes: readonly MatrixClass[];
  readonly #classes: readonly IndexedClass[];
  readonly #judge: Judge;
  readonly #sets = new Numbering<PortSet>();
  readonly #combined = new Map<number, number>();
  /** How many peer classes there are of destinations. */
  readonly #destinations: number;
  readonly #rows: Readonly<Record<Direction, readonly Row[]>>;
  /** Of ingress rows, by peer: the subjects whose row has an exception for it. */
  readonly #ingressOf: readonly (readonly { readonly subject: number; readonly set: number }[])[];

  constructor(plan: Plan, ends: readonly Endpoint[]) {
    this.#judge = new Judge(plan);
    for (const set of [PortSet.empty, PortSet.all]) this.#sets.number(this.#judge.intern(set));
    const subjects = { egress: new Numbering<PolicyClass>(), ingress: new Numbering<PolicyClass>() };
    const peers = { egress: new Numbering<PeerClass>(), ingress: new Numbering<PeerClass>() };
    const subject = (end: Endpoint, direction: Direction): number => {
      const own = subjectOf(end, direction);
      return own === null ? -1 : subjects[direction].number(own);
    };
    const face = ({ peers: own }: Face): Readonly<Record<Direction, number>> => ({
      egress: peers.egress.number(own.egress),
      ingress: peers.ingress.number(own.ingress),
    });
    this.#classes = groupAlike(ends, false).map((members) => {
      const first = members[0]!;
      return {
        members,
        subject: { egress: subject(first, "egress"), ingress: subject(first, "ingress") },
        faces: { IPv4: first.faces.IPv4.map(face), IPv6: first.faces.IPv6.map(face) },
      };
    });
    this.classes = this.#classes;
    this.#destinations = peers.egress.items.length;
    this.#rows = {
      egress: this.#directionRows(subjects.egress.items, peers.egress.items),
      ingress: this.#directionRows(subjects.ingress.items, peers.ingress.items),
    };
    const ingressOf: { subject: number; set: number }[][] = peers.ingress.items.map(() => []);
    for (const [number, { exceptions }] of this.#rows.ingress.entries())
      for (const [peer, set] of exceptions) ingressOf[peer]!.push({ subject: number, set });
    this.#ingressOf = ingressOf;
  }

  /** The port set of a number that rows hold. */
  ports(set: number): PortSet {
    return this.#sets.items[set]!;
  }

  intersect(a: number, b: number): number {
    if (a === b || b === everything) return a;
    if (a === everything) return b;
    if (a === nothing || b === nothing) return nothing;
    const key = a < b ? a * 2 ** 24 + b : b * 2 ** 24 + a;
    const known = this.#combined.get(key);
    if (known !== undefined) return known;
    const set = this.#sets.number(this.#judge.intersect(this.ports(a), this.ports(b)));
    this.#combined.set(key, set);
    return set;
  }

  /** What a class may open to each class over a family: numbers of port sets, or `noFamily`. Own nodes are not exempt here. */
  row(from: number, family: Family): Int32Array {
    const source = this.#classes[from]!;
    const classes = this.#classes;
    const out = new Int32Array(classes.length).fill(noFamily);
    const egress = source.subject.egress < 0 ? null : this.#dense(this.#rows.egress[source.subject.egress]!);
    for (const face of source.faces[family]) {
      const ingress = this.#ingressColumn(face.ingress);
      for (let index = 0; index < classes.length; index++) {
        const { subject, faces } = classes[index]!;
        const accepted = subject.ingress < 0 ? everything : ingress[subject.ingress]!;
        for (const other of faces[family]) {
          const both = this.intersect(egress === null ? everything : egress[other.egress]!, accepted);
          out[index] = out[index] === noFamily ? both : this.intersect(out[index]!, both);
        }
      }
    }
    return out;
  }

  #dense({ fallback, exceptions }: Row): Int32Array {
    const row = new Int32Array(this.#destinations).fill(fallback);
    for (const [peer, set] of exceptions) row[peer] = set;
    return row;
  }

  /** One entry of a row. */
  cell(from: number, to: number, family: Family): number {
    const source = this.#classes[from]!;
    const target = this.#classes[to]!;
    const at = (direction: Direction, subject: number, peer: number): number => {
      if (subject < 0) return everything;
      const { fallback, exceptions } = this.#rows[direction][subject]!;
      return exceptions.get(peer) ?? fallback;
    };
    let all = noFamily;
    for (const face of source.faces[family])
      for (const other of target.faces[family]) {
        const both = this.intersect(
          at("egress", source.subject.egress, other.egress),
          at("ingress", target.subject.ingress, face.ingress),
        );
        all = all === noFamily ? both : this.intersect(all, both);
      }
    return all;
  }

  /** What each ingress subject accepts from one peer. */
  #ingressColumn(peer: number): Int32Array {
    const rows = this.#rows.ingress;
    const column = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) column[i] = rows[i]!.fallback;
    for (const { subject, set } of this.#ingressOf[peer]!) column[subject] = set;
    return column;
  }

  #directionRows(subjects: readonly PolicyClass[], peers: readonly PeerClass[]): readonly Row[] {
    const byGroup = new Map<number, number[]>();
    const ports = new Numbering<string>();
    const portsOf = new Map<number, number>();
    for (const [number, peer] of peers.entries()) {
      if (peer.ports.length > 0) portsOf.set(number, ports.number(JSON.stringify(peer.ports)));
      for (const group of peer.groups) {
        const members = byGroup.get(group);
        if (members === undefined) byGroup.set(group, [number]);
        else members.push(number);
      }
    }
    const marks = new Marks(peers.length);
    return subjects.map((subject) => {
      marks.clear();
      subject.groups.forEach(({ id }, mark) => {
        for (const peer of byGroup.get(id) ?? []) marks.add(peer, mark);
      });
      if (subject.direction === "egress" && subject.rules.some((rule) => rule.ports.named.length > 0))
        for (const [peer, mark] of portsOf) marks.add(peer, subject.groups.length + mark);
      return this.#directionRow(subject, peers, marks);
    });
  }

  /** Peers with the same marks are judged alike. */
  #directionRow(subject: PolicyClass, peers: readonly PeerClass[], marks: Marks): Row {
    const set = (peer: number): number => this.#sets.number(this.#judge.direction(subject, peers[peer]!));
    const plain = marks.firstUnmarked();
    const fallback = plain === null ? nothing : set(plain);
    const judged = new Map<number, number>();
    const exceptions = new Map<number, number>();
    for (const [peer, mark] of marks) {
      const known = judged.get(mark) ?? set(peer);
      judged.set(mark, known);
      if (plain === null || known !== fallback) exceptions.set(peer, known);
    }
    return { fallback, exceptions };
  }
}

/** For each peer the list of marks that it was given, as one number: equal lists are equal numbers, 0 = none. */
class Marks {
  readonly #lists: Int32Array;
  readonly #marked: number[] = [];
  /** The list that comes of adding a mark to a list. */
  readonly #longer = new Map<number, number>();

  constructor(peers: number) {
    this.#lists = new Int32Array(peers);
  }

  clear(): void {
    for (const peer of this.#marked) this.#lists[peer] = 0;
    this.#marked.length = 0;
  }

  /** Marks must be added in one order to all peers. */
  add(peer: number, mark: number): void {
    const list = this.#lists[peer]!;
    if (list === 0) this.#marked.push(peer);
    const key = list * 2 ** 20 + mark;
    let longer = this.#longer.get(key);
    if (longer === undefined) {
      longer = this.#longer.size + 1;
      this.#longer.set(key, longer);
    }
    this.#lists[peer] = longer;
  }

  firstUnmarked(): number | null {
    const first = this.#marked.length < this.#lists.length ? this.#lists.indexOf(0) : -1;
    return first < 0 ? null : first;
  }

  *[Symbol.iterator](): Generator<readonly [number, number]> {
    for (const peer of this.#marked) yield [peer, this.#lists[peer]!];
  }
}
