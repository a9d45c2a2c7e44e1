/** What changes in one direction between two states, and the classes that it takes to change it safely; see `sequence.ts`. */
import { type Family, families } from "../net/address.ts";
import type { Direction } from "../policy/model/verdict.ts";
import { closedDrop } from "./closed.ts";
import { type Hash, hash } from "./names.ts";
import { cutNets, type NetChange } from "./nets.ts";
import { allow, allowAll, both, closes, type PortTable, uniformTable } from "./port-table.ts";
import {
  closed,
  type DirectionState,
  isRuled,
  type KernelState,
  nobody,
  type Op,
  peerOf,
  stranger,
  subjectAt,
  tableFor,
} from "./state.ts";
import { strangerDrop } from "./strangers.ts";
import type { Touched } from "./touched.ts";

/** A local address whose subject class changes, or an address whose peer class does. */
export interface Move {
  readonly address: string;
  readonly from: Hash;
  readonly to: Hash;
}

interface PeerMove {
  readonly from: Hash;
  readonly to: Hash;
}

/** When a peer class changes: in the closing phase, in the opening phase, or in both through a transition class. */
type Timing = "early" | "late" | "transition";

/** Subject classes that some address has before; after; before and after. */
interface HeldClasses {
  readonly old: ReadonlySet<Hash>;
  readonly next: ReadonlySet<Hash>;
  readonly kept: ReadonlySet<Hash>;
}

/** The changes of one direction, and how to make them. */
export class DirectionChange {
  readonly direction: Direction;
  readonly before: DirectionState;
  readonly after: DirectionState;
  /** Changed subject classes of local addresses. */
  readonly dispatch: Move[] = [];
  /** Changed peer classes, and addresses whose entry comes or goes without a change of class. */
  readonly exact: Move[] = [];
  readonly nets: Readonly<Record<Family, NetChange[]>>;
  /** Distinct changes of peer classes, of pods, nodes and networks. */
  readonly peerMoves: readonly PeerMove[];
  readonly #touched: Touched;
  readonly #nonce: string;
  readonly #prepared: Op[] = [];
  readonly #new = new Set<string>();
  /** What new subject classes answer about `nobody`. */
  readonly #fallbacks = new Map<Hash, Hash>();
  #heldClasses: HeldClasses | null = null;
  /** By `from to`; empty where moves need no care. */
  readonly #timing = new Map<string, Timing>();

  constructor(direction: Direction, all: readonly [KernelState, KernelState], touched: Touched, nonce: string) {
    const [{ [direction]: before }, { [direction]: after }] = all;
    this.direction = direction;
    this.before = before;
    this.after = after;
    this.#touched = touched;
    this.#nonce = nonce;
    for (const address of touched.dispatch) {
      const [from, to] = [subjectAt(all[0], direction, address), subjectAt(all[1], direction, address)];
      if (before.dispatch.get(address) !== after.dispatch.get(address)) this.dispatch.push({ address, from, to });
    }
    this.nets = {
      IPv4: touched.nets ? cutNets(before.nets.IPv4, after.nets.IPv4) : [],
      IPv6: touched.nets ? cutNets(before.nets.IPv6, after.nets.IPv6) : [],
    };
    for (const address of touched.exact) {
      const from = peerOf(before, address);
      const to = peerOf(after, address);
      if (from !== to || before.exact.get(address) !== after.exact.get(address)) {
        this.exact.push({ address, from, to });
      }
    }
    const moves = new Map<string, PeerMove>();
    for (const { from, to } of [...this.exact, ...this.nets.IPv4, ...this.nets.IPv6]) {
      if (from !== to) moves.set(`${from} ${to}`, { from, to });
    }
    this.peerMoves = [...moves.values()];
    this.#prepareGoal();
  }

