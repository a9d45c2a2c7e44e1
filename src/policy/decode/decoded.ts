/** What decoding is asked and what it answers. */
import type { ObjectMeta, Policy } from "../model/policy.ts";
import type { Path, Source } from "../model/source.ts";
import { duplicateField, type FieldError } from "./field-error.ts";
import type { DecodedMeta } from "./metadata.ts";
import { isObject } from "./shape.ts";

export interface Decoded {
  /**
   * null when the object can't be read as a policy at all: wrong kind or version, wrong types, required fields missing. With
   * other errors there is a policy, for objects that a cluster stored under older rules; everybody else must look at
   * `errors` first. Unknown fields are left out of it.
   */
  readonly policy: Policy | null;
  readonly errors: readonly FieldError[];
  /** What the server accepts, but warns about (spec B6.5), or what it silently changes. [] when there are errors. */
  readonly warnings: readonly string[];
}

export interface DecodeOptions {
  /** Decides on strict CIDRs (spec B6.1). Default: the newest known, strict. */
  readonly kubernetesVersion?: string;
  /** Which CRDs of policy.networking.k8s.io are installed (spec C1.3). Default: experimental. */
  readonly crdChannel?: "standard" | "experimental";
  readonly source?: Source | null;
  /** Fields that the text gave more than once; the text's parser knows. */
  readonly duplicates?: readonly Path[];
  /** Namespace of a namespaced object that names none. Without it, that is an error (spec B2.4). */
  readonly defaultNamespace?: string;
}

/** Position of each key in its object. */
type KeyOrder = WeakMap<object, ReadonlyMap<string, number>>;

function comesBefore(a: Path, b: Path, object: unknown, orders: KeyOrder): number {
  let parent: unknown = object;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (x !== y) {
      if (typeof x === "number" || typeof y === "number" || !isObject(parent)) return Number(x) - Number(y);
      let order = orders.get(parent);
      if (order === undefined) {
        order = new Map(Object.keys(parent).map((key, n) => [key, n]));
        orders.set(parent, order);
      }
      return (order.get(x) ?? 0) - (order.get(y) ?? 0);
    }
    parent = typeof parent === "object" && parent !== null && Object.hasOwn(parent, x) ? Reflect.get(parent, x) : null;
  }
  return a.length - b.length;
}

const pathKey = (path: Path): string => path.join("\0");

/**
 * Adds the duplicate fields to the errors of a typed object, in the order in which a reader of the text meets them (spec B9.3).
 * What is inside an unknown field, or the field itself, is not looked at twice.
 */
export function withDuplicates(
  errors: readonly FieldError[],
  duplicates: readonly Path[],
  object: unknown,
): readonly FieldError[] {
  if (duplicates.length === 0) return errors;
  const unknown = errors.filter((e) => e.kind === "UnknownField").map((e) => e.path);
  const unknownKeys = new Set(unknown.map(pathKey));
  const deepest = unknown.reduce((most, path) => Math.max(most, path.length), 0);
  const isInUnknown = (path: Path): boolean =>
    path.slice(0, deepest).some((_, i) => unknownKeys.has(pathKey(path.slice(0, i + 1))));
  const found = duplicates.filter((path) => !isInUnknown(path));
  const orders: KeyOrder = new WeakMap();
  return [...errors, ...found.map(duplicateField)].sort((a, b) => comesBefore(a.path, b.path, object, orders));
}

/** The model's metadata. A generated name is not known yet; its prefix stands for it. */
export function modelMeta(meta: DecodedMeta, namespace: string): ObjectMeta {
  return {
    name: (meta.name ?? "") === "" ? (meta.generateName ?? "") : meta.name!,
    namespace,
    ...(meta.uid ? { uid: meta.uid } : {}),
    ...(meta.resourceVersion ? { resourceVersion: meta.resourceVersion } : {}),
    ...(meta.annotations ? { annotations: meta.annotations } : {}),
  };
}
