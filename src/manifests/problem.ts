/** What is wrong with the input, said so that an editor can jump to it. */
import { formatPath, type Path, type Position } from "../policy/model/source.ts";

export type Severity = "error" | "warning";

export interface Problem {
  readonly severity: Severity;
  /** Stable, kebab-case. */
  readonly code: string;
  /** One line; names the field where there is one. */
  readonly message: string;
  /** null when the problem is about no file in particular. */
  readonly position: Position | null;
  /** Into the object, `items[i]` of a List left out; [] when it is about the whole object or file. */
  readonly path: Path;
}

/** `file:line:col: message`; warnings say that they are one. */
export function formatProblem({ severity, message, position }: Problem): string {
  const where = position === null ? "" : `${position.file}:${position.line}:${position.column}: `;
  return `${where}${severity === "warning" ? "warning: " : ""}${message}`;
}

/** `spec.ports[0].port: expected integer, got string`. */
export const aboutField = (path: Path, message: string): string =>
  path.length === 0 ? message : `${formatPath(path)}: ${message}`;
