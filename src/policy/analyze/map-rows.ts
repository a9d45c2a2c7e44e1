/** The rows of a map, read from the matrix of its classes. */
import type { Endpoint } from "./endpoint.ts";
import { isOwnNode } from "./judge.ts";
import type { ClassMatrix, Rows } from "./matrix.ts";

/** Ends with one row in a matrix. INVARIANT: `members` is not empty, and all are of one kind. */
export interface MapRow {
  /** Index of its class in the matrix. */
  readonly class: number;
  readonly members: readonly Endpoint[];
}

/** Reads a matrix row by row; the rows of classes with several endpoints are kept, others hold until the next is read. */
export class MapRows {
  readonly #matrix: ClassMatrix;
  readonly #rows = new Map<number, Rows>();

  constructor(matrix: ClassMatrix) {
    this.#matrix = matrix;
  }

  of(index: number): Rows {
    const held = this.#rows.get(index);
    if (held !== undefined) return held;
    const rows = this.#matrix.rows(index);
    if (this.#matrix.classes[index]!.members.length === 1) return rows;
    const kept = { IPv4: rows.IPv4.slice(), IPv6: rows.IPv6.slice() };
    this.#rows.set(index, kept);
    return kept;
  }
}

/** Is `from` a node on which all of `to` runs? Then its entry in a row, where it has the family, is `everything` (spec A7.3). */
export function isExempt(from: MapRow, to: MapRow): boolean {
  const source = from.members[0]!;
  return source.kind === "node" && to.members.every((end) => isOwnNode(source, end));
}
