/** Where two states may differ: what a change in the plan, or nothing known at all, leaves to compare. */
import type { Direction } from "../policy/model/verdict.ts";
import type { Hash } from "./names.ts";
import type { PortTable } from "./port-table.ts";
import type { DirectionState, KernelState } from "./state.ts";

/** Where two whole states may differ. */
export interface Changed extends Readonly<Record<Direction, Touched>> {
  /** Addresses of this node's pods whose owner may differ. */
  readonly owners: ReadonlySet<string>;
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

const untouched: Touched = {
  exact: new Set(),
  dispatch: new Set(),
  nets: false,
  subjects: new Set(),
  peers: new Set(),
  answer: () => null,
};
export const nothingTouched: Changed = { egress: untouched, ingress: untouched, owners: new Set() };

/** Every place where two states can differ. */
export function touchAll(before: KernelState, after: KernelState): Changed {
  return {
    egress: touchAllOf(before.egress, after.egress),
    ingress: touchAllOf(before.ingress, after.ingress),
    owners: new Set([...before.owners.keys(), ...after.owners.keys()]),
  };
}

function touchAllOf(before: DirectionState, after: DirectionState): Touched {
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
export function mergeTouched(all: readonly Changed[]): Changed {
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
  return {
    egress: merge("egress"),
    ingress: merge("ingress"),
    owners: new Set(all.flatMap(({ owners }) => [...owners])),
  };
}
