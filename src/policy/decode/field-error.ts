/** One thing that the API server would reject, and its words for it (spec B1). */
import { formatPath, type Path } from "../model/source.ts";
import { formatBadValue, quote } from "./go-format.ts";

/**
 * `TypeMismatch`, `UnknownField` and `DuplicateField` are found while decoding (HTTP 400, spec B1.4, B9); `TypeInvalid` is the
 * same mistake found by a CRD schema (HTTP 422). The rest are the API's own error types.
 */
export type ErrorKind =
  | "Required"
  | "Invalid"
  | "NotSupported"
  | "Forbidden"
  | "TooLong"
  | "TooMany"
  | "Duplicate"
  | "TypeInvalid"
  | "TypeMismatch"
  | "UnknownField"
  | "DuplicateField";

export interface FieldError {
  /** The rule of docs/semantics.md that is broken, e.g. `B4.2`. Stable. */
  readonly code: string;
  readonly kind: ErrorKind;
  readonly path: Path;
  /** The bad value; absent where the server does not print one. */
  readonly value?: unknown;
  readonly detail: string;
}

const words: Readonly<Record<ErrorKind, string>> = {
  Required: "Required value",
  Invalid: "Invalid value",
  NotSupported: "Unsupported value",
  Forbidden: "Forbidden",
  TooLong: "Too long",
  TooMany: "Too many",
  Duplicate: "Duplicate value",
  TypeInvalid: "Invalid value",
  TypeMismatch: "",
  UnknownField: "unknown field",
  DuplicateField: "duplicate field",
};

/** Errors found before validation; any of them makes the server's answer a 400 instead of a 422. */
export const isDecodingError = ({ kind }: FieldError): boolean =>
  kind === "TypeMismatch" || kind === "UnknownField" || kind === "DuplicateField";

/** The message without the path, as in `details.causes[].message`. */
export function formatErrorBody(error: FieldError): string {
  const { kind, path, detail } = error;
  if (kind === "TypeMismatch") return detail;
  if (kind === "UnknownField" || kind === "DuplicateField") {
    return `${words[kind]} ${quote(formatPath(path))}${detail === "" ? "" : `: ${detail}`}`;
  }
  const printsValue = kind !== "Required" && kind !== "Forbidden" && kind !== "TooLong" && "value" in error;
  const head = printsValue ? `${words[kind]}: ${formatBadValue(error.value)}` : words[kind];
  return detail === "" ? head : `${head}: ${detail}`;
}

/**
 * `spec.ingress[0].ports[0].port: Invalid value: 99999: must be between 1 and 65535, inclusive`. An error about the whole object
 * has the server's `<nil>` for a path.
 */
export function formatFieldError(error: FieldError): string {
  if (isDecodingError(error)) return formatErrorBody(error);
  return `${error.path.length === 0 ? "<nil>" : formatPath(error.path)}: ${formatErrorBody(error)}`;
}

export const required = (code: string, path: Path, detail = ""): FieldError => ({
  code,
  kind: "Required",
  path,
  detail,
});

export const invalid = (code: string, path: Path, value: unknown, detail: string): FieldError => ({
  code,
  kind: "Invalid",
  path,
  value,
  detail,
});

export const forbidden = (code: string, path: Path, detail: string): FieldError => ({
  code,
  kind: "Forbidden",
  path,
  detail,
});

export const tooLong = (code: string, path: Path, bytes: number): FieldError => ({
  code,
  kind: "TooLong",
  path,
  detail: `may not be more than ${bytes} bytes`,
});

export const notSupported = (
  code: string,
  path: Path,
  value: unknown,
  supported: readonly string[],
  note = "",
): FieldError => ({
  code,
  kind: "NotSupported",
  path,
  value,
  detail: `supported values: ${supported.map(quote).join(", ")}${note}`,
});

export const unknownField = (path: Path, code = "B9", detail = ""): FieldError => ({
  code,
  kind: "UnknownField",
  path,
  detail,
});

export const duplicateField = (path: Path): FieldError => ({ code: "B9", kind: "DuplicateField", path, detail: "" });
