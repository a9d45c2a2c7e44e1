/** Where two states may differ: what a change in the plan, or nothing known at all, leaves to compare. */
import type { Direction } from "../policy/model/verdict.ts";
import type { Hash } from "./names.ts";
import type { PortTable } from "./port-table.ts";
import type { DirectionState } from "./state.ts";

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
