/** Which unused objects of a table may be removed, and when. */
import { garbage } from "./sequence.ts";
import type { KernelState, Op } from "./state.ts";

/** Names what an operation of `garbage` removes. */
function keyOf(op: Op): string {
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

/** Does the goal use what the operation would remove? Drop ids are used through tables. */
function isNeeded(op: Op, goal: KernelState): boolean {
  switch (op.kind) {
    case "table":
      return goal[op.direction].tables.has(op.table.key);
    case "peer":
      return goal[op.direction].peers.has(op.peer);
    case "subject":
      return goal[op.direction].subjects.has(op.subject);
    case "pair":
      return goal[op.direction].subjects.get(op.subject)?.has(op.peer) === true;
    default:
      return false;
  }
}

/** What operation `op` keeps in place as long as it is not carried out: whatever its object refers to. */
function* held(op: Op): Generator<string> {
  if (op.kind === "pair") {
    yield `subject ${op.direction} ${op.subject}`;
    yield `peer ${op.direction} ${op.peer}`;
  }
  if (op.kind === "pair" || op.kind === "subject") yield `table ${op.direction} ${op.table}`;
  if (op.kind === "table") for (const { answer } of op.table.pieces) yield `deny ${answer}`;
}

/** In this order nothing is asked about before everything that refers to it. */
const order = { pair: 0, subject: 1, peer: 2, table: 3, deny: 4 } as Readonly<Record<Op["kind"], number>>;

/** Remembers what was unused at the last look, and has not been used since. */
export class Collector {
  #suspects = new Map<string, Op>();

  /** To be told every goal that the kernel reaches: what it uses is no longer suspect. */
  reached(goal: KernelState): void {
    for (const [key, op] of this.#suspects) if (isNeeded(op, goal)) this.#suspects.delete(key);
  }

  /**
   * Looks again. The result can go: it was unused at the last look, all the time since, and so was all that refers to it.
   * @returns `isMore`: there is something that may go next time
   */
  look(state: KernelState, goal: KernelState): { readonly ops: readonly Op[]; readonly isMore: boolean } {
    const all = garbage(state, goal).sort((a, b) => order[a.kind] - order[b.kind]);
    const kept = new Set<string>();
    const due: Op[] = [];
    for (const op of all) {
      const key = keyOf(op);
      if (this.#suspects.has(key) && !kept.has(key)) due.push(op);
      else for (const other of held(op)) kept.add(other);
    }
    this.#suspects = new Map(all.map((op) => [keyOf(op), op]));
    return { ops: due, isMore: all.length > due.length };
  }
}
