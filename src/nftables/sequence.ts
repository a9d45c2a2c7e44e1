/**
 * From one state of a table to another in transactions that are safe at every moment.
 *
 * A commit is atomic, but one packet makes several lookups and can see two neighbouring states. And a flow between two
 * local pods is judged twice, by the egress of one and the ingress of the other, each by the classes of both ends. The
 * promise: whatever states a packet meets, it gets what the plan before or what the plan after says. It is kept by
 *
 * 1. **prepare**: classes and answers are committed before anything refers to them, and never change under one name;
 * 2. **close**: what both plans don't allow ends first, everywhere;
 * 3. **epoch**: flows that were let through before that are judged again;
 * 4. **open**: only then what the plan after allows more;
 * 5. `garbage`, for later: what nothing refers to any more.
 *
 * Between closing and opening every changed thing answers `before and after`. Where a subject's class and its peers'
 * classes change together, peers pass through a *transition class* (before → after) that old subjects read as the class
 * before, new ones as the class after, and others as both.
 */
import { type Family, families } from "../net/address.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { type Hash, hash } from "./names.ts";
import { cutNets, mergeNets, type NetChange } from "./nets.ts";
import { allowAll, both, closes, type PortTable } from "./port-table.ts";
import {
  type DirectionState,
  type KernelState,
  type NetPiece,
  nobody,
  type Op,
  peerOf,
  tableFor,
  unruled,
} from "./state.ts";

/** Why a transaction is sent. */
export type Purpose = "prepare" | "close" | "epoch" | "open" | "collect";

export interface Transaction {
  readonly purpose: Purpose;
  readonly ops: readonly Op[];
}

/** Where two states may differ, in one direction. */
export interface Touched {
  /** Addresses whose peer class may differ. */
  readonly exact: ReadonlySet<string>;
  /** Addresses whose subject class may differ. */
  readonly dispatch: ReadonlySet<string>;
  readonly nets: boolean;
  /** Subject classes and peer classes that may be new. */
  readonly subjects: ReadonlySet<Hash>;
  readonly peers: ReadonlySet<Hash>;
}

/** Every place where two states can differ. */
export function touchAll(before: DirectionState, after: DirectionState): Touched {
  return {
    exact: new Set([...before.exact.keys(), ...after.exact.keys()]),
    dispatch: new Set([...before.dispatch.keys(), ...after.dispatch.keys()]),
    nets: true,
    subjects: new Set(after.subjects.keys()),
    peers: after.peers,
  };
}

/** Everything that any of several touches. */
export function mergeTouched(
  all: readonly Readonly<Record<Direction, Touched>>[],
): Readonly<Record<Direction, Touched>> {
  const merge = (direction: Direction): Touched => {
    const own = all.map((touched) => touched[direction]);
    const union = (field: "exact" | "dispatch" | "subjects" | "peers"): Set<string> =>
      new Set(own.flatMap((touched) => [...touched[field]]));
    return {
      exact: union("exact"),
      dispatch: union("dispatch"),
      nets: own.some((touched) => touched.nets),
      subjects: union("subjects"),
      peers: union("peers"),
    };
  };
  return { egress: merge("egress"), ingress: merge("ingress") };
}

interface Move {
  readonly address: string;
  readonly from: Hash;
  readonly to: Hash;
}

/** The changes of one direction, and how to make them. */
class DirectionChange {
  readonly direction: Direction;
  readonly before: DirectionState;
  readonly after: DirectionState;
  /** Changed subject classes of local addresses. */
  readonly dispatch: Move[] = [];
  /** Changed peer classes, and addresses whose entry comes or goes without a change of class. */
  readonly exact: Move[] = [];
  readonly nets: Readonly<Record<Family, NetChange[]>>;
  readonly #nonce: string;
  readonly #prepared: Op[] = [];
  readonly #new = new Set<string>();

