/**
 * JSON: the engine's own parser gives the values; a second, slower one here knows positions, repeated keys and several
 * values in a row, and runs only when one of these is asked for.
 */
import type { Path, PathStep } from "../policy/model/source.ts";
import { type Document, maxDepth, SyntaxProblem, tooDeep } from "./document.ts";

/**
 * Parses the text of one or more JSON values, the first at offset `base` of its file.
 * @throws {SyntaxProblem}
 */
export function parseJson(text: string, base: number): Document[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return new JsonReader(text, base).stream();
  }
  if (isDeeperThan(maxDepth, value)) throw tooDeep(base);
  let again: Document | undefined;
  const positioned = (): Document => (again ??= new JsonReader(text, base).stream()[0]!);
  return [
    {
      value,
      get duplicates() {
        return positioned().duplicates;
      },
      offsetOf: (path) => positioned().offsetOf(path),
    },
  ];
}

function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) if (isDeeperThan(levels - 1, (value as Record<string, unknown>)[key])) return true;
  return false;
}

/** Where a value and its parts are. */
interface Located {
  readonly offset: number;
  readonly entries: ReadonlyMap<PathStep, Located> | null;
}

interface Parsed {
  readonly value: unknown;
  readonly located: Located;
}

function offsetOf(root: Located, path: Path): number {
  let at = root;
  for (const step of path) {
    const next = at.entries?.get(step);
    if (next === undefined) break;
    at = next;
  }
  return at.offset;
}

const space = /[ \t\r\n]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const word = /true|false|null/y;

class JsonReader {
  readonly #text: string;
  readonly #base: number;
  #at = 0;
  #path: PathStep[] = [];
  #duplicates: Path[] = [];

  constructor(text: string, base: number) {
    this.#text = text;
    this.#base = base;
  }

  stream(): Document[] {
    const documents: Document[] = [];
    this.#match(space);
    while (this.#at < this.#text.length) {
      this.#duplicates = [];
      const { value, located } = this.#value(0);
      documents.push({ value, duplicates: this.#duplicates, offsetOf: (path) => offsetOf(located, path) });
      this.#match(space);
    }
    return documents;
  }

  #value(depth: number): Parsed {
    const offset = this.#base + this.#at;
    if (depth > maxDepth) throw tooDeep(offset);
    const c = this.#text[this.#at];
    if (c === "{") return this.#object(depth, offset);
    if (c === "[") return this.#array(depth, offset);
    const leaf = (value: unknown): Parsed => ({ value, located: { offset, entries: null } });
    if (c === '"') return leaf(this.#string());
    const literal = this.#match(number) ?? this.#match(word);
    if (literal === null) throw this.#unexpected();
    return leaf(JSON.parse(literal));
  }

  #object(depth: number, offset: number): Parsed {
    const value = new Map<string, unknown>();
    const entries = new Map<PathStep, Located>();
    this.#items("}", () => {
      if (this.#text[this.#at] !== '"') throw this.#unexpected();
      const name = this.#string();
      this.#match(space);
      this.#expect(":");
      this.#match(space);
      this.#path.push(name);
      if (value.has(name)) this.#duplicates.push([...this.#path]);
      const item = this.#value(depth + 1);
      this.#path.pop();
      value.set(name, item.value);
      entries.set(name, item.located);
    });
    return { value: Object.fromEntries(value), located: { offset, entries } };
  }

  #array(depth: number, offset: number): Parsed {
    const value: unknown[] = [];
    const entries = new Map<PathStep, Located>();
    this.#items("]", () => {
      this.#path.push(value.length);
      const item = this.#value(depth + 1);
      this.#path.pop();
      entries.set(value.length, item.located);
      value.push(item.value);
    });
    return { value, located: { offset, entries } };
  }

  /** What stands between an opening bracket, where the reader is, and `close`. */
  #items(close: string, item: () => void): void {
    this.#at++;
    this.#match(space);
    if (this.#text[this.#at] === close) {
      this.#at++;
      return;
    }
    for (;;) {
      item();
      this.#match(space);
      if (this.#text[this.#at] === close) {
        this.#at++;
        return;
      }
      this.#expect(",");
      this.#match(space);
    }
  }

  #string(): string {
    const start = this.#at;
    let end = start + 1;
    for (; this.#text[end] !== '"'; end += this.#text[end] === "\\" ? 2 : 1) {
      if (end >= this.#text.length) throw new SyntaxProblem("not valid JSON: string without end", this.#base + start);
    }
    this.#at = end + 1;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      throw new SyntaxProblem("not valid JSON: bad escape or control character in a string", this.#base + start);
    }
  }

  #expect(c: string): void {
    if (this.#text[this.#at] !== c) throw this.#unexpected();
    this.#at++;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return null;
    this.#at = pattern.lastIndex;
    return found[0];
  }

  #unexpected(): SyntaxProblem {
    const rest = this.#text.codePointAt(this.#at);
    const what = rest === undefined ? "end of text" : `character '${String.fromCodePoint(rest)}'`;
    return new SyntaxProblem(`not valid JSON: unexpected ${what}`, this.#base + this.#at);
  }
}
