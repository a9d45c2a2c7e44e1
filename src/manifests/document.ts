/** What the parsers of YAML and JSON give: a plain value, and on demand the offset of each of its parts. */
import type { Path } from "../policy/model/source.ts";

export interface Document {
  readonly value: unknown;
  /** Every mapping key that is met again in the same mapping, once for each time. */
  readonly duplicates: readonly Path[];
  /**
   * Offset, in the whole file, of the value at a path; of its nearest existing ancestor when there is none. May parse again:
   * for positions that someone asks for.
   */
  offsetOf(path: Path): number;
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