  constructor(direction: Direction, before: DirectionState, after: DirectionState, touched: Touched, nonce: string) {
    this.direction = direction;
    this.before = before;
    this.after = after;
    this.#nonce = nonce;
    for (const address of touched.dispatch) {
      const from = before.dispatch.get(address) ?? unruled;
      const to = after.dispatch.get(address) ?? unruled;
      if (from !== to) this.dispatch.push({ address, from, to });
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
    this.#prepareGoal(touched);
  }

  get netsChange(): boolean {
    return families.some((family) => this.nets[family].length > 0);
  }

  /** Distinct changes of peer classes: pods', nodes' and networks'. */
  get peerMoves(): Map<string, { from: Hash; to: Hash }> {
    const moves = new Map<string, { from: Hash; to: Hash }>();
    for (const { from, to } of [...this.exact, ...this.nets.IPv4, ...this.nets.IPv6]) {
      if (from !== to) moves.set(`${from} ${to}`, { from, to });
    }
    return moves;
  }

  /** Does anything end that was allowed? */
  get closes(): boolean {
    const closing = (a: PortTable, b: PortTable): boolean => closes(a, b);
    const subjectPairs = new Map(this.dispatch.map(({ from, to }) => [`${from} ${to}`, { from, to }]));
    for (const { from, to } of subjectPairs.values()) {
      for (const peer of this.#peersOf(from, to)) {
        if (closing(this.#tableBefore(from, peer), this.#tableAfter(to, peer))) return true;
      }
    }
    const moved = [...this.peerMoves.values()];
    const kept = this.#kept().map((subject) => ({ from: subject, to: subject }));
    for (const subject of [...kept, ...subjectPairs.values()]) {
      for (const peer of moved) {
        if (closing(this.#tableBefore(subject.from, peer.from), this.#tableAfter(subject.to, peer.to))) return true;
      }
    }
    return false;
  }

  /** Creates the transition class of every changed peer class. */
  transitions(): (from: Hash, to: Hash) => Hash {
    const changed = new Set(this.dispatch.flatMap(({ from, to }) => [from, to]));
    const kept = this.#kept();
    const name = (from: Hash, to: Hash): Hash => (from === to ? to : hash("transition", this.#nonce, from, to));
    for (const { from, to } of this.peerMoves.values()) {
      const transition = name(from, to);
      this.#addPeer(transition);
      for (const subject of kept) {
        this.#addPair(subject, transition, both(this.#tableBefore(subject, from), this.#tableAfter(subject, to)));
      }
      for (const subject of changed) {
        if (subject === unruled || kept.includes(subject)) continue;
        if (this.#usedBefore(subject)) this.#addPair(subject, transition, this.#tableBefore(subject, from));
        else this.#addPair(subject, transition, this.#tableAfter(subject, to));
      }
    }
    return name;
  }

  /**
   * The classes that a local address passes through. `leave` is the class before and `arrive` the class after, under
   * names of their own where peers are in transition and other addresses have the same class in another role;
   * `between` allows what both allow.
   */
  route(
    { from, to }: Move,
    inTransition: boolean,
    closeFirst: boolean,
  ): { leave: Hash; between: Hash | null; arrive: Hash } {
    const shared = (subject: Hash, other: ReadonlySet<Hash>): boolean =>
      inTransition && subject !== unruled && other.has(subject);
    const leave = shared(from, new Set(this.after.dispatch.values()))
      ? this.#derive(
          "leave",
          from,
          to,
          (peer) => this.#tableBefore(from, peer),
          (move) => this.#tableBefore(from, move.from),
        )
      : from;
    const arrive = shared(to, new Set(this.before.dispatch.values()))
      ? this.#derive(
          "arrive",
          from,
          to,
          (peer) => this.#tableAfter(to, peer),
          (move) => this.#tableAfter(to, move.to),
        )
      : to;
    const between =
      closeFirst && from !== unruled && to !== unruled
        ? this.#derive(
            "between",
            from,
            to,
            (peer) => both(this.#tableBefore(from, peer), this.#tableAfter(to, peer)),
            (move) => both(this.#tableBefore(from, move.from), this.#tableAfter(to, move.to)),
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
    const news = [...needed].filter((id) => id !== "allow" && !denies.has(id));
    return [...news.map((id): Op => ({ kind: "deny", id, present: true })), ...this.#prepared].sort(
      (a, b) => rank[a.kind] - rank[b.kind],
    );
  }

  #prepareGoal(touched: Touched): void {
    for (const peer of touched.peers) if (this.after.peers.has(peer)) this.#addPeer(peer);
    for (const subject of touched.subjects) {
      const pairs = this.after.subjects.get(subject);
      if (pairs === undefined) continue;
      this.#addSubject(subject, tableFor(this.after, subject, nobody));
      for (const [peer, key] of pairs) if (peer !== nobody) this.#addPair(subject, peer, this.after.tables.get(key)!);
    }
    for (const [subject, pairs] of this.after.subjects) {
      if (touched.subjects.has(subject)) continue;
      for (const peer of touched.peers) {
        const key = pairs.get(peer);
        if (key !== undefined) this.#addPair(subject, peer, this.after.tables.get(key)!);
      }
    }
  }

  /** Subject classes that some address has before and after. */
  #kept(): Hash[] {
    const kept = new Set<Hash>();
    for (const [address, subject] of this.after.dispatch) {
      if (this.before.dispatch.get(address) === subject) kept.add(subject);
    }
    return [...kept];
  }

  #usedBefore(subject: Hash): boolean {
    for (const used of this.before.dispatch.values()) if (used === subject) return true;
    return false;
  }

  #tableBefore(subject: Hash, peer: Hash): PortTable {
    return subject === unruled ? allowAll : tableFor(this.before, subject, peer);
  }

  #tableAfter(subject: Hash, peer: Hash): PortTable {
    return subject === unruled ? allowAll : tableFor(this.after, subject, peer);
  }

  /** Peer classes that one of two subject classes answers specially, and `nobody` for all others. */
  #peersOf(from: Hash, to: Hash): Set<Hash> {
    return new Set([
      nobody,
      ...(this.before.subjects.get(from)?.keys() ?? []),
      ...(this.after.subjects.get(to)?.keys() ?? []),
    ]);
  }

  #derive(
    role: string,
    from: Hash,
    to: Hash,
    answer: (peer: Hash) => PortTable,
    inTransition: (move: { from: Hash; to: Hash }) => PortTable,
  ): Hash {
    const name = hash(role, this.#nonce, from, to);
    if (this.#new.has(`subject ${name}`)) return name;
    this.#addSubject(name, answer(nobody));
    for (const peer of this.#peersOf(from, to)) if (peer !== nobody) this.#addPair(name, peer, answer(peer));
    for (const move of this.peerMoves.values()) {
      this.#addPair(name, hash("transition", this.#nonce, move.from, move.to), inTransition(move));
    }
    return name;
  }

  /** Is this the first time that `what` is asked for? */
  #first(what: string, exists: boolean): boolean {
    if (exists || this.#new.has(what)) return false;
    this.#new.add(what);
    return true;
  }

  #addPeer(peer: Hash): void {
    if (peer === nobody || !this.#first(`peer ${peer}`, this.before.peers.has(peer))) return;
    this.#prepared.push({ kind: "peer", direction: this.direction, peer, present: true });
  }

  #addTable(table: PortTable): void {
    if (!this.#first(`table ${table.key}`, this.before.tables.has(table.key))) return;
    this.#prepared.push({ kind: "table", direction: this.direction, table, present: true });
  }

  #addSubject(subject: Hash, fallback: PortTable): void {
    if (!this.#first(`subject ${subject}`, this.before.subjects.has(subject))) return;
    this.#addTable(fallback);
    this.#prepared.push({
      kind: "subject",
      direction: this.direction,
      subject,
      table: fallback.key,
      present: true,
    });
  }

  #addPair(subject: Hash, peer: Hash, table: PortTable): void {
    if (!this.#first(`pair ${subject} ${peer}`, this.before.subjects.get(subject)?.has(peer) ?? false)) return;
    this.#addTable(table);
    this.#prepared.push({
      kind: "pair",
      direction: this.direction,
      subject,
      peer,
      table: table.key,
      present: true,
    });
  }
}

