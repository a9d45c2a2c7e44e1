/**
 * What the kernel does with a packet, over the abstract state: the lookups of `skeleton.ts` in their order. A packet that
 * runs through a commit sees one generation of rules and, from some lookup on, the next generation of sets.
 */
import { type Address, type Family, families, parseAddress } from "../net/address.ts";
import type { Protocol } from "../net/ports.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { closedDrop } from "./closed.ts";
import type { Hash } from "./names.ts";
import { type Answer, allow, answerAt } from "./port-table.ts";
import { closed, type DirectionState, free, isRuled, type KernelState, netPeer, nobody, tableFor } from "./state.ts";
import { strangerDrop } from "./strangers.ts";

/** A first packet of a flow, by its own addresses after DNAT. */
export interface Packet {
  readonly hook: "forward" | "input";
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** Ends that are behind an interface of a pod of this node. */
  readonly behind?: ReadonlySet<string>;
}

/** `allow`, a drop id, or `lost`: a chain was reached that the packet's generation of rules does not have. */
export type Fate = Answer | "lost";

/** Lookups that a packet makes at most: the longest way is dispatch, 2 peers, 2 pairs, 4 answers, twice; or
 * dispatch and the pod space. */
export const maxLookups = 20;

interface View {
  /** The generation of rules. */
  readonly rules: KernelState;
  /** The generation of sets that the next lookup sees. */
  next(): KernelState;
}

const known = new Map<string, Address>();

/** Simulations read few addresses, and those very often. */
export function read(text: string): Address {
  const found = known.get(text) ?? parseAddress(text)!;
  known.set(text, found);
  return found;
}

/** The fate of a packet in one state. */
export const judge = (state: KernelState, packet: Packet): Fate => run({ rules: state, next: () => state }, packet);

/** The fate of a packet that sets out in `before` and sees the sets of `after` from lookup number `turn` on. */
export function judgeAcross(before: KernelState, after: KernelState, turn: number, packet: Packet): Fate {
  let lookups = 0;
  return run({ rules: before, next: () => (lookups++ < turn ? before : after) }, packet);
}

function run(view: View, packet: Packet): Fate {
  if (!view.rules.hooked) return allow;
  const egress = subject(view, "egress", packet.source, packet);
  if (egress !== allow || packet.hook === "input") return egress;
  return subject(view, "ingress", packet.destination, packet);
}

function subject(view: View, direction: Direction, address: string, packet: Packet): Fate {
  const own = view.next()[direction].dispatch.get(address);
  if (own === free) return allow;
  if (own === closed) return closedDrop[direction];
  if (own !== undefined) return answer(view, direction, own, packet);
  const isStranger =
    view.next().held.has(read(address)) || (view.rules.byInterface && packet.behind?.has(address) === true);
  return isStranger ? strangerDrop[direction] : allow;
}

function answer(view: View, direction: Direction, subject: Hash, packet: Packet): Fate {
  if (!view.rules[direction].subjects.has(subject)) return "lost";
  const address = direction === "egress" ? packet.destination : packet.source;
  const { family, value } = read(address);
  const peer = view.next()[direction].exact.get(address) ?? netPeer(view.next()[direction].nets[family], value);
  const pair = (state: DirectionState, key: Hash): Hash | undefined => state.subjects.get(subject)?.get(key);
  const own = pair(view.next()[direction], peer);
  const table = own ?? pair(view.next()[direction], nobody);
  if (table === undefined) return "lost";
  // Port, range, protocol and rest: the elements of one table come and go together.
  const known = [0, 1, 2, 3].map(() => view.next()[direction].tables.get(table));
  if (known.some((t) => t === undefined)) return "lost";
  const fate = answerAt(known[0]!, packet.protocol, packet.port);
  return fate === allow || view.rules.denies.has(fate) ? fate : "lost";
}

export function cloneState(state: KernelState): KernelState {
  const direction = (d: DirectionState): DirectionState => ({
    tables: new Map(d.tables),
    subjects: new Map(Array.from(d.subjects, ([subject, pairs]) => [subject, new Map(pairs)])),
    peers: new Set(d.peers),
    exact: new Map(d.exact),
    nets: { ...d.nets },
    dispatch: new Map(d.dispatch),
  });
  return {
    egress: direction(state.egress),
    ingress: direction(state.ingress),
    denies: new Set(state.denies),
    held: state.held,
    byInterface: state.byInterface,
    owners: new Map(state.owners),
    epoch: state.epoch,
    owesEpoch: state.owesEpoch,
    hooked: state.hooked,
  };
}

/** Content by which two states can be compared whatever garbage they hold: only what packets can reach. */
export function reachable(state: KernelState): unknown {
  const both = directions.map((direction) => {
    const own = state[direction];
    const subjects = new Set([...own.dispatch.values()].filter(isRuled));
    const peers = new Set([
      nobody,
      ...own.exact.values(),
      ...families.flatMap((family) => own.nets[family].map((piece) => piece.peer)),
    ]);
    const sorted = (map: ReadonlyMap<string, string>): readonly (readonly [string, string])[] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      dispatch: sorted(own.dispatch),
      exact: sorted(own.exact),
      nets: families.map((family) => own.nets[family].map((p) => [String(p.start), String(p.end), p.peer])),
      answers: [...subjects]
        .sort()
        .map((subject) => [subject, [...peers].sort().map((peer) => [peer, tableFor(own, subject, peer).key])]),
    };
  });
  return { both, held: state.held.key, owners: [...state.owners].sort(([a], [b]) => (a < b ? -1 : 1)) };
}
