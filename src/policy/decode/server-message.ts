/** The API server's whole answer to a request that it rejects (spec B1.1, B1.4, B9.3). */
import { formatPath } from "../model/source.ts";
import { type ErrorKind, type FieldError, formatErrorBody, formatFieldError, isDecodingError } from "./field-error.ts";
import { quote } from "./go-format.ts";
import { isObject } from "./shape.ts";

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** meta/v1 Status, as far as it depends on the errors. */
export interface RejectedStatus {
  readonly code: 400 | 422;
  readonly reason: "BadRequest" | "Invalid";
  readonly message: string;
  /** [] for a 400. */
  readonly causes: readonly StatusCause[];
}

/** The server gives at most this many unknown and duplicate fields. */
const maxFindings = 100;

const causeReason = (kind: ErrorKind): string => `FieldValue${kind}`;

const unique = (texts: readonly string[]): string[] => [...new Set(texts)];

const field = (object: unknown, name: string): string => {
  const value = isObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;
  return typeof value === "string" ? value : "";
};

/** @param errors of `decodePolicy` or `validateUpdate`; not empty */
export function rejectedStatus(object: unknown, errors: readonly FieldError[]): RejectedStatus {
  const kind = field(object, "kind");
  const apiVersion = field(object, "apiVersion");
  const slash = apiVersion.indexOf("/");
  const group = slash < 0 ? "" : apiVersion.slice(0, slash);
  const version = apiVersion.slice(slash + 1);
  const badRequest = (detail: string): RejectedStatus => ({
    code: 400,
    reason: "BadRequest",
    message: `${kind} in version ${quote(version)} cannot be handled as a ${kind}: ${detail}`,
    causes: [],
  });
  const mismatch = errors.find((e) => e.kind === "TypeMismatch");
  if (mismatch !== undefined) return badRequest(formatFieldError(mismatch));
  const findings = unique(errors.filter(isDecodingError).map(formatFieldError)).slice(0, maxFindings);
  if (findings.length > 0) return badRequest(`strict decoding error: ${findings.join(", ")}`);

  const metadata = isObject(object) && Object.hasOwn(object, "metadata") ? object["metadata"] : undefined;
  const messages = unique(errors.map(formatFieldError));
  const list = messages.length === 1 ? messages[0]! : `[${messages.join(", ")}]`;
  const qualified = group === "" ? kind : `${kind}.${group}`;
  return {
    code: 422,
    reason: "Invalid",
    message: `${qualified} ${quote(field(metadata, "name"))} is invalid: ${list}`,
    causes: errors.map((e) => ({
      reason: causeReason(e.kind),
      message: formatErrorBody(e),
      field: formatPath(e.path),
    })),
  };
}

/** The message of the server's answer. */
export const serverMessage = (object: unknown, errors: readonly FieldError[]): string =>
  rejectedStatus(object, errors).message;
