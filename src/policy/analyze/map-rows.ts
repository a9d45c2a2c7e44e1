/** The rows of a map, read from the matrix of its classes. */
import type { Family } from "../../net/address.ts";
import type { Endpoint } from "./endpoint.ts";
import { isOwnNode } from "./judge.ts";
import { type ClassMatrix, everything, noFamily } from "./matrix.ts";

/** Ends with one row in a matrix. INVARIANT: `members` is not empty, and all are of one kind. */
export interface MapRow {
  /** Index of its class in the matrix. */
  readonly class: number;
  readonly members: readonly Endpoint[];
}

/** Numbers of port sets by family. */
export type Cell = Readonly<Record<Family, number>>;

/** Reads a matrix row by row, own nodes exempt. */
export class MapRows {
  readonly #matrix: ClassMatrix;
  readonly #rows = new Map<number, Readonly<Record<Family, Int32Array>>>();

  constructor(matrix: ClassMatrix) {
    this.#matrix = matrix;
  }

  /** What `from` may open, by destination. */
  of(from: MapRow): (to: MapRow) => Cell {
    const { IPv4, IPv6 } = this.#row(from.class);
    const source = from.members[0]!;
    return (to) => {
      const cell = { IPv4: IPv4[to.class]!, IPv6: IPv6[to.class]! };
      return source.kind === "node" && to.members.every((end) => isOwnNode(source, end)) ? exempt(cell) : cell;
    };
  }

  #row(index: number): Readonly<Record<Family, Int32Array>> {
    const held = this.#rows.get(index);
    if (held !== undefined) return held;
    const row = { IPv4: this.#matrix.row(index, "IPv4"), IPv6: this.#matrix.row(index, "IPv6") };
    if (this.#matrix.classes[index]!.members.length > 1) this.#rows.set(index, row);
    return row;
  }
}

/** A node may open everything to its own pods (spec A7.3). */
const exempt = ({ IPv4, IPv6 }: Cell): Cell => ({
  IPv4: IPv4 === noFamily ? noFamily : everything,
  IPv6: IPv6 === noFamily ? noFamily : everything,
});
