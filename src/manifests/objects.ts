/** The objects of a document: Lists taken apart, each object with its kind and its place. */
import type { Path, PathStep, Position, Source } from "../policy/model/source.ts";
import type { Document } from "./document.ts";
import { typeName } from "./fields.ts";
import { aboutField, type Problem } from "./problem.ts";
import type { TextFile } from "./text.ts";

/** An object whose apiVersion and kind are known, and nothing else. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** null: stored in a cluster. */
  readonly source: Source | null;
  /** Paths inside the object of keys that are met again. */
  readonly duplicates: readonly Path[];
}

/** An object of a file. */
export interface FileObject extends RawObject {
  readonly source: Source;
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
export function objectsOf(file: TextFile, document: Document, report: (problem: Problem) => void): FileObject[] {
  const { value, duplicates } = document;
  if (value === null) return [];
  return new Unpacking(file, document, report).objects({ value, prefix: [], duplicates, defaults: noType });
}

interface TypeMeta {
  readonly apiVersion: string;
  readonly kind: string;
}

const noType: TypeMeta = { apiVersion: "", kind: "" };

/** A value that should be an object, and its place in the document. */
interface Candidate {
  readonly value: unknown;
  readonly prefix: Path;
  /** Below `prefix`. */
  readonly duplicates: readonly Path[];
  /** What a typed list says of its items, which need not repeat it. */
  readonly defaults: TypeMeta;
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

  objects(candidate: Candidate): FileObject[] {
    const { value, prefix, duplicates } = candidate;
    if (!isObject(value)) {
      const message = `expected an object with apiVersion and kind, got ${typeName(value)}`;
      return this.#error(prefix, [], "not-an-object", message);
    }
    const apiVersion = this.#typeField(value, "apiVersion", candidate);
    const kind = apiVersion === null ? null : this.#typeField(value, "kind", candidate);
    if (apiVersion === null || kind === null) return [];
    if (isList(value, kind)) return this.#items(value, { apiVersion, kind }, candidate);
    // An item of a typed list need not say what it is; what reads it must still find it said.
    const typed = value["apiVersion"] === apiVersion && value["kind"] === kind ? value : { ...value, apiVersion, kind };
    return [{ apiVersion, kind, value: typed, source: this.#source(prefix), duplicates }];
  }

  #typeField(
    value: Readonly<Record<string, unknown>>,
    field: keyof TypeMeta,
    { prefix, defaults }: Candidate,
  ): string | null {
    const written = (Object.hasOwn(value, field) ? value[field] : null) ?? "";
    if (typeof written !== "string") {
      this.#error(prefix, [field], "wrong-type", `expected string, got ${typeName(written)}`);
      return null;
    }
    const known = written || defaults[field];
    if (known !== "") return known;
    this.#error(prefix, [], field === "kind" ? "missing-kind" : "missing-api-version", `${field} not set`);
    return null;
  }

  #items(
    list: Readonly<Record<string, unknown>>,
    { apiVersion, kind }: TypeMeta,
    { prefix, duplicates }: Candidate,
  ): FileObject[] {
    const ofItems = new Map<PathStep, Path[]>();
    for (const path of duplicates) {
      const [field, index, ...below] = path;
      if (field !== "items" || index === undefined || below.length === 0) {
        this.#error(prefix, path, "duplicate-key", "the key is there twice, and the first value would be lost");
      } else if (ofItems.has(index)) ofItems.get(index)!.push(below);
      else ofItems.set(index, [below]);
    }
    const items = list["items"] ?? [];
    if (!Array.isArray(items)) {
      return this.#error(prefix, ["items"], "wrong-type", `expected array, got ${typeName(items)}`);
    }
    const defaults = kind === "List" ? noType : { apiVersion, kind: kind.slice(0, -"List".length) };
    return items.flatMap((value: unknown, i) =>
      this.objects({ value, prefix: [...prefix, "items", i], duplicates: ofItems.get(i) ?? [], defaults }),
    );
  }

  #source(prefix: Path): ObjectSource {
    return new ObjectSource(this.#file, this.#document, prefix);
  }

  #error(prefix: Path, path: Path, code: string, message: string): [] {
    const position = this.#source(prefix).position(path);
    this.#report({ severity: "error", code, message: aboutField(path, message), position, path });
    return [];
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeName(value) === "object";

/** `List`, and typed lists such as `PodList`; a kind of someone's own that only ends so has no items. */
const isList = (value: Readonly<Record<string, unknown>>, kind: string): boolean =>
  kind === "List" || (kind.endsWith("List") && Object.hasOwn(value, "items"));
