/**
 * The strict decoder: reads a plain value as the Go type of the API would be read from JSON, and says which fields are unknown
 * and which values have the wrong type (spec B1.4, B9). It follows the description of the type, never the value, so its
 * depth is bounded whatever comes in.
 */
import type { Path, PathStep } from "../model/source.ts";
import { type FieldError, unknownField } from "./field-error.ts";
import { quote } from "./go-format.ts";
import { type Place, pathOf } from "./place.ts";

type Scalar = "string" | "bool" | "int32" | "int64";

/** A Go type, as far as JSON decoding sees it. `type` is the Go name that messages give. */
export type Shape =
  | { readonly kind: Scalar; readonly type: string }
  /** string or int32 (spec IOS) */
  | { readonly kind: "intOrString" }
  /** RFC 3339 text */
  | { readonly kind: "time" }
  /** any JSON; not looked at */
  | { readonly kind: "any" }
  | { readonly kind: "list"; readonly type: string; readonly items: Shape }
  | { readonly kind: "map"; readonly type: string; readonly values: Shape }
  | Struct;

export interface Struct {
  readonly kind: "struct";
  readonly type: string;
  readonly fields: Readonly<Record<string, Shape>>;
}

export const text = (type = "string"): Shape => ({ kind: "string", type });
export const int32: Shape = { kind: "int32", type: "int32" };
export const int64: Shape = { kind: "int64", type: "int64" };
export const bool: Shape = { kind: "bool", type: "bool" };
export const list = (items: Shape): Shape => ({
  kind: "list",
  type: `[]${"type" in items ? items.type : "interface {}"}`,
  items,
});
export const stringMap: Shape = { kind: "map", type: "map[string]string", values: text() };
export const struct = (type: string, fields: Readonly<Record<string, Shape>>): Struct => ({
  kind: "struct",
  type,
  fields,
});

export interface Shaped {
  /** A copy with known fields only; nulls in lists and maps are what Go makes of them (`""`, `{}`). */
  readonly value: unknown;
  readonly errors: readonly FieldError[];
  /** Where a list or map held a null. */
  readonly nulls: readonly Path[];
}

/** Where decoding stands. */
interface ShapePlace extends Place {
  readonly above: ShapePlace | null;
  /** Into a field of this struct; null: into a list or map. */
  readonly struct: Struct | null;
}

/** The struct, and the dotted path of fields, that Go's messages name; "" outside of any. */
function goField(place: ShapePlace | null): string {
  const fields: PathStep[] = [];
  let struct: Struct | null = null;
  for (let at = place; at !== null; at = at.above) {
    if (at.struct === null) continue;
    struct ??= at.struct;
    fields.push(at.step);
  }
  return struct === null ? "" : `${struct.type.slice(struct.type.lastIndexOf(".") + 1)}.${fields.reverse().join(".")}`;
}

const limits = { int32: 2 ** 31, int64: 2 ** 63 };

class Decoder {
  readonly errors: FieldError[] = [];
  readonly nulls: Path[] = [];
  readonly #root: Path;

  /** @param root where the value stands in its object */
  constructor(root: Path) {
    this.#root = root;
  }

  #path(at: ShapePlace | null): Path {
    return [...this.#root, ...pathOf(at)];
  }

  decode(value: unknown, shape: Shape, at: ShapePlace | null): unknown {
    if (value === null || value === undefined) return null;
    switch (shape.kind) {
      case "any":
        return value;
      case "string":
        return typeof value === "string" ? value : this.#mismatch(value, shape.type, at);
      case "bool":
        return typeof value === "boolean" ? value : this.#mismatch(value, shape.type, at);
      case "int32":
      case "int64":
        return this.#integer(value, shape.kind, at);
      case "intOrString":
        return typeof value === "string" ? value : this.#integer(value, "int32", at);
      case "time":
        return this.#time(value, at);
      case "list":
        return this.#list(value, shape, at);
      case "map":
        return this.#map(value, shape, at);
      case "struct":
        return this.#struct(value, shape, at);
    }
  }

  #integer(value: unknown, kind: "int32" | "int64", at: ShapePlace | null): unknown {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number !== "number") return this.#mismatch(value, kind, at);
    const fits = Number.isInteger(number) && number >= -limits[kind] && number < limits[kind];
    return fits ? number : this.#mismatch(value, kind, at, `number ${value}`);
  }

  #time(value: unknown, at: ShapePlace | null): unknown {
    if (typeof value !== "string") return this.#mismatch(value, "string", at);
    if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(value)) return value;
    const given = quote(value);
    return this.#fail(at, `parsing time ${given} as "2006-01-02T15:04:05Z07:00": cannot parse ${given} as "2006"`);
  }

  #list(value: unknown, shape: Extract<Shape, { kind: "list" }>, at: ShapePlace | null): unknown {
    if (!Array.isArray(value)) return this.#mismatch(value, shape.type, at);
    return Array.from(value as readonly unknown[], (item, i) => this.#element(item, shape.items, at, i));
  }

  #map(value: unknown, shape: Extract<Shape, { kind: "map" }>, at: ShapePlace | null): unknown {
    if (!isObject(value)) return this.#mismatch(value, shape.type, at);
    const out = emptyObject();
    for (const [key, item] of Object.entries(value)) out[key] = this.#element(item, shape.values, at, key);
    return out;
  }

  #element(item: unknown, shape: Shape, at: ShapePlace | null, step: PathStep): unknown {
    const place: ShapePlace = { above: at, step, struct: null };
    if (item !== null && item !== undefined) return this.decode(item, shape, place);
    this.nulls.push(this.#path(place));
    return shape.kind === "struct" ? emptyObject() : "";
  }

  #struct(value: unknown, shape: Struct, at: ShapePlace | null): unknown {
    if (!isObject(value)) return this.#mismatch(value, shape.type, at);
    // No key but those of the API gets into it, so it may have a prototype: such objects are smaller and faster.
    const out: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      const item = value[key];
      if (item === undefined) continue;
      const place: ShapePlace = { above: at, step: key, struct: shape };
      const field = Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined;
      if (field === undefined) this.errors.push(unknownField(this.#path(place)));
      else out[key] = this.decode(item, field, place);
    }
    return out;
  }

  #mismatch(value: unknown, type: string, at: ShapePlace | null, what = jsonType(value)): null {
    const field = goField(at);
    const into = field === "" ? "Go value" : `Go struct field ${field}`;
    return this.#fail(at, `json: cannot unmarshal ${what} into ${into} of type ${type}`);
  }

  #fail(at: ShapePlace | null, detail: string): null {
    this.errors.push({ code: "B1.4", kind: "TypeMismatch", path: this.#path(at), detail });
    return null;
  }
}

/** The JSON type of a value in Go's words. */
export function jsonType(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return typeof value === "bigint" ? "number" : typeof value;
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Without a prototype: keys come from outside, and `constructor` is a fine label. */
export const emptyObject = (): Record<string, unknown> => Object.create(null) as Record<string, unknown>;

/** Decodes `value`, which stands at `path` of the object, as `shape`. Finds everything wrong, not only the first. */
export function decodeShape(value: unknown, shape: Shape, path: Path = []): Shaped {
  const decoder = new Decoder(path);
  const decoded = decoder.decode(value, shape, null);
  return { value: decoded, errors: decoder.errors, nulls: decoder.nulls };
}
