/**
 * Validation of a custom resource against its schema, as the API server does it: unknown fields and nulls are pruned, then types,
 * limits and CEL rules are checked, with the words of kube-openapi and apiextensions (spec C1.4).
 */
import { formatPath, type Path } from "../model/source.ts";
import { type FieldError, invalid, notSupported, required, tooLong, unknownField } from "./field-error.ts";
import { emptyObject, isObject } from "./shape.ts";

/** A CEL rule, written by hand. `holds` sees the pruned value, which may have other errors. */
export interface Rule {
  readonly code: string;
  readonly message: string;
  holds(self: Readonly<Record<string, unknown>>): boolean;
}

export interface ObjectSchema {
  readonly kind: "object";
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Exactly one property must be set. */
  readonly exactlyOne?: boolean;
  readonly minProperties?: number;
  readonly rules?: readonly Rule[];
  /** Unknown fields that an older release knew, and why they must not be ignored. */
  readonly retired?: { readonly fields: readonly string[]; readonly code: string; readonly detail: string };
}

export type Schema =
  | ObjectSchema
  /** map[string]string */
  | { readonly kind: "map" }
  | {
      readonly kind: "list";
      readonly items: Schema;
      readonly minItems?: number;
      readonly maxItems?: number;
      /** No duplicates. Only for lists of strings. */
      readonly set?: boolean;
    }
  | {
      readonly kind: "string";
      readonly values?: readonly string[];
      readonly maxLength?: number;
      /** A pattern or CEL rule on the text, and what the server says when it does not hold. */
      readonly check?: {
        readonly code: string;
        holds(text: string): boolean;
        message(path: string): string;
      };
    }
  /** int32 */
  | { readonly kind: "integer"; readonly minimum: number; readonly maximum: number }
  | { readonly kind: "any" };

export interface Checked {
  /** The pruned value. */
  readonly value: unknown;
  readonly errors: readonly FieldError[];
  readonly warnings: readonly string[];
}

class Checker {
  readonly errors: FieldError[] = [];
  readonly warnings: string[] = [];
  readonly #code: string;

  constructor(code: string) {
    this.#code = code;
  }

  check(value: unknown, schema: Schema, path: Path): unknown {
    switch (schema.kind) {
      case "any":
        return value;
      case "object":
        return this.#object(value, schema, path);
      case "map":
        return this.#map(value, path);
      case "list":
        return this.#list(value, schema, path);
      case "string":
        return this.#string(value, schema, path);
      case "integer":
        return this.#integer(value, schema, path);
    }
  }

  #object(value: unknown, schema: ObjectSchema, path: Path): unknown {
    if (!isObject(value)) return this.#mistyped(value, "object", path);
    const out = emptyObject();
    for (const [key, item] of Object.entries(value)) {
      const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
      if (property === undefined) {
        const retired = schema.retired?.fields.includes(key) ? schema.retired : undefined;
        this.errors.push(unknownField([...path, key], retired?.code, retired?.detail));
      } else if (item !== null && item !== undefined) out[key] = this.check(item, property, [...path, key]);
    }
    const size = Object.keys(out).length;
    const minimum = schema.exactlyOne ? 1 : (schema.minProperties ?? 0);
    if (size < minimum) this.#limit(size, path, `should have at least ${minimum} properties`);
    if (schema.exactlyOne && size > 1) this.#tooMany(size, 1, path);
    for (const key of schema.required ?? []) {
      if (!Object.hasOwn(out, key)) this.errors.push(required(this.#code, [...path, key]));
    }
    for (const { code, message, holds } of schema.rules ?? []) {
      if (!holds(out)) this.errors.push({ code, kind: "Invalid", path, detail: message });
    }
    return out;
  }

  #map(value: unknown, path: Path): unknown {
    if (!isObject(value)) return this.#mistyped(value, "object", path);
    const out = emptyObject();
    for (const [key, item] of Object.entries(value)) {
      if (item === null || item === undefined) {
        this.warnings.push(`${formatPath([...path, key])}: null: the API server drops this label from the selector`);
      } else out[key] = this.#string(item, { kind: "string" }, [...path, key]);
    }
    return out;
  }

