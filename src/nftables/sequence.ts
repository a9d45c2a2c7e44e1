/**
 * From one state of a table to another in transactions that are safe at every moment.
 *
 * A commit is atomic, but one packet makes several lookups and can see two neighbouring states. And a flow between two
 * local pods is judged twice, by the egress of one and the ingress of the other, each by the classes of both ends. The
 * promise: whatever states a packet meets, it gets what the plan before or what the plan after says. It is kept by
 *
 * 1. **prepare**: classes and answers are committed before anything refers to them, and never change under one name;
 * 2. **close**: what both plans don't allow ends first, everywhere;
 * 3. **epoch**: flows that were let through before that are judged again; in one transaction with the last closing;
 * 4. **open**: only then what the plan after allows more;
 * 5. **forget**: the flows of pods that gave up an address, which could pass for flows of whoever gets it (spec A18.7). The
 *    rules come first: what of such a flow is still under way would bring it back, judged by the rules before.
 * 6. `garbage`, for later: what nothing refers to any more.
 *
 * Between closing and opening every changed thing answers `before and after`. Where subjects' classes and their peers'
 * classes change together, a peer moves *early* if no subject before tells its new class from the old one, *late* if no
 * subject after does; else it passes through a *transition class* that old subjects read as the class before, new ones as
 * the class after, and others as both.
 */
import { type AddressSet, families } from "../net/address.ts";
import type { Ranges } from "../net/interval.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { DirectionChange, type Move } from "./direction-change.ts";
import type { Hash } from "./names.ts";
import { equalNets, mergeNets } from "./nets.ts";
import { closed, free, isRuled, type KernelState, type NetPiece, nobody, type Op, outside, stranger } from "./state.ts";
import type { Changed } from "./touched.ts";

/** Why a transaction is sent. */
export type Purpose = "prepare" | "close" | "epoch" | "open" | "forget" | "collect";

export interface Transaction {
  readonly purpose: Purpose;
  readonly ops: readonly Op[];
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

const entry = (subject: Hash): Hash | null => (subject === outside || subject === stranger ? null : subject);

/** Entries that change, apart from those that go: between the two stands the change of the space that is held. */
interface Dispatch {
  readonly set: Op[];
  readonly remove: Op[];
}

/** What one direction does in each phase: transactions in order. */
interface Phases {
  readonly prepare: Op[];
  readonly close: { readonly first: Op[][]; readonly dispatch: Dispatch };
  readonly open: { readonly dispatch: Dispatch; readonly last: Op[][] };
}

/** The class between closing and opening, where none had to be made: what allows less. */
function between({ from, to }: Move, { leave, arrive }: { leave: Hash; arrive: Hash }, closeFirst: boolean): Hash {
  // Of an address outside that comes to be held its entry must be there before.
  if (!closeFirst || to === stranger || from === outside) return arrive;
  // An end that is not judged allows everything, so that the other end's class is what both allow.
  return from === stranger || from === closed || to === free || to === outside ? leave : arrive;
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
  const closed: Dispatch = { set: [], remove: [] };
  const opened: Dispatch = { set: [], remove: [] };
  const arrive: Op[] = [];
  const into = ({ set, remove }: Dispatch, ops: readonly Op[]): void => {
    for (const op of ops) (op.kind === "dispatch" && op.to === null ? remove : set).push(op);
  };
  for (const move of change.dispatch) {
    const route = change.route(move, closeFirst);
    leave.push(...dispatch.set(move.address, entry(route.leave)));
    into(closed, dispatch.set(move.address, entry(route.between ?? between(move, route, closeFirst))));
    into(opened, dispatch.set(move.address, entry(route.arrive)));
    arrive.push(...dispatch.set(move.address, entry(move.to)));
  }
  return {
    prepare: change.prepared(denies),
    close: { first: [leave, closeExact, closeNets], dispatch: closed },
    open: { dispatch: opened, last: [openNets, openExact, arrive] },
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
export function sequence(before: KernelState, after: KernelState, touched: Changed, nonce: string): Transaction[] {
  const changes = directions.map((d) => new DirectionChange(d, [before, after], touched[d], nonce));
  // A flow is judged in both directions where both its ends are ruled; only then can two changes meet in one flow.
  const ruled = (address: string): boolean =>
    directions.some((d) => [before, after].some((state) => isRuled(state[d].dispatch.get(address) ?? outside)));
  const local = changes.map(
    (change) => change.dispatch.length > 0 || change.exact.some((m) => m.from !== m.to && ruled(m.address)),
  );
  const holds = !before.held.equals(after.held);
  const closeFirst = before.hooked && (holds || local.every(Boolean));
  const known = new Set(before.denies);
  const all = changes.map((change) => {
    const own = phases(change, before.hooked, closeFirst, known);
    for (const op of own.prepare) if (op.kind === "deny") known.add(op.id);
    return own;
  });

  const out: Transaction[] = chunks(all.flatMap((p) => p.prepare)).map((ops) => ({ purpose: "prepare", ops }));
  const owners = [...touched.owners].flatMap((address): OwnerOp[] => {
    const [from, to] = [before.owners.get(address) ?? null, after.owners.get(address) ?? null];
    return from === to ? [] : [{ kind: "owner", address, from, to }];
  });
  const moreHeld = !before.held.contains(after.held);
  // A flow of the pod that had an address must not be believed to be one of the pod that has it now.
  const given = owners.some(({ from }) => from !== null);
  const closing = before.hooked && (moreHeld || given || changes.some((change) => change.closes));
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
  /** Who has an entry gets it before the space around it is held, and loses it after: strangers alone are to notice. */
  const hold = (phase: "close" | "open", from: AddressSet, to: AddressSet): void => {
    const dispatch = all.map((p) => p[phase].dispatch);
    const gains = phase === "open" ? owners.filter((op) => op.from === null) : [];
    together(phase, [...dispatch.map(({ set }) => [set]), [gains]]);
    together(phase, [[heldOps(from, to)]]);
    together(
      phase,
      dispatch.map(({ remove }) => [remove]),
    );
  };
  const middle = before.hooked ? before.held.union(after.held) : after.held;
  together(
    "close",
    all.map((p) => p.close.first),
  );
  hold("close", before.held, middle);
  if (closing || before.owesEpoch) {
    // With the last closing: who set out before it gets the old epoch, and is judged again; who gets the new one set out after.
    const epoch: Op = { kind: "epoch", to: before.epoch + 1 };
    const last = out.at(-1)?.purpose === "close" ? out.pop()! : null;
    if (last === null) out.push({ purpose: "epoch", ops: [epoch] });
    else out.push({ purpose: "close", ops: [...last.ops.filter(({ kind }) => kind !== "owe"), epoch] });
  }
  hold("open", middle, after.held);
  together(
    "open",
    all.map((p) => p.open.last),
  );
  if (!before.hooked) out.push({ purpose: "open", ops: [{ kind: "hooks" }] });
  together("forget", [[owners.filter((op) => op.from !== null)]]);
  return out;
}

type OwnerOp = Extract<Op, { kind: "owner" }>;

const heldOps = (from: AddressSet, to: AddressSet): Op[] =>
  families.flatMap((family): Op[] => {
    const [before, after] = [from.byFamily[family], to.byFamily[family]];
    return equalRanges(before, after) ? [] : [{ kind: "held", family, from: before, to: after }];
  });

const equalRanges = (a: Ranges<bigint>, b: Ranges<bigint>): boolean =>
  a.length === b.length && a.every(({ start, end }, i) => start === b[i]!.start && end === b[i]!.end);

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
