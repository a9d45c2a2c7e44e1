/** The cluster-scoped kinds of policy.networking.k8s.io: create and update requests, decoded and validated (spec C2, C16). */
import type { ClusterPolicyKind, ClusterPolicySpec } from "../model/policy.ts";
import type { Path } from "../model/source.ts";
import { clusterPolicySchema } from "./cluster-schema.ts";
import { type Decoded, type DecodeOptions, modelMeta } from "./decoded.ts";
import { duplicateField, type FieldError } from "./field-error.ts";
import { type DecodedMeta, validateMetadata, validateMetadataUpdate } from "./metadata.ts";
import { checkSchema } from "./schema.ts";
import { decodeShape, isObject, type Shaped } from "./shape.ts";
import { objectMeta } from "./shapes.ts";

interface RawClusterPolicy {
  readonly meta: DecodedMeta;
  readonly spec: unknown;
  /** What is wrong before anything is validated: types in the metadata, unknown and duplicate fields. */
  readonly decodingErrors: readonly FieldError[];
  readonly schemaErrors: readonly FieldError[];
  readonly warnings: readonly string[];
}

const noMeta: Shaped = { value: null, errors: [], nulls: [] };

function read(object: unknown, kind: ClusterPolicyKind, options: DecodeOptions): RawClusterPolicy {
  const metadata = isObject(object) && Object.hasOwn(object, "metadata") ? object["metadata"] : null;
  const shaped = metadata === null ? noMeta : decodeShape(metadata, objectMeta, ["metadata"]);
  const schema = clusterPolicySchema(kind, options.crdChannel ?? "experimental");
  const checked = checkSchema(object, schema, [], kind === "ClusterNetworkPolicy" ? "C2" : "C16");
  const isUnknown = (e: FieldError): boolean => e.kind === "UnknownField";
  // custom resources are read without types first, which finds the duplicates, and pruned later
  const duplicates = (options.duplicates ?? []).map(duplicateField);
  return {
    meta: (shaped.value ?? {}) as DecodedMeta,
    spec: isObject(checked.value) ? checked.value["spec"] : null,
    decodingErrors: [...duplicates, ...shaped.errors, ...checked.errors.filter(isUnknown)],
    schemaErrors: checked.errors.filter((e) => !isUnknown(e)),
    warnings: checked.warnings,
  };
}

/** Errors after which the object can't be read by the model's types, or would say something else than was meant. */
const isUnreadable = ({ kind, code }: FieldError): boolean =>
  kind === "TypeMismatch" || kind === "TypeInvalid" || kind === "Required" || code === "C16.8";

/** @param object has the apiVersion of `kind` */
export function decodeClusterPolicy(object: unknown, kind: ClusterPolicyKind, options: DecodeOptions): Decoded {
  const { meta, spec, decodingErrors, schemaErrors, warnings } = read(object, kind, options);
  const structural = [...decodingErrors, ...schemaErrors];
  const errors = decodingErrors.some((e) => e.kind === "TypeMismatch")
    ? structural
    : [...decodingErrors, ...validateMetadata(meta, false), ...schemaErrors];
  return {
    policy: structural.some(isUnreadable)
      ? null
      : { kind, metadata: modelMeta(meta, ""), spec: spec as ClusterPolicySpec, source: options.source ?? null },
    errors,
    warnings: errors.length > 0 ? [] : [...namespaceWarning(meta, kind), ...warnings],
  };
}

const namespaceWarning = (meta: DecodedMeta, kind: ClusterPolicyKind): string[] =>
  meta.namespace ? [`metadata.namespace: ignored: a ${kind} belongs to the whole cluster`] : [];

/**
 * The part of an object that the server compares with the stored one before it complains about `path`: list items have no
 * identity here, so it is the nearest list, else the value itself.
 */
function comparedPath(error: FieldError): Path {
  const path = error.kind === "Required" ? error.path.slice(0, -1) : error.path;
  const index = path.findIndex((step) => typeof step === "number");
  return index < 0 ? path : path.slice(0, index);
}

const valueAt = (object: unknown, path: Path): unknown =>
  path.reduce<unknown>((at, step) => (isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined), object);

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}

/**
 * What the server says against replacing `old` by `next`. What was wrong before may stay as it is (CRD ratcheting, on by default
 * since Kubernetes 1.30).
 */
export function validateClusterUpdate(
  old: unknown,
  next: unknown,
  kind: ClusterPolicyKind,
  options: DecodeOptions,
): readonly FieldError[] {
  const stored = read(old, kind, { ...options, duplicates: [] });
  const { meta, spec, decodingErrors, schemaErrors } = read(next, kind, options);
  if (decodingErrors.some((e) => e.kind === "TypeMismatch")) return decodingErrors;
  const unchanged = (error: FieldError): boolean => {
    const path = comparedPath(error);
    return path[0] === "spec" && equal(valueAt({ spec }, path), valueAt({ spec: stored.spec }, path));
  };
  return [
    ...decodingErrors,
    ...validateMetadataUpdate({ ...stored.meta, namespace: "" }, { ...meta, namespace: "" }),
    ...schemaErrors.filter((error) => !unchanged(error)),
  ];
}