  #list(value: unknown, schema: Extract<Schema, { kind: "list" }>, path: Path): unknown {
    if (!Array.isArray(value)) return this.#mistyped(value, "array", path);
    const out = Array.from(value as readonly unknown[], (item, i) => this.check(item, schema.items, [...path, i]));
    const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
    if (out.length < minItems) this.#limit(out.length, path, `should have at least ${minItems} items`);
    if (out.length > maxItems) this.#tooMany(out.length, maxItems, path);
    if (schema.set) this.#duplicates(out, path);
    return out;
  }

  /** A value is reported where it comes for the second time, and only there. */
  #duplicates(values: readonly unknown[], path: Path): void {
    const seen = new Map<unknown, number>();
    for (const [i, value] of values.entries()) {
      const times = seen.get(value) ?? 0;
      if (times === 1) {
        this.errors.push({ code: this.#code, kind: "Duplicate", path: [...path, i], value, detail: "" });
      }
      seen.set(value, times + 1);
    }
  }

  #string(value: unknown, schema: Extract<Schema, { kind: "string" }>, path: Path): unknown {
    const { values, maxLength, check } = schema;
    if (values !== undefined && !values.some((known) => known === value)) {
      this.errors.push(notSupported(this.#code, path, value, values));
    }
    if (typeof value !== "string") return this.#mistyped(value, "string", path);
    if (maxLength !== undefined && runes(value, maxLength) > maxLength) {
      this.errors.push(tooLong(this.#code, path, maxLength));
    }
    if (check !== undefined && !check.holds(value)) {
      this.errors.push(invalid(check.code, path, value, check.message(formatPath(path))));
    }
    return value;
  }

  #integer(value: unknown, schema: Extract<Schema, { kind: "integer" }>, path: Path): unknown {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number !== "number" || !Number.isSafeInteger(number)) return this.#mistyped(value, "integer", path);
    const { minimum, maximum } = schema;
    const say = (limit: string): void => {
      this.errors.push(invalid(this.#code, path, value, `${formatPath(path)} in body should be ${limit}`));
    };
    if (number > maximum) say(`less than or equal to ${maximum}`);
    if (number < minimum) say(`greater than or equal to ${minimum}`);
    return number;
  }

  #limit(size: number, path: Path, what: string): void {
    this.errors.push(invalid(this.#code, path, size, `${formatPath(path)} in body ${what}`));
  }

  #tooMany(size: number, limit: number, path: Path): void {
    const detail = `must have at most ${limit} item${limit === 1 ? "" : "s"}`;
    this.errors.push({ code: this.#code, kind: "TooMany", path, value: size, detail });
  }

  #mistyped(value: unknown, wanted: "object" | "array" | "string" | "integer", path: Path): null {
    const [type, given] = typeWords(value, wanted);
    const detail = `${formatPath(path)} in body must be of type ${type}: "${given}"`;
    this.errors.push({ code: this.#code, kind: "TypeInvalid", path, value: given, detail });
    return null;
  }
}

/** The wanted and the given type in the server's words, which speak of formats where there is one. */
function typeWords(value: unknown, wanted: string): readonly [wanted: string, given: string] {
  if (value === null || value === undefined) return [wanted, "null"];
  if (Array.isArray(value)) return [wanted, "array"];
  if (typeof value === "string") return [wanted, "string"];
  const isNumber = typeof value === "number" || typeof value === "bigint";
  if (wanted === "integer") return ["int32", isNumber ? "float64" : ""];
  if (isNumber)
    return [wanted, Number.isInteger(Number(value)) && Math.abs(Number(value)) < 2 ** 63 ? "integer" : "number"];
  return [wanted, typeof value];
}

/** Number of code points, counted only until `enough` is passed. */
function runes(text: string, enough: number): number {
  let count = 0;
  for (const _ of text) if (++count > enough) break;
  return count;
}

/** @param code the rule number for whatever the schema itself does not number */
export function checkSchema(value: unknown, schema: Schema, path: Path, code: string): Checked {
  const checker = new Checker(code);
  const pruned = checker.check(value, schema, path);
  return { value: pruned, errors: checker.errors, warnings: checker.warnings };
}
