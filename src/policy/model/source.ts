/** Where an object was read from. Objects of a cluster have no source. */

/** 1-based line and column in a file. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A step into an object: a field name or a list index. */
export type PathStep = string | number;
export type Path = readonly PathStep[];

/** The text an object was read from; positions are looked up only when someone asks. */
export interface Source {
  readonly file: string;
  /** The position of the value at `path`; of its nearest existing ancestor when there is none. */
  position(path: Path): Position;
}

/** `["spec", "ingress", 0, "from"]` → `spec.ingress[0].from`, as the API server writes field paths. */
export function formatPath(path: Path): string {
  return path.map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`)).join("");
}
