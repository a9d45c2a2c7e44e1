/**
 * What the kernel does with a packet, over the abstract state: the lookups of `skeleton.ts` in their order. A packet that
 * runs through a commit sees one generation of rules and, from some lookup on, the next generation of sets.
 */
import { type Family, families, parseAddress } from "../net/address.ts";
import type { Protocol } from "../net/ports.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import type { Hash } from "./names.ts";
import { type Answer, allow, answerAt } from "./port-table.ts";
import { type DirectionState, type KernelState, netPeer, nobody, tableFor } from "./state.ts";

/** A first packet of a flow, by its own addresses after DNAT. */
export interface Packet {
  readonly hook: "forward" | "input";
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** `allow`, a drop id, or `lost`: a chain was reached that the packet's generation of rules does not have. */
export type Fate = Answer | "lost";

/** Lookups that a packet makes at most: the longest way is dispatch, 2 peers, 2 pairs, 4 answers, twice. */
export const maxLookups = 18;

interface View {
  /** The generation of rules. */
  readonly rules: KernelState;
  /** The generation of sets that the next lookup sees. */
  next(): KernelState;
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
  const egress = view.next().egress.dispatch.get(packet.source);
  if (egress !== undefined) {
    const fate = answer(view, "egress", egress, packet);
    if (fate !== allow) return fate;
  } else if (packet.hook === "input") return allow;
  const ingress = view.next().ingress.dispatch.get(packet.destination);
  return ingress === undefined ? allow : answer(view, "ingress", ingress, packet);
}

function answer(view: View, direction: Direction, subject: Hash, packet: Packet): Fate {
  if (!view.rules[direction].subjects.has(subject)) return "lost";
  const address = direction === "egress" ? packet.destination : packet.source;
  const { family, value } = parseAddress(address)!;
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
    epoch: state.epoch,
    owesEpoch: state.owesEpoch,
    hooked: state.hooked,
  };
}

/** Content by which two states can be compared whatever garbage they hold: only what packets can reach. */
export function reachable(state: KernelState): unknown {
  return directions.map((direction) => {
    const own = state[direction];
    const subjects = new Set(own.dispatch.values());
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
}