  /** Found when they are asked for: most changes are of subjects, and no peer moves. */
  get #held(): HeldClasses {
    if (this.#heldClasses === null) {
      const { before, after } = this;
      const kept = new Set<Hash>();
      for (const [address, subject] of after.dispatch)
        if (isRuled(subject) && before.dispatch.get(address) === subject) kept.add(subject);
      const ruled = ({ dispatch }: DirectionState) => new Set([...dispatch.values()].filter(isRuled));
      this.#heldClasses = { old: ruled(before), next: ruled(after), kept };
    }
    return this.#heldClasses;
  }

  get netsChange(): boolean {
    return families.some((family) => this.nets[family].length > 0);
  }

  /** Does anything end that was allowed? */
  get closes(): boolean {
    const changed = new Map(this.dispatch.map(({ from, to }) => [`${from} ${to}`, { from, to }]));
    for (const { from, to } of changed.values()) {
      for (const peer of this.#peersOf(from, to)) {
        if (closes(this.#tableBefore(from, peer), this.#tableAfter(to, peer))) return true;
      }
    }
    if (this.peerMoves.length === 0) return false;
    const kept = Array.from(this.#held.kept, (subject) => ({ from: subject, to: subject }));
    const subjects = [...changed.values(), ...kept];
    return this.peerMoves.some((peer) =>
      subjects.some((subject) =>
        closes(this.#tableBefore(subject.from, peer.from), this.#tableAfter(subject.to, peer.to)),
      ),
    );
  }

  /** Decides how every changed peer class moves, and prepares the transition classes that that takes. */
  planTransitions(): void {
    for (const move of this.peerMoves) {
      const timing = this.#timingOf(move);
      this.#timing.set(`${move.from} ${move.to}`, timing);
      const middle = this.middle(move.from, move.to);
      if (timing === "transition") this.#addPeer(middle);
      for (const subject of this.#held.old) {
        if (!this.#held.next.has(subject)) this.#addPair(subject, middle, this.#tableBefore(subject, move.from));
      }
      for (const subject of this.#held.next) {
        if (!this.#held.old.has(subject)) this.#addPair(subject, middle, this.#tableAfter(subject, move.to));
      }
      if (timing !== "transition") continue;
      for (const subject of this.#held.kept) {
        const answer = both(this.#tableBefore(subject, move.from), this.#tableAfter(subject, move.to));
        this.#addPair(subject, middle, answer);
      }
    }
  }

  /** The class that a peer has between closing and opening. */
  middle(from: Hash, to: Hash): Hash {
    const timing = this.#timing.get(`${from} ${to}`) ?? "early";
    return timing === "early" ? to : timing === "late" ? from : hash("transition", this.#nonce, from, to);
  }

  /**
   * The classes that a local address passes through. `leave` is the class before and `arrive` the class after, under
   * names of their own where peers are in transition and other addresses have the same class in another role;
   * `between` allows what both allow.
   */
  route({ from, to }: Move, closeFirst: boolean): { leave: Hash; between: Hash | null; arrive: Hash } {
    const inTransition = [...this.#timing.values()].includes("transition");
    const shared = (subject: Hash, others: () => ReadonlySet<Hash>): boolean => inTransition && others().has(subject);
    const old = (peer: Hash): PortTable => this.#tableBefore(from, peer);
    const next = (peer: Hash): PortTable => this.#tableAfter(to, peer);
    const leave = shared(from, () => this.#held.next)
      ? this.#derive("leave", from, to, old, (move) => old(move.from))
      : from;
    const arrive = shared(to, () => this.#held.old)
      ? this.#derive("arrive", from, to, next, (move) => next(move.to))
      : to;
    const between =
      closeFirst && isRuled(from) && isRuled(to)
        ? this.#derive(
            "between",
            from,
            to,
            (peer) => both(old(peer), next(peer)),
            (move) => both(old(move.from), next(move.to)),
          )
        : null;
    return { leave, between, arrive };
  }

  /** Everything new, in the order in which the kernel can take it. */
  prepared(denies: ReadonlySet<string>): Op[] {
    const rank = { deny: 0, table: 1, peer: 2, subject: 3, pair: 4 } as Record<Op["kind"], number>;
    const needed = new Set(
      this.#prepared.flatMap((op) => (op.kind === "table" ? op.table.pieces.map((p) => p.answer) : [])),
    );
    const news = [...needed].filter((id) => id !== allow && !denies.has(id));
    return [...news.map((id): Op => ({ kind: "deny", id, present: true })), ...this.#prepared].sort(
      (a, b) => rank[a.kind] - rank[b.kind],
    );
  }

  #prepareGoal(): void {
    const { peers, subjects } = this.#touched;
    for (const peer of peers) if (this.after.peers.has(peer)) this.#addPeer(peer);
    for (const [subject, pairs] of this.after.subjects) {
      if (subjects.has(subject)) {
        this.#addSubject(subject, tableFor(this.after, subject, nobody));
        for (const [peer, key] of pairs) this.#addPair(subject, peer, this.after.tables.get(key)!);
        continue;
      }
      for (const peer of peers) {
        const key = pairs.get(peer);
        if (key !== undefined) this.#addPair(subject, peer, this.after.tables.get(key)!);
      }
    }
  }

  #timingOf({ from, to }: PeerMove): Timing {
    const answer = (subject: Hash, peer: Hash): string | null => this.#touched.answer(subject, peer)?.key ?? null;
    for (const subject of this.#held.kept) {
      if (this.#tableBefore(subject, from).key !== this.#tableAfter(subject, to).key) return "transition";
    }
    const same = (subject: Hash, known: PortTable, other: Hash): boolean =>
      this.#held.kept.has(subject) || answer(subject, other) === known.key;
    if ([...this.#held.old].every((subject) => same(subject, this.#tableBefore(subject, from), to))) return "early";
    if ([...this.#held.next].every((subject) => same(subject, this.#tableAfter(subject, to), from))) return "late";
    return "transition";
  }

  #tableBefore(subject: Hash, peer: Hash): PortTable {
    return this.#table(this.before, subject, peer);
  }

  #tableAfter(subject: Hash, peer: Hash): PortTable {
    return this.#table(this.after, subject, peer);
  }

  #table(state: DirectionState, subject: Hash, peer: Hash): PortTable {
    if (isRuled(subject)) return tableFor(state, subject, peer);
    if (subject === closed) return uniformTable(closedDrop[this.direction]);
    return subject === stranger ? uniformTable(strangerDrop[this.direction]) : allowAll;
  }

  /** Peer classes that one of two subject classes answers specially, and `nobody` for all others. */
  #peersOf(from: Hash, to: Hash): Set<Hash> {
    return new Set([
      nobody,
      ...(this.before.subjects.get(from)?.keys() ?? []),
      ...(this.after.subjects.get(to)?.keys() ?? []),
    ]);
  }

  /** A class for the time between; what it answers moving peers stands above what it answers others. */
  #derive(
    role: string,
    from: Hash,
    to: Hash,
    answer: (peer: Hash) => PortTable,
    answerMoving: (move: PeerMove) => PortTable,
  ): Hash {
    const name = hash(role, this.#nonce, from, to);
    if (this.#new.has(`subject ${name}`)) return name;
    this.#addSubject(name, answer(nobody));
    for (const move of this.peerMoves) this.#addPair(name, this.middle(move.from, move.to), answerMoving(move));
    for (const peer of this.#peersOf(from, to)) this.#addPair(name, peer, answer(peer));
    return name;
  }

  /** Is this the first time that `what` is asked for? */
  #first(what: string): boolean {
    if (this.#new.has(what)) return false;
    this.#new.add(what);
    return true;
  }

  #fallbackOf(subject: Hash): Hash | undefined {
    return this.#fallbacks.get(subject) ?? this.before.subjects.get(subject)?.get(nobody);
  }

  #addPeer(peer: Hash): void {
    if (peer === nobody || this.before.peers.has(peer) || !this.#first(`peer ${peer}`)) return;
    this.#prepared.push({ kind: "peer", direction: this.direction, peer, present: true });
  }

  #addTable(table: PortTable): void {
    if (this.before.tables.has(table.key) || !this.#first(`table ${table.key}`)) return;
    this.#prepared.push({ kind: "table", direction: this.direction, table, present: true });
  }

  #addSubject(subject: Hash, fallback: PortTable): void {
    if (this.before.subjects.has(subject) || !this.#first(`subject ${subject}`)) return;
    this.#addTable(fallback);
    this.#fallbacks.set(subject, fallback.key);
    this.#prepared.push({
      kind: "subject",
      direction: this.direction,
      subject,
      table: fallback.key,
      present: true,
    });
  }

  #addPair(subject: Hash, peer: Hash, table: PortTable): void {
    if (peer === nobody || this.before.subjects.get(subject)?.has(peer) === true) return;
    if (!this.#first(`pair ${subject} ${peer}`) || this.#fallbackOf(subject) === table.key) return;
    this.#addTable(table);
    this.#prepared.push({ kind: "pair", direction: this.direction, subject, peer, table: table.key, present: true });
  }
}
