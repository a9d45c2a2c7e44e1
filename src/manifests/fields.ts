/**
 * Reading untyped objects field by field, as the API server's decoder does: null is absent, a wrong type is an error with
 * the field's path. Reading goes on after an error, so that one run tells all of them.
 */
import { formatAddress, formatCidr, parseAddress, parseCidr } from "../net/address.ts";
import type { Labels } from "../policy/model/labels.ts";
import type { Path } from "../policy/model/source.ts";
import { helmTemplate } from "./documents.ts";

export interface FieldFault {
  readonly code: string;
  readonly path: Path;
  readonly message: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

export function typeName(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** `bool true`, `number 1.5`, `array`. */
function described(value: unknown): string {
  const type = typeName(value);
  return type === "bool" || type === "number" ? `${type} ${String(value)}` : type;
}

const isObject = (value: unknown): value is JsonObject => typeName(value) === "object";

/** The fields of one object of the manifest. */
export class Fields {
  readonly path: Path;
  readonly #value: JsonObject;
  readonly #faults: FieldFault[];

  /** @param faults gets what is wrong, in the order of reading */
  constructor(value: unknown, path: Path, faults: FieldFault[]) {
    this.path = path;
    this.#faults = faults;
    this.#value = isObject(value) ? value : {};
    if (!isObject(value) && value !== null && value !== undefined) this.#wrongType([], "object", value);
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
  }

  has(name: string): boolean {
    return (this.#get(name) ?? null) !== null;
  }

  fault(below: Path, message: string, code = "invalid-field"): void {
    this.#faults.push({ code, path: [...this.path, ...below], message });
  }

  #wrongType(below: Path, expected: string, value: unknown): void {
    const quote = expected === "string" && ["bool", "number"].includes(typeName(value)) ? ": put it in quotes" : "";
    this.fault(below, `expected ${expected}, got ${described(value)}${quote}`, "wrong-type");
  }

  #text(below: Path, value: unknown): string {
    if (value === null || value === undefined) return "";
    if (typeof value !== "string") {
      this.#wrongType(below, "string", value);
      return "";
    }
    if (value.includes("{{")) this.fault(below, helmTemplate, "helm-template");
    return value;
  }

  /** "" when absent. */
  string(name: string): string {
    return this.#text([name], this.#get(name));
  }

  /** One of `allowed`, the first when absent or wrong. */
  choice<T extends string>(name: string, allowed: readonly [T, ...T[]]): T {
    const text = this.string(name);
    const found = allowed.find((a) => a === text);
    if (found === undefined && text !== "") {
      const names = allowed.map((a) => `"${a}"`).join(", ");
      this.fault([name], `Unsupported value: ${JSON.stringify(text)}: supported values: ${names}`);
    }
    return found ?? allowed[0];
  }

  /** null when absent. */
  integer(name: string, minimum: number, maximum: number): number | null {
    const value = this.#get(name) ?? null;
    if (value === null) return null;
    if (typeof value !== "number" || !Number.isInteger(value)) {
      this.#wrongType([name], "integer", value);
      return null;
    }
    if (value < minimum || value > maximum) {
      this.fault([name], `Invalid value: ${value}: must be between ${minimum} and ${maximum}, inclusive`);
      return null;
    }
    return value;
  }

  /** false when absent. */
  boolean(name: string): boolean {
    const value = this.#get(name) ?? false;
    if (typeof value === "boolean") return value;
    this.#wrongType([name], "bool", value);
    return false;
  }

  /** A map of strings; {} when absent. A null value is the empty string, as in Go. */
  labels(name: string): Labels {
    const map = this.object(name);
    return Object.fromEntries(
      Object.entries(map.#value).map(([key, value]) => {
        if (key.includes("{{")) map.fault([key], helmTemplate, "helm-template");
        return [key, map.#text([key], value)];
      }),
    );
  }

  /** Without fields when absent. */
  object(name: string): Fields {
    return new Fields(this.#get(name), [...this.path, name], this.#faults);
  }

  #list(name: string): readonly unknown[] {
    const value = this.#get(name) ?? [];
    if (Array.isArray(value)) return value;
    this.#wrongType([name], "array", value);
    return [];
  }

  objects(name: string): Fields[] {
    return this.#list(name).map((item, i) => new Fields(item, [...this.path, name, i], this.#faults));
  }

  strings(name: string): string[] {
    return this.#list(name).map((item, i) => this.#text([name, i], item));
  }

  #address(below: Path, text: string): string[] {
    if (text === "") return [];
    const address = parseAddress(text);
    if (address !== null) return [formatAddress(address)];
    const rule = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    this.fault(below, `Invalid value: ${JSON.stringify(text)}: ${rule}`);
    return [];
  }

  /** In canonical spelling; [] when absent. */
  address(name: string): string[] {
    return this.#address([name], this.string(name));
  }

  addresses(name: string): string[] {
    return this.strings(name).flatMap((text, i) => this.#address([name, i], text));
  }

  #cidr(below: Path, text: string): string[] {
    if (text === "") return [];
    const parsed = parseCidr(text);
    if (parsed !== null) return [formatCidr(parsed.cidr)];
    const rule = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    this.fault(below, `Invalid value: ${JSON.stringify(text)}: ${rule}`);
    return [];
  }

  /** In canonical spelling; [] when absent. */
  cidr(name: string): string[] {
    return this.#cidr([name], this.string(name));
  }

  cidrs(name: string): string[] {
    return this.strings(name).flatMap((text, i) => this.#cidr([name, i], text));
  }

  /** A field that is a number or a string; null when absent. */
  numberOrString(name: string): number | string | null {
    const value = this.#get(name) ?? null;
    if (typeof value === "number" || value === null) return value;
    return this.#text([name], value);
  }
}
