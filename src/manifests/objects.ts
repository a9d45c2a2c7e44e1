/** The objects of a document: Lists taken apart, each object with its kind and its place. */
import type { Path, Position, Source } from "../policy/model/source.ts";
import type { Document } from "./document.ts";
import { typeName } from "./fields.ts";
import { aboutField, type Problem } from "./problem.ts";
import type { TextFile } from "./text.ts";

/** An object whose apiVersion and kind are known, and nothing else. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly value: Readonly<Record<string, unknown>>;
  readonly source: Source;
  /** Paths inside the object of keys that are met again. */
  readonly duplicates: readonly Path[];
}

/** The place of an object in a file: positions are looked up only when someone asks. */
class ObjectSource implements Source {
  readonly file: string;
  readonly #text: TextFile;
  readonly #document: Document;
  readonly #prefix: Path;

  constructor(text: TextFile, document: Document, prefix: Path) {
    this.file = text.name;
    this.#text = text;
    this.#document = document;
    this.#prefix = prefix;
  }

  position(path: Path): Position {
    return this.#text.position(this.#document.offsetOf([...this.#prefix, ...path]));
  }
}

/** Takes the objects out of a document; what is no object is reported. */
export function objectsOf(file: TextFile, document: Document, report: (problem: Problem) => void): RawObject[] {
  const { value } = document;
  if (value === null) return [];
  return new Unpacking(file, document, report).object(value, [], { apiVersion: "", kind: "" });
}

interface TypeMeta {
  readonly apiVersion: string;
  readonly kind: string;
}

class Unpacking {
  readonly #file: TextFile;
  readonly #document: Document;
  readonly #report: (problem: Problem) => void;

  constructor(file: TextFile, document: Document, report: (problem: Problem) => void) {
    this.#file = file;
    this.#document = document;
    this.#report = report;
  }

  /** @param defaults what a typed list says of its items, which need not repeat it */
  object(value: unknown, prefix: Path, defaults: TypeMeta): RawObject[] {
    const source = new ObjectSource(this.#file, this.#document, prefix);
    const error = (path: Path, code: string, message: string): [] => {
      this.#report({
        severity: "error",
        code,
        message: aboutField(path, message),
        position: source.position(path),
        path,
      });
      return [];
    };
    if (!isObject(value)) {
      return error([], "not-an-object", `expected an object with apiVersion and kind, got ${typeName(value)}`);
    }
    const typeMeta: Record<keyof TypeMeta, string> = { ...defaults };
    for (const field of ["apiVersion", "kind"] as const) {
      const written = Object.hasOwn(value, field) ? value[field] : null;
      if (typeof written === "string" && written !== "") typeMeta[field] = written;
      else if (written !== null && written !== "") {
        return error([field], "wrong-type", `expected string, got ${typeName(written)}`);
      } else if (typeMeta[field] === "")
        return error([], `missing-${field === "kind" ? "kind" : "api-version"}`, `${field} not set`);
    }
    const { apiVersion, kind } = typeMeta;
    if (isList(value, kind)) {
      for (const path of this.#duplicatesIn(prefix)) {
        if (path[0] !== "items" || path.length < 3) {
          error(path, "duplicate-key", "the key is there twice, and the first value would be lost");
        }
      }
      return this.#items(value, prefix, typeMeta, error);
    }
    return [{ apiVersion, kind, value, source, duplicates: this.#duplicatesIn(prefix) }];
  }

  #items(
    list: Readonly<Record<string, unknown>>,
    prefix: Path,
    { apiVersion, kind }: TypeMeta,
    error: (path: Path, code: string, message: string) => [],
  ): RawObject[] {
    const items = list["items"] ?? [];
    if (!Array.isArray(items)) return error(["items"], "wrong-type", `expected array, got ${typeName(items)}`);
    const isTyped = kind !== "List";
    const defaults = isTyped ? { apiVersion, kind: kind.slice(0, -"List".length) } : { apiVersion: "", kind: "" };
    return items.flatMap((item: unknown, i) => this.object(item, [...prefix, "items", i], defaults));
  }

  #duplicatesIn(prefix: Path): Path[] {
    return this.#document.duplicates
      .filter((path) => path.length > prefix.length && prefix.every((step, i) => path[i] === step))
      .map((path) => path.slice(prefix.length));
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeName(value) === "object";

/** `List`, and typed lists such as `PodList`; a kind of someone's own that only ends so has no items. */
const isList = (value: Readonly<Record<string, unknown>>, kind: string): boolean =>
  kind === "List" || (kind.endsWith("List") && Object.hasOwn(value, "items"));
