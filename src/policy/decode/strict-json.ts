/**
 * A JSON parser that reports repeated fields, which JSON.parse hides (spec B9). Iterative: nesting costs no stack, and is limited
 * as the API server limits it.
 */
import type { Path, PathStep } from "../model/source.ts";

export type StrictJson =
  | { readonly value: unknown; readonly duplicates: Path[] }
  | {
      readonly error: {
        readonly message: string;
        readonly offset: number;
        readonly line: number;
        readonly column: number;
      };
    };

/** The API server reports no more than this, and each one only once. */
const maxDuplicates = 100;

/** Levels of nesting; kubernetes-sigs/json has the same limit. */
const maxDepth = 10_000;

class JsonError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** An object or list that is being read; `key` is the field that waits for its value. */
type Frame =
  | { readonly kind: "object"; readonly value: Record<string, unknown>; key: string }
  | { readonly kind: "list"; readonly value: unknown[] };

const literals: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

class Parser {
  readonly duplicates: Path[] = [];
  readonly #text: string;
  readonly #stack: Frame[] = [];
  readonly #seen = new Set<string>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): unknown {
    let done: { readonly value: unknown } | null = null;
    while (done === null) {
      const opened = this.#value();
      done = opened === null ? null : this.#finish(opened.value);
    }
    this.#blanks();
    if (this.#at < this.#text.length) this.#fail("unexpected text after the value");
    return done.value;
  }

  /** Reads a whole scalar or empty container; null: a container was opened and its first value comes next. */
  #value(): { readonly value: unknown } | null {
    this.#blanks();
    const char = this.#text[this.#at];
    if (char === "{" || char === "[") {
      this.#at++;
      if (this.#stack.length >= maxDepth) this.#fail(`nested deeper than ${maxDepth} levels`);
      this.#blanks();
      if (this.#text[this.#at] === (char === "{" ? "}" : "]")) {
        this.#at++;
        return { value: char === "{" ? {} : [] };
      }
      this.#stack.push(char === "{" ? { kind: "object", value: {}, key: "" } : { kind: "list", value: [] });
      if (char === "{") this.#key();
      return null;
    }
    if (char === '"') return { value: this.#string() };
    return { value: this.#scalar() };
  }

  /** Puts a finished value into its container, and closes every container that ends here. */
  #finish(finished: unknown): { readonly value: unknown } | null {
    let value = finished;
    for (let frame = this.#stack.at(-1); frame !== undefined; frame = this.#stack.at(-1)) {
      if (frame.kind === "list") frame.value.push(value);
      else setLast(frame.value, frame.key, value);
      this.#blanks();
      const char = this.#text[this.#at];
      if (char === ",") {
        this.#at++;
        if (frame.kind === "object") this.#key();
        return null;
      }
      if (char !== (frame.kind === "object" ? "}" : "]")) this.#fail("expected a comma or the end of the container");
      this.#at++;
      this.#stack.pop();
      value = frame.value;
    }
    return { value };
  }

  #key(): void {
    const frame = this.#stack.at(-1);
    this.#blanks();
    if (frame?.kind !== "object" || this.#text[this.#at] !== '"') this.#fail("expected a field name in quotes");
    frame.key = this.#string();
    if (Object.hasOwn(frame.value, frame.key)) this.#duplicate();
    this.#blanks();
    if (this.#text[this.#at] !== ":") this.#fail("expected a colon after the field name");
    this.#at++;
  }

  #duplicate(): void {
    if (this.#seen.size >= maxDuplicates) return;
    const path = this.#stack.map((frame): PathStep => (frame.kind === "object" ? frame.key : frame.value.length));
    const key = JSON.stringify(path);
    if (!this.#seen.has(key)) this.duplicates.push(path);
    this.#seen.add(key);
  }

  #string(): string {
    const start = this.#at++;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) this.#fail("the string does not end");
      if (code < 0x20) this.#fail("control character in a string");
      this.#at++;
      if (code === 0x22) break;
      if (code === 0x5c) this.#at++; // whatever is escaped, it does not end the string; JSON.parse checks it below
    }
    return this.#native(start) as string;
  }

  #scalar(): unknown {
    const start = this.#at;
    while (/[-+.\w]/.test(this.#text[this.#at] ?? " ")) this.#at++;
    const word = this.#text.slice(start, this.#at);
    if (literals.has(word)) return literals.get(word);
    if (!/^-?\d/.test(word)) {
      this.#at = start;
      this.#fail(start < this.#text.length ? "expected a value" : "unexpected end");
    }
    return this.#native(start);
  }

  /** JSON.parse knows the grammar of a single string or number. */
  #native(start: number): unknown {
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as unknown;
    } catch {
      this.#at = start;
      return this.#fail("malformed string or number");
    }
  }

  #blanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #fail(message: string): never {
    throw new JsonError(message, Math.min(this.#at, this.#text.length));
  }
}

/** The last of two equal keys wins and takes its own place in the order, also when it is `__proto__`. */
function setLast(object: Record<string, unknown>, key: string, value: unknown): void {
  if (Object.hasOwn(object, key)) delete object[key];
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else object[key] = value;
}

/** Parses JSON text. `duplicates` are the first 100 paths that were given more than once, in the order of the text. */
export function parseStrictJson(text: string): StrictJson {
  const parser = new Parser(text);
  try {
    const value = parser.parse();
    return { value, duplicates: parser.duplicates };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const before = text.slice(0, error.offset);
    const line = before.split("\n").length;
    const column = error.offset - before.lastIndexOf("\n");
    return { error: { message: error.message, offset: error.offset, line, column } };
  }
}
