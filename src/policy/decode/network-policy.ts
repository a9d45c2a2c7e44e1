/** networking.k8s.io/v1 NetworkPolicy: create and update requests, decoded and validated. */
import type { NetworkPolicySpec } from "../model/policy.ts";
import { hasStrictCidrs } from "./cidr.ts";
import { type Decoded, type DecodeOptions, modelMeta, withDuplicates } from "./decoded.ts";
import type { FieldError } from "./field-error.ts";
import { type DecodedMeta, validateMetadata, validateMetadataUpdate } from "./metadata.ts";
import { judgeNulls, knownCidrs, type SpecOptions, specWarnings, validateSpec } from "./network-policy-spec.ts";
import { validateSelector } from "./selector.ts";
import { decodeShape } from "./shape.ts";
import { networkPolicy } from "./shapes.ts";

/** A NetworkPolicy after decoding, nothing validated. */
interface RawPolicy {
  readonly metadata: DecodedMeta;
  readonly spec: NetworkPolicySpec | null;
  readonly errors: readonly FieldError[];
  readonly nullErrors: readonly FieldError[];
  readonly warnings: readonly string[];
  /** Some value has the wrong type: nothing else can be said about the object. */
  readonly unreadable: boolean;
}

function read(object: unknown, options: DecodeOptions): RawPolicy {
  const shaped = decodeShape(object, networkPolicy);
  const value = (shaped.value ?? {}) as { metadata?: DecodedMeta | null; spec?: NetworkPolicySpec | null };
  const nulls = judgeNulls(shaped.nulls);
  const { namespace, ...metadata } = value.metadata ?? {};
  return {
    metadata: { ...metadata, namespace: (namespace ?? "") === "" ? (options.defaultNamespace ?? "") : namespace! },
    spec: value.spec ?? null,
    errors: withDuplicates(shaped.errors, options.duplicates ?? [], object),
    nullErrors: nulls.errors,
    warnings: nulls.warnings,
    unreadable: shaped.errors.some((e) => e.kind === "TypeMismatch"),
  };
}

const isStrict = ({ kubernetesVersion }: DecodeOptions): boolean =>
  kubernetesVersion === undefined || hasStrictCidrs(kubernetesVersion);

/** @param object has the kind and apiVersion of a NetworkPolicy */
export function decodeNetworkPolicy(object: unknown, options: DecodeOptions): Decoded {
  const { metadata, spec, unreadable, ...raw } = read(object, options);
  if (unreadable) return { policy: null, errors: raw.errors, warnings: [] };
  const specOptions: SpecOptions = {
    strictCidrs: isStrict(options),
    knownCidrs: new Set(),
    allowInvalidLabelValues: false,
  };
  const errors = [
    ...raw.errors,
    ...validateMetadata(metadata, true),
    ...validateSpec(spec ?? {}, specOptions),
    ...raw.nullErrors,
  ];
  return {
    policy: {
      kind: "NetworkPolicy",
      metadata: modelMeta(metadata, metadata.namespace ?? ""),
      spec,
      source: options.source ?? null,
    },
    errors,
    warnings: errors.length > 0 ? [] : [...raw.warnings, ...specWarnings(spec ?? {})],
  };
}

/** What the server says against replacing `old` by `next` (spec B2.8, B3.4, B6.4). `old` may be invalid by now. */
export function validateNetworkPolicyUpdate(
  old: unknown,
  next: unknown,
  options: DecodeOptions,
): readonly FieldError[] {
  const stored = read(old, { ...options, duplicates: [] });
  const { metadata, spec, unreadable, ...raw } = read(next, options);
  if (unreadable) return raw.errors;
  const specOptions: SpecOptions = {
    strictCidrs: isStrict(options),
    knownCidrs: knownCidrs(stored.spec ?? {}),
    allowInvalidLabelValues: validateSelector(stored.spec?.podSelector, null).length > 0,
  };
  return [
    ...raw.errors,
    ...validateMetadataUpdate(stored.metadata, metadata),
    ...validateSpec(spec ?? {}, specOptions),
    ...raw.nullErrors,
  ];
}
