/** From a plain object to a policy, or to everything that the API server would say against it (spec B, C). */
import type { PolicyKind } from "../model/policy.ts";
import { decodeClusterPolicy, validateClusterUpdate } from "./cluster-policy.ts";
import type { Decoded, DecodeOptions } from "./decoded.ts";
import { type FieldError, invalid, notSupported } from "./field-error.ts";
import { apiVersionOf, policyKindOf } from "./kinds.ts";
import { decodeNetworkPolicy, validateNetworkPolicyUpdate } from "./network-policy.ts";
import { isObject, jsonType } from "./shape.ts";

export type { Decoded, DecodeOptions } from "./decoded.ts";
export { isDomainNamePattern, matchesDomainName } from "./domain-name.ts";
export { type ErrorKind, type FieldError, formatErrorBody, formatFieldError, isDecodingError } from "./field-error.ts";
export { isPolicyKind } from "./kinds.ts";
export { type RejectedStatus, rejectedStatus, type StatusCause, serverMessage } from "./server-message.ts";
export { parseStrictJson, type StrictJson } from "./strict-json.ts";

/** The kind of an object in the one version that is understood, or why it has none. */
function identify(object: unknown): PolicyKind | FieldError {
  if (!isObject(object)) {
    const detail = `a policy must be an object, not ${jsonType(object)}`;
    return { code: "B1.4", kind: "TypeMismatch", path: [], detail };
  }
  const { apiVersion, kind } = object;
  const known = typeof kind === "string" ? policyKindOf(kind) : null;
  if (known === null || known !== kind) {
    const supported = known === null ? "" : `: did you mean ${known}?`;
    return invalid("A1.1", ["kind"], kind, `no such kind of policy${supported}`);
  }
  const right = apiVersionOf(known);
  return apiVersion === right ? known : notSupported("A1.1", ["apiVersion"], apiVersion ?? "", [right]);
}

/**
 * Reads a policy as the API server reads a create request with strict field validation. Nothing is defaulted in the result.
 * Never throws; takes time linear in the size of what the API knows.
 */
export function decodePolicy(object: unknown, options: DecodeOptions = {}): Decoded {
  const kind = identify(object);
  if (typeof kind !== "string") return { policy: null, errors: [kind], warnings: [] };
  return kind === "NetworkPolicy" ? decodeNetworkPolicy(object, options) : decodeClusterPolicy(object, kind, options);
}

/** What the server would say against replacing the stored object `old` by `next`; [] when it accepts. */
export function validateUpdate(old: unknown, next: unknown, options: DecodeOptions = {}): readonly FieldError[] {
  const kind = identify(next);
  if (typeof kind !== "string") return [kind];
  return kind === "NetworkPolicy"
    ? validateNetworkPolicyUpdate(old, next, options)
    : validateClusterUpdate(old, next, kind, options);
}
