/**
 * Subject classes that the table has no room for: their subjects are closed, in the direction concerned, and everything
 * else goes on. What nft itself refuses is not known before; see `NftablesError`.
 */
import { type Direction, directions } from "../policy/model/verdict.ts";
import { type Hash, hash } from "./names.ts";
import { closed, type DirectionState, type KernelState } from "./state.ts";

/** What drops of closed subjects' packets are called. */
export const closedDrop: Readonly<Record<Direction, string>> = {
  egress: hash("egress cannot be programmed"),
  ingress: hash("ingress cannot be programmed"),
};

/** What there is room for in one direction. */
export interface Room {
  readonly subjects: number;
  readonly tables: number;
}

export interface Fitted {
  /** The goal itself where it has room. */
  readonly goal: KernelState;
  readonly closed: Readonly<Record<Direction, ReadonlySet<Hash>>>;
}

/** The goal, with the newest of too many subject classes closed. */
export function fitting(goal: KernelState, room: Room): Fitted {
  const excess = {} as Record<Direction, ReadonlySet<Hash>>;
  for (const direction of directions) excess[direction] = excessOf(goal[direction], room);
  if (directions.every((direction) => excess[direction].size === 0)) return { goal, closed: excess };
  const own = (direction: Direction): DirectionState => without(goal[direction], excess[direction]);
  return { goal: { ...goal, egress: own("egress"), ingress: own("ingress") }, closed: excess };
}

function excessOf(goal: DirectionState, room: Room): Set<Hash> {
  const excess = new Set<Hash>();
  if (goal.subjects.size <= room.subjects && goal.tables.size <= room.tables) return excess;
  const tables = new Set<Hash>();
  let subjects = 0;
  for (const [subject, pairs] of goal.subjects) {
    const news = new Set([...pairs.values()].filter((table) => !tables.has(table)));
    if (subjects === room.subjects || tables.size + news.size > room.tables) {
      excess.add(subject);
      continue;
    }
    subjects++;
    for (const table of news) tables.add(table);
  }
  return excess;
}

function without(goal: DirectionState, excess: ReadonlySet<Hash>): DirectionState {
  if (excess.size === 0) return goal;
  const subjects = new Map([...goal.subjects].filter(([subject]) => !excess.has(subject)));
  const tables = new Set([...subjects.values()].flatMap((pairs) => [...pairs.values()]));
  return {
    ...goal,
    subjects,
    tables: new Map([...goal.tables].filter(([key]) => tables.has(key))),
    dispatch: new Map(
      Array.from(goal.dispatch, ([address, subject]) => [address, excess.has(subject) ? closed : subject]),
    ),
  };
}
