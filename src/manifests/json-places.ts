/** Where the parts of a JSON text are. The text is valid: only strings and brackets need to be told apart. */
import type { Path, PathStep } from "../policy/model/source.ts";

const quote = 0x22;
const backslash = 0x5c;

/** The offset behind a string that begins at `at`. */
export function skipString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return text.length;
}

/** The offset of the next character that is no white space. */
export function skipGap(text: string, at: number): number {
  let end = at;
  while (end < text.length && text.charCodeAt(end) <= 0x20) end++;
  return end;
}

/** The offset behind the value that begins at `at`; the end of the text when it does not end. */
export function skipValue(text: string, at: number): number {
  let depth = 0;
  let i = at;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code === quote) i = skipString(text, i);
    else {
      if (code === 0x7b || code === 0x5b) depth++;
      else if (code === 0x7d || code === 0x5d) depth--;
      else if (depth === 0) return skipWord(text, i);
      i++;
    }
    if (depth <= 0) return i;
  }
  return text.length;
}

function skipWord(text: string, at: number): number {
  const word = /[^\s,:{}[\]"]+/y;
  word.lastIndex = at;
  return word.test(text) ? word.lastIndex : at + 1;
}

/** A value and, once someone went through it, the places of its parts. */
interface Place {
  readonly offset: number;
  parts: ReadonlyMap<PathStep, Place> | null;
}

/** Finds offsets, container by container: looking for one part costs no more than skipping over its siblings. */
export class JsonPlaces {
  readonly #text: string;
  readonly #root: Place;

  constructor(text: string) {
    this.#text = text;
    this.#root = { offset: skipGap(text, 0), parts: null };
  }

  /** Of the value at a path, or of its nearest existing ancestor. Of repeated keys the last one counts. */
  offsetOf(path: Path): number {
    let at = this.#root;
    for (const step of path) {
      at.parts ??= this.#partsOf(at.offset);
      const part = at.parts.get(step);
      if (part === undefined) break;
      at = part;
    }
    return at.offset;
  }

  #partsOf(offset: number): Map<PathStep, Place> {
    const text = this.#text;
    const parts = new Map<PathStep, Place>();
    const isObject = text[offset] === "{";
    if (!isObject && text[offset] !== "[") return parts;
    let at = skipGap(text, offset + 1);
    while (text[at] !== "}" && text[at] !== "]") {
      let step: PathStep = parts.size;
      if (isObject) {
        const end = skipString(text, at);
        step = JSON.parse(text.slice(at, end)) as string;
        at = skipGap(text, skipGap(text, end) + 1);
      }
      parts.set(step, { offset: at, parts: null });
      at = skipGap(text, skipValue(text, at));
      if (text[at] === ",") at = skipGap(text, at + 1);
    }
    return parts;
  }
}
