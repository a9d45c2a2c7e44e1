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
 * Between closing and opening every changed thing answers `before and after`. Where subjects' classes and their peers'
 * classes change together, a peer moves *early* if no subject before tells its new class from the old one, *late* if no
 * subject after does; else it passes through a *transition class* that old subjects read as the class before, new ones as
 * the class after, and others as both.
 */
import { type Family, families } from "../net/address.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { type Hash, hash } from "./names.ts";
import { cutNets, equalNets, mergeNets, type NetChange } from "./nets.ts";
import { allow, allowAll, both, closes, type PortTable } from "./port-table.ts";
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
  /** What a subject class answers a peer class, of those before and those after; null where that is not known. */
  readonly answer: (subject: Hash, peer: Hash) => PortTable | null;
}

/** Every place where two states can differ. */
export function touchAll(before: DirectionState, after: DirectionState): Touched {
  return {
    exact: new Set([...before.exact.keys(), ...after.exact.keys()]),
    dispatch: new Set([...before.dispatch.keys(), ...after.dispatch.keys()]),
    nets: true,
    subjects: new Set(after.subjects.keys()),
    peers: after.peers,
    answer: () => null,
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
      answer: own.length === 1 ? own[0]!.answer : () => null, // of several only the last still knows what it knew
    };
  };
  return { egress: merge("egress"), ingress: merge("ingress") };
}

interface Move {
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
  /** Distinct changes of peer classes, of pods, nodes and networks. */
  readonly peerMoves: readonly PeerMove[];
  readonly #touched: Touched;
  readonly #nonce: string;
  readonly #prepared: Op[] = [];
  readonly #new = new Set<string>();
  /** What new subject classes answer about `nobody`. */
  readonly #fallbacks = new Map<Hash, Hash>();
  /** Subject classes that some address has before; after; before and after. */
  readonly #old: ReadonlySet<Hash>;
  readonly #next: ReadonlySet<Hash>;
  readonly #kept: ReadonlySet<Hash>;
  /** By `from to`; empty where moves need no care. */
  readonly #timing = new Map<string, Timing>();

  constructor(direction: Direction, before: DirectionState, after: DirectionState, touched: Touched, nonce: string) {
    this.direction = direction;
    this.before = before;
    this.after = after;
    this.#touched = touched;
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
    const moves = new Map<string, PeerMove>();
    for (const { from, to } of [...this.exact, ...this.nets.IPv4, ...this.nets.IPv6]) {
      if (from !== to) moves.set(`${from} ${to}`, { from, to });
    }
    this.peerMoves = [...moves.values()];
    this.#old = new Set(before.dispatch.values());
    this.#next = new Set(after.dispatch.values());
    const kept = new Set<Hash>();
    for (const [address, subject] of after.dispatch) if (before.dispatch.get(address) === subject) kept.add(subject);
    this.#kept = kept;
    this.#prepareGoal();
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
    const subjects = [...changed.values(), ...Array.from(this.#kept, (subject) => ({ from: subject, to: subject }))];
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
      for (const subject of this.#old) {
        if (!this.#next.has(subject)) this.#addPair(subject, middle, this.#tableBefore(subject, move.from));
      }
      for (const subject of this.#next) {
        if (!this.#old.has(subject)) this.#addPair(subject, middle, this.#tableAfter(subject, move.to));
      }
      if (timing !== "transition") continue;
      for (const subject of this.#kept) {
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
    const shared = (subject: Hash, others: ReadonlySet<Hash>): boolean =>
      inTransition && subject !== unruled && others.has(subject);
    const old = (peer: Hash): PortTable => this.#tableBefore(from, peer);
    const next = (peer: Hash): PortTable => this.#tableAfter(to, peer);
    const leave = shared(from, this.#next) ? this.#derive("leave", from, to, old, (move) => old(move.from)) : from;
    const arrive = shared(to, this.#old) ? this.#derive("arrive", from, to, next, (move) => next(move.to)) : to;
    const between =
      closeFirst && from !== unruled && to !== unruled
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
    for (const subject of this.#kept) {
      if (this.#tableBefore(subject, from).key !== this.#tableAfter(subject, to).key) return "transition";
    }
    const same = (subject: Hash, known: PortTable, other: Hash): boolean =>
      this.#kept.has(subject) || answer(subject, other) === known.key;
    if ([...this.#old].every((subject) => same(subject, this.#tableBefore(subject, from), to))) return "early";
    if ([...this.#next].every((subject) => same(subject, this.#tableAfter(subject, to), from))) return "late";
    return "transition";
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
  const inTwoSteps = hooked && (change.dispatch.length > 0 || closeFirst);
  if (inTwoSteps) change.planTransitions();

  const exact = new Entries("exact", direction, before.exact);
  const closeExact: Op[] = [];
  const openExact: Op[] = [];
  for (const { address, from, to } of change.exact) {
    const final = after.exact.get(address) ?? null;
    const straight = final === null && !change.netsChange && !inTwoSteps;
    closeExact.push(...exact.set(address, straight ? null : change.middle(from, to)));
    openExact.push(...exact.set(address, final));
  }

  const closeNets: Op[] = [];
  const openNets: Op[] = [];
  for (const family of families) {
    if (change.nets[family].length === 0) continue;
    const middle = mergeNets(
      change.nets[family].map(({ start, end, from, to }): NetPiece => ({ start, end, peer: change.middle(from, to) })),
    );
    const final = after.nets[family];
    const set = (ops: Op[], from: readonly NetPiece[], to: readonly NetPiece[]): void => {
      if (!equalNets(from, to)) ops.push({ kind: "nets", direction, family, from, to });
    };
    set(closeNets, before.nets[family], middle);
    set(openNets, middle, final);
  }

  const dispatch = new Entries("dispatch", direction, before.dispatch);
  const leave: Op[] = [];
  const close: Op[] = [];
  const open: Op[] = [];
  const arrive: Op[] = [];
  for (const move of change.dispatch) {
    const route = change.route(move, closeFirst);
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

/** Operations in one transaction: a socket without privileges takes about 400 kB at once. */
const atOnce = 1000;

function chunks(ops: readonly Op[]): Op[][] {
  const out: Op[][] = [];
  for (let i = 0; i < ops.length; i += atOnce) out.push(ops.slice(i, i + atOnce));
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
  const closing = before.hooked && changes.some((change) => change.closes);
  let owes = closing && !before.owesEpoch;
  const together = (purpose: Purpose, steps: readonly (readonly Op[][])[]): void => {
    for (let i = 0; i < Math.max(...steps.map((s) => s.length)); i++) {
      // Addresses change one by one as safely as together.
      const ops = steps.flatMap((s) => s[i] ?? []);
      if (purpose === "close" && ops.length > 0 && owes) {
        ops.unshift({ kind: "owe", epoch: before.epoch });
        owes = false;
      }
      for (const some of chunks(ops)) out.push({ purpose, ops: some });
    }
  };
  together(
    "close",
    all.map((p) => p.close),
  );
  if (closing || before.owesEpoch) {
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
