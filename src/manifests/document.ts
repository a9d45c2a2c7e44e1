/** What the parsers of YAML and JSON give: a plain value, and on demand the offset of each of its parts. */
import type { Path, PathStep } from "../policy/model/source.ts";

/** Offsets into the whole file. `entries` are the parts of a mapping or list. */
export interface Located {
  readonly offset: number;
  readonly entries: ReadonlyMap<PathStep, Located> | null;
}

export interface Document {
  readonly value: unknown;
  /** Every mapping key that is met again in the same mapping, once for each time. */
  readonly duplicates: readonly Path[];
  /** May parse again: call it only when a position is asked for. */
  located(): Located;
}

/** A text that can't be read: `offset` says where, in the whole file. */
export class SyntaxProblem extends Error {
  readonly offset: number;
  readonly code: string;

  constructor(message: string, offset: number, code = "syntax") {
    super(message);
    this.offset = offset;
    this.code = code;
  }
}

/** As deep as an object may be: far more than any kind has, far less than the stack. */
export const maxDepth = 500;

export const tooDeep = (offset: number): SyntaxProblem =>
  new SyntaxProblem(`nested more than ${maxDepth} levels deep`, offset, "too-deep");

/** Offset of the value at `path`, or of its nearest existing ancestor. */
export function offsetOf(root: Located, path: Path): number {
  let at = root;
  for (const step of path) {
    const next = at.entries?.get(step);
    if (next === undefined) break;
    at = next;
  }
  return at.offset;
}