/** Collects a transaction's changes of one map, from what is there to what shall be. */
class Entries {
  readonly #kind: "exact" | "dispatch";
  readonly #direction: Direction;
  readonly #current: Map<string, Hash | null> = new Map();
  readonly #map: ReadonlyMap<string, Hash>;

  constructor(kind: "exact" | "dispatch", direction: Direction, map: ReadonlyMap<string, Hash>) {
    this.#kind = kind;
    this.#direction = direction;
    this.#map = map;
  }

  set(address: string, to: Hash | null): Op[] {
    const from = this.#current.get(address) ?? (this.#current.has(address) ? null : (this.#map.get(address) ?? null));
    if (from === to) return [];
    this.#current.set(address, to);
    return [{ kind: this.#kind, direction: this.#direction, address, from, to }];
  }
}

const entry = (subject: Hash): Hash | null => (subject === unruled ? null : subject);

/** What one direction does in each phase: transactions in order. */
interface Phases {
  readonly prepare: Op[];
  readonly close: Op[][];
  readonly open: Op[][];
}

function phases(change: DirectionChange, hooked: boolean, closeFirst: boolean, denies: ReadonlySet<string>): Phases {
  const { direction, before, after } = change;
  const usesTransitions = hooked && (change.dispatch.length > 0 || closeFirst) && change.peerMoves.size > 0;
  const transition = usesTransitions ? change.transitions() : (_from: Hash, to: Hash): Hash => to;

  const exact = new Entries("exact", direction, before.exact);
  const closeExact: Op[] = [];
  const openExact: Op[] = [];
  for (const { address, from, to } of change.exact) {
    const final = after.exact.get(address) ?? null;
    const straight = final === null && !change.netsChange && !usesTransitions;
    closeExact.push(...exact.set(address, straight ? null : transition(from, to)));
    openExact.push(...exact.set(address, final));
  }

  const closeNets: Op[] = [];
  const openNets: Op[] = [];
  for (const family of families) {
    if (change.nets[family].length === 0) continue;
    const middle = mergeNets(
      change.nets[family].map(({ start, end, from, to }): NetPiece => ({ start, end, peer: transition(from, to) })),
    );
    const final = after.nets[family];
    closeNets.push({ kind: "nets", direction, family, from: before.nets[family], to: middle });
    if (usesTransitions) openNets.push({ kind: "nets", direction, family, from: middle, to: final });
  }

  const dispatch = new Entries("dispatch", direction, before.dispatch);
  const leave: Op[] = [];
  const close: Op[] = [];
  const open: Op[] = [];
  const arrive: Op[] = [];
  for (const move of change.dispatch) {
    const route = change.route(move, usesTransitions, closeFirst);
    leave.push(...dispatch.set(move.address, entry(route.leave)));
    // An unruled end allows everything, so that the other end's class is what both allow.
    const between = route.between ?? (closeFirst && move.to === unruled ? route.leave : route.arrive);
    close.push(...dispatch.set(move.address, entry(between)));
    open.push(...dispatch.set(move.address, entry(route.arrive)));
    arrive.push(...dispatch.set(move.address, entry(move.to)));
  }
  return {
    prepare: change.prepared(denies),
    close: [leave, closeExact, closeNets, close],
    open: [open, openNets, openExact, arrive],
  };
}

/** Transactions of at most this many operations: a socket without privileges takes about 400 kB at once. */
const prepareAtOnce = 2500;

function chunks(ops: readonly Op[]): Op[][] {
  const out: Op[][] = [];
  for (let i = 0; i < ops.length; i += prepareAtOnce) out.push(ops.slice(i, i + prepareAtOnce));
  return out;
}

/**
 * The transactions from `before` to `after`.
 *
 * @param after holds nothing but what packets can reach; its epoch and hooks are not read. The epoch in the result stands
 *   for "another": which one it is, is the enforcer's to say
 * @param touched where the two may differ
 * @param nonce tells this sequence's passing classes from those of every other
 */
export function sequence(
  before: KernelState,
  after: KernelState,
  touched: Readonly<Record<Direction, Touched>>,
  nonce: string,
): Transaction[] {
  const changes = directions.map((d) => new DirectionChange(d, before[d], after[d], touched[d], nonce));
  // A flow is judged in both directions where both its ends are ruled; only then can two changes meet in one flow.
  const ruled = (address: string): boolean =>
    directions.some((d) => before[d].dispatch.has(address) || after[d].dispatch.has(address));
  const local = changes.map(
    (change) => change.dispatch.length > 0 || change.exact.some((m) => m.from !== m.to && ruled(m.address)),
  );
  const closeFirst = before.hooked && local.every(Boolean);
  const known = new Set(before.denies);
  const all = changes.map((change) => {
    const own = phases(change, before.hooked, closeFirst, known);
    for (const op of own.prepare) if (op.kind === "deny") known.add(op.id);
    return own;
  });

  const out: Transaction[] = chunks(all.flatMap((p) => p.prepare)).map((ops) => ({ purpose: "prepare", ops }));
  const together = (purpose: Purpose, steps: readonly (readonly Op[][])[]): void => {
    for (let i = 0; i < Math.max(...steps.map((s) => s.length)); i++) {
      const ops = steps.flatMap((s) => s[i] ?? []);
      if (ops.length > 0) out.push({ purpose, ops });
    }
  };
  together(
    "close",
    all.map((p) => p.close),
  );
  if (before.hooked && changes.some((change) => change.closes)) {
    out.push({ purpose: "epoch", ops: [{ kind: "epoch", to: before.epoch + 1 }] });
  }
  together(
    "open",
    all.map((p) => p.open),
  );
  if (!before.hooked) out.push({ purpose: "open", ops: [{ kind: "hooks" }] });
  return out;
}

/** What `state` holds and `goal` does not need: nothing refers to it, so that it can go at any time. */
export function garbage(state: KernelState, goal: KernelState): Op[] {
  const out: Op[] = [];
  const denies = new Set<string>();
  for (const direction of directions) {
    const have = state[direction];
    const need = goal[direction];
    const tables = new Set<Hash>();
    for (const pairs of need.subjects.values()) for (const table of pairs.values()) tables.add(table);
    for (const [subject, pairs] of have.subjects) {
      const needed = need.subjects.get(subject);
      for (const [peer, table] of pairs) {
        if (peer !== nobody && needed?.has(peer) !== true) {
          out.push({ kind: "pair", direction, subject, peer, table, present: false });
        }
      }
      if (needed === undefined) {
        out.push({ kind: "subject", direction, subject, table: pairs.get(nobody)!, present: false });
      }
    }
    for (const peer of have.peers) {
      if (!need.peers.has(peer)) out.push({ kind: "peer", direction, peer, present: false });
    }
    for (const [key, table] of have.tables) {
      if (!tables.has(key)) out.push({ kind: "table", direction, table, present: false });
      else for (const { answer } of table.pieces) denies.add(answer);
    }
  }
  for (const id of state.denies) if (!denies.has(id)) out.push({ kind: "deny", id, present: false });
  return out;
}

/** Names what an operation of `garbage` removes. */
export function garbageKey(op: Op): string {
  switch (op.kind) {
    case "deny":
      return `deny ${op.id}`;
    case "table":
      return `table ${op.direction} ${op.table.key}`;
    case "peer":
      return `peer ${op.direction} ${op.peer}`;
    case "subject":
      return `subject ${op.direction} ${op.subject}`;
    case "pair":
      return `pair ${op.direction} ${op.subject} ${op.peer}`;
    default:
      throw new Error(`${op.kind} is no garbage`);
  }
}
