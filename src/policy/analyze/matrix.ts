/**
 * What every endpoint may open to every other, by classes: endpoints that are judged alike share a row and a column.
 *
 * A row of one direction is mostly one value: only peers in a group that the subject's rules mention, or with a port
 * name that they use, can differ from the rest. So a row costs what its rules reach, not the number of peers.
 */
import type { Family } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import { portsKey } from "../compile/judge.ts";
import type { PeerClass, Plan, PlanRule, PolicyClass } from "../compile/plan.ts";
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
  readonly faces: Readonly<Record<Family, readonly NumberedFace[]>>;
}

/** By class of the destination; not to be written to. */
export type Rows = Readonly<Record<Family, Int32Array>>;

/** Side by side: the class, its peer class as a destination, its ingress subject. */
interface Targets {
  readonly classes: Int32Array;
  readonly peers: Int32Array;
  readonly subjects: Int32Array;
}

type NumberedFace = Readonly<Record<Direction, number>>;

const sameFaces = (a: readonly NumberedFace[], b: readonly NumberedFace[]): boolean =>
  a.length === b.length && a.every((face, i) => face.egress === b[i]!.egress && face.ingress === b[i]!.ingress);

function targetsOf(classes: readonly IndexedClass[], indices: readonly number[], family: Family): Targets {
  const all = indices.flatMap((index) => {
    const { subject, faces } = classes[index]!;
    return faces[family].map((face) => [index, face.egress, subject.ingress] as const);
  });
  const column = (i: 0 | 1 | 2): Int32Array => Int32Array.from(all, (one) => one[i]);
  return { classes: column(0), peers: column(1), subjects: column(2) };
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

/** Intersections are looked up in an array where both numbers are below this, which is nearly always. */
const dense = 256;

/** Pairs of classes without a pod at either end count as `everything`; so does a class with itself judged as two different members. */
export class ClassMatrix {
  readonly classes: readonly MatrixClass[];
  readonly #classes: readonly IndexedClass[];
  readonly #judge: Judge;
  readonly #sets = new Numbering<PortSet>();
  readonly #low = new Int32Array(dense * dense).fill(-1);
  readonly #high = new Map<number, number>();
  /** The faces of all classes as destinations; `differingIPv6` only of those that look different over IPv4. */
  readonly #targets: Readonly<Record<Family | "differingIPv6", Targets>>;
  readonly #differing: readonly number[];
  readonly #scratch: Readonly<Record<Family | Direction, Int32Array>>;
  readonly #rows: Readonly<Record<Direction, readonly Row[]>>;
  readonly #ingressFallbacks: Int32Array;
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
    const face = ({ peers: own }: Face): NumberedFace => ({
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
    const indices = Array.from(this.#classes.keys());
    this.#differing = indices.filter((index) => {
      const { faces } = this.#classes[index]!;
      return !sameFaces(faces.IPv4, faces.IPv6);
    });
    this.#targets = {
      IPv4: targetsOf(this.#classes, indices, "IPv4"),
      IPv6: targetsOf(this.#classes, indices, "IPv6"),
      differingIPv6: targetsOf(this.#classes, this.#differing, "IPv6"),
    };
    this.#rows = {
      egress: this.#directionRows(subjects.egress.items, peers.egress.items),
      ingress: this.#directionRows(subjects.ingress.items, peers.ingress.items),
    };
    const ingressOf: { subject: number; set: number }[][] = peers.ingress.items.map(() => []);
    for (const [number, { exceptions }] of this.#rows.ingress.entries())
      for (const [peer, set] of exceptions) ingressOf[peer]!.push({ subject: number, set });
    this.#ingressOf = ingressOf;
    this.#scratch = {
      IPv4: new Int32Array(this.#classes.length),
      IPv6: new Int32Array(this.#classes.length),
      egress: new Int32Array(peers.egress.items.length),
      ingress: new Int32Array(subjects.ingress.items.length),
    };
    this.#ingressFallbacks = Int32Array.from(this.#rows.ingress, ({ fallback }) => fallback);
  }

  /** The port set of a number that rows hold. */
  ports(set: number): PortSet {
    return this.#sets.items[set]!;
  }

  intersect(a: number, b: number): number {
    if (a === b || b === everything) return a;
    if (a === everything) return b;
    if (a === nothing || b === nothing) return nothing;
    if (a < dense && b < dense) {
      const known = this.#low[a * dense + b]!;
      if (known >= 0) return known;
      const set = this.#intersection(a, b);
      this.#low[a * dense + b] = set;
      return set;
    }
    const key = a * 2 ** 24 + b;
    const set = this.#high.get(key) ?? this.#intersection(a, b);
    this.#high.set(key, set);
    return set;
  }

  #intersection(a: number, b: number): number {
    return this.#sets.number(this.#judge.intersect(this.ports(a), this.ports(b)));
  }

  /**
   * What a class may open to each class: numbers of port sets, or `noFamily`. Own nodes are not exempt here.
   *
   * The arrays hold until the next call: arrays of their own for each row would cost more than filling them.
   */
  rows(from: number): Rows {
    const { subject, faces } = this.#classes[from]!;
    const egress = subject.egress < 0 ? null : this.#dense(this.#rows.egress[subject.egress]!);
    const { IPv4, IPv6 } = this.#scratch;
    this.#fill(IPv4.fill(noFamily), faces.IPv4, egress, this.#targets.IPv4);
    if (sameFaces(faces.IPv4, faces.IPv6)) {
      IPv6.set(IPv4);
      for (const index of this.#differing) IPv6[index] = noFamily;
      this.#fill(IPv6, faces.IPv6, egress, this.#targets.differingIPv6);
    } else this.#fill(IPv6.fill(noFamily), faces.IPv6, egress, this.#targets.IPv6);
    return this.#scratch;
  }

  #fill(
    out: Int32Array,
    faces: readonly NumberedFace[],
    egress: Int32Array | null,
    { classes, peers, subjects }: Targets,
  ): void {
    for (const face of faces) {
      const ingress = this.#ingressColumn(face.ingress);
      for (let i = 0; i < classes.length; i++) {
        const subject = subjects[i]!;
        const opened = egress === null ? everything : egress[peers[i]!]!;
        const accepted = subject < 0 ? everything : ingress[subject]!;
        const index = classes[i]!;
        const before = out[index]!;
        const both = this.intersect(opened, accepted);
        out[index] = before === noFamily ? both : this.intersect(before, both);
      }
    }
  }

  #dense({ fallback, exceptions }: Row): Int32Array {
    const row = this.#scratch.egress.fill(fallback);
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
    const column = this.#scratch.ingress;
    column.set(this.#ingressFallbacks);
    for (const { subject, set } of this.#ingressOf[peer]!) column[subject] = set;
    return column;
  }

  #directionRows(subjects: readonly PolicyClass[], peers: readonly PeerClass[]): readonly Row[] {
    const byGroup = new Map<number, number[]>();
    const portLists = new Numbering<string>();
    const portsOf = new Int32Array(peers.length);
    for (const [number, peer] of peers.entries()) {
      portsOf[number] = portLists.number(portsKey(peer.ports));
      for (const group of peer.groups) {
        const members = byGroup.get(group);
        if (members === undefined) byGroup.set(group, [number]);
        else members.push(number);
      }
    }
    const all = Array.from(peers.keys());
    const marks = new Marks(peers.length);
    return subjects.map((subject) => {
      marks.clear();
      for (const { id } of subject.groups) marks.add(byGroup.get(id) ?? []);
      const naming = subject.direction === "egress" ? subject.rules.filter(({ ports }) => ports.named.length > 0) : [];
      // What a peer's ports are called matters only to a rule that it is a peer of.
      if (naming.length > 0) marks.add(naming.some(isForAll) ? all : marks.marked, portsOf, portLists.items.length);
      return this.#directionRow(subject, peers, marks);
    });
  }

  /** Peers with the same marks are judged alike; what most of them get is the row's fallback. */
  #directionRow(subject: PolicyClass, peers: readonly PeerClass[], marks: Marks): Row {
    const sets = new Map<number, number>();
    const counts = new Map<number, number>();
    for (const { peer, list, count } of marks.distinct()) {
      const set = this.#sets.number(this.#judge.direction(subject, peers[peer]!));
      sets.set(list, set);
      counts.set(set, (counts.get(set) ?? 0) + count);
    }
    let fallback = nothing;
    let most = 0;
    for (const [set, count] of counts) {
      if (count > most) [fallback, most] = [set, count];
    }
    const exceptions = new Map<number, number>();
    const differing = (peer: number): void => {
      const set = sets.get(marks.of(peer))!;
      if (set !== fallback) exceptions.set(peer, set);
    };
    // Mostly the peers without marks are the many, and need not be looked at.
    if ((sets.get(unmarked) ?? fallback) === fallback) marks.marked.forEach(differing);
    else for (let peer = 0; peer < peers.length; peer++) differing(peer);
    return { fallback, exceptions };
  }
}

const isForAll = ({ peers }: PlanRule): boolean => peers === "everything";

/** The number of the list without marks. */
const unmarked = 0;

/** For each peer the list of marks that it was given, as one number: equal lists are equal numbers. */
class Marks {
  readonly #lists: Int32Array;
  readonly marked: number[] = [];
  #last = unmarked;

  constructor(peers: number) {
    this.#lists = new Int32Array(peers);
  }

  clear(): void {
    for (const peer of this.marked) this.#lists[peer] = unmarked;
    this.marked.length = 0;
    this.#last = unmarked;
  }

  /**
   * Gives a new mark to peers.
   * @param kinds by peer, below `count`: peers of different kinds get different marks
   */
  add(peers: readonly number[], kinds?: Int32Array, count = 1): void {
    const longer = new Map<number, number>();
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[i]!;
      const before = this.#lists[peer]!;
      if (before === unmarked) this.marked.push(peer);
      const key = kinds === undefined ? before : before * count + kinds[peer]!;
      let list = longer.get(key);
      if (list === undefined) {
        list = ++this.#last;
        longer.set(key, list);
      }
      this.#lists[peer] = list;
    }
  }

  of(peer: number): number {
    return this.#lists[peer]!;
  }

  /** Each list that occurs, with one of the peers that have it. Takes no longer than there are marked peers. */
  distinct(): readonly { readonly list: number; readonly peer: number; readonly count: number }[] {
    const found = new Map<number, { list: number; peer: number; count: number }>();
    for (const peer of this.marked) {
      const list = this.#lists[peer]!;
      const one = found.get(list);
      if (one === undefined) found.set(list, { list, peer, count: 1 });
      else one.count++;
    }
    const count = this.#lists.length - this.marked.length;
    if (count === 0) return Array.from(found.values());
    return [{ list: unmarked, peer: this.#lists.indexOf(unmarked), count }, ...found.values()];
  }
}
