/** The cluster-scoped kinds of policy.networking.k8s.io. */
import type { ClusterPolicyKind } from "../model/policy.ts";
import type { Decoded, DecodeOptions } from "./decoded.ts";
import type { FieldError } from "./field-error.ts";

export function decodeClusterPolicy(_object: unknown, _kind: ClusterPolicyKind, _options: DecodeOptions): Decoded {
  throw new Error("not built yet");
}

export function validateClusterUpdate(
  _old: unknown,
  _next: unknown,
  _kind: ClusterPolicyKind,
  _options: DecodeOptions,
): readonly FieldError[] {
  throw new Error("not built yet");
}
