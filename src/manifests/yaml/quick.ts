/**
 * The YAML that nearly all manifests are written in: block collections of plain words, quoted texts and short flow
 * collections, read straight into values, several times as fast as by way of tokens and a tree. Anything else is left to
 * `parser.ts`, as are all errors: what is read here means there the same.
 */
import { SyntaxProblem } from "../document.ts";
import { Cursor } from "./cursor.ts";
import { resolvePlain, type Scalar } from "./resolve.ts";
import { scanBlock, scanPlain, scanQuoted } from "./scalars.ts";

/** Controls, the line breaks that only YAML 1.1 has, byte order marks and everything beyond the 16-bit plane. */
const unusualCharacter = /[^\t\n -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]/;

const deepest = 100;
/** Shorter than the longest key that the scanner takes. */
const longestKey = 1000;

const tab = 0x09;
const newline = 0x0a;
const space = 0x20;
const doubleQuote = 0x22;
const hash = 0x23;
const singleQuote = 0x27;
const comma = 0x2c;
const dash = 0x2d;
const dot = 0x2e;
const colon = 0x3a;
const greater = 0x3e;
const openList = 0x5b;
const backslash = 0x5c;
const closeList = 0x5d;
const pipe = 0x7c;
const openMapping = 0x7b;
const closeMapping = 0x7d;

/** By ASCII code, 1: begins no plain word, or only with what follows. */
const isIndicator = new Uint8Array(128);
for (const character of "-?:,[]{}#&*!|>'\"%@`") isIndicator[character.charCodeAt(0)] = 1;

const isGap = (code: number): boolean => code === space || code === newline || Number.isNaN(code);
const isKeyStart = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f;
const isFlowWord = (code: number): boolean => isKeyStart(code) || (code >= dash && code <= 0x39);

class Unusual extends Error {}

/** null: the document has something unusual, or a mistake. There are no repeated keys: those are unusual. */
export function readQuickly(text: string): { readonly value: unknown; readonly duplicates: [] } | null {
  if (unusualCharacter.test(text)) return null;
  try {
    return { value: new QuickReader(text).document(), duplicates: [] };
  } catch (error) {
    if (error instanceof Unusual || error instanceof SyntaxProblem) return null;
    throw error;
  }
}

class QuickReader {
  readonly #text: string;
  readonly #cursor: Cursor;
  /** Of the next line with something on it: where it begins, where its first word does, and how far in; -1 at the end. */
  #lineStart = 0;
  #at = 0;
  #indent = -1;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#cursor = new Cursor(text, 0);
  }

  document(): unknown {
    this.#advance(0);
    // Nothing but comments is for the others to say.
    if (this.#indent < 0) throw new Unusual();
    const value = this.#collection();
    if (this.#indent >= 0) throw new Unusual();
    return value;
  }

  /** Goes on from the beginning of a line, or the end of one, to the next that is neither blank nor a comment. */
  #advance(from: number): void {
    const text = this.#text;
    let start = from;
    for (;;) {
      let at = start;
      while (text.charCodeAt(at) === space) at++;
      const code = text.charCodeAt(at);
      if (code === hash) at = text.indexOf("\n", at);
      else if (code !== newline) {
        this.#lineStart = start;
        this.#at = at;
        this.#indent = at < text.length ? at - start : -1;
        return;
      }
      start = at < 0 ? text.length : at + 1;
    }
  }

  /** Goes on where a scalar of several lines ended: at the first word of the next line, or at the end of the text. */
  #advanceToLineOfCursor(): void {
    const { at, column } = this.#cursor;
    this.#advance(at < this.#text.length ? at - column : at);
  }

  /** Goes on behind a value; only a comment may follow on its line. */
  #advanceBehind(end: number): void {
    let at = end;
    while (this.#text.charCodeAt(at) === space) at++;
    const code = this.#text.charCodeAt(at);
    if (code === newline || at >= this.#text.length) this.#advance(at);
    else if (code === hash && at > end) this.#advance(at);
    else throw new Unusual();
  }

  #seesDash(): boolean {
    return this.#text.charCodeAt(this.#at) === dash && isGap(this.#text.charCodeAt(this.#at + 1));
  }

  #collection(): unknown {
    if (++this.#depth > deepest) throw new Unusual();
    const value = this.#seesDash() ? this.#list(this.#indent) : this.#mapping(this.#indent);
    this.#depth--;
    return value;
  }

  #mapping(indent: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    do {
      const start = this.#at;
      const end = this.#keyEnd(start);
      if (end < 0) throw new Unusual();
      const key = this.#text.slice(start, end);
      this.#checkKey(key, value);
      value[key] = this.#value(end + 1, indent, true);
    } while (this.#indent === indent);
    if (this.#indent > indent) throw new Unusual();
    return value;
  }

  /** Words that are no text (`on`, `null`) and repeated keys are left to others. */
  #checkKey(key: string, mapping: object): void {
    if (resolvePlain(key) !== key || key === "__proto__" || Object.hasOwn(mapping, key)) throw new Unusual();
  }

  /** Offset of the colon of a key without blanks; -1: there is none. */
  #keyEnd(start: number): number {
    const text = this.#text;
    const first = text.charCodeAt(start);
    if (!isKeyStart(first)) return first === dot && text.startsWith(".: ", start) ? start + 1 : -1;
    const last = start + longestKey;
    for (let at = start + 1; at < last; at++) {
      const code = text.charCodeAt(at);
      if (code === colon && isGap(text.charCodeAt(at + 1))) return at;
      if (code === tab || isGap(code)) return -1;
    }
    return -1;
  }

  #list(indent: number): unknown[] {
    const items: unknown[] = [];
    do items.push(this.#value(this.#at + 1, indent, false));
    while (this.#indent === indent && this.#seesDash());
    if (this.#indent > indent) throw new Unusual();
    return items;
  }

  /**
   * What follows a colon or a dash.
   * @param indent of the collection that it is a part of
   * @param isMapping of a mapping: a list below need not be indented
   */
  #value(from: number, indent: number, isMapping: boolean): unknown {
    const text = this.#text;
    let at = from;
    while (text.charCodeAt(at) === space) at++;
    const code = text.charCodeAt(at);
    if (code === newline || at >= text.length || (code === hash && at > from))
      return this.#below(at, indent, isMapping);
    if (!isMapping && this.#beginsCollection(at)) {
      this.#indent = at - this.#lineStart;
      this.#at = at;
      return this.#collection();
    }
    switch (code) {
      case doubleQuote:
      case singleQuote:
        return this.#quoted(at, code);
      case openList:
      case openMapping: {
        const flow = new FlowReader(text, at, this.#checkKey);
        const value = flow.value();
        this.#advanceBehind(flow.at);
        return value;
      }
      case pipe:
      case greater: {
        this.#cursor.moveTo(at, this.#lineStart);
        const value = scanBlock(this.#cursor, indent);
        this.#advanceToLineOfCursor();
        return value;
      }
      default:
        return this.#plain(at, indent);
    }
  }

  /** `- - a` and `- a: b`. */
  #beginsCollection(at: number): boolean {
    if (this.#keyEnd(at) >= 0) return true;
    return this.#text.charCodeAt(at) === dash && isGap(this.#text.charCodeAt(at + 1));
  }

  /** The value that begins on a line of its own; null when nothing is indented enough. */
  #below(from: number, indent: number, isMapping: boolean): unknown {
    this.#advance(from);
    if (this.#indent > indent) return this.#collection();
    return isMapping && this.#indent === indent && this.#seesDash() ? this.#list(indent) : null;
  }

  #quoted(start: number, quote: number): string {
    const text = this.#text;
    let at = start + 1;
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code === quote && !(quote === singleQuote && text.charCodeAt(at + 1) === quote)) break;
      if (code === quote || code === newline || code === backslash || at >= text.length) {
        this.#cursor.moveTo(start, this.#lineStart);
        const value = scanQuoted(this.#cursor);
        this.#advanceBehind(this.#cursor.at);
        return value;
      }
    }
    this.#advanceBehind(at + 1);
    return text.slice(start + 1, at);
  }

  #plain(start: number, indent: number): Scalar {
    const text = this.#text;
    const first = text.charCodeAt(start);
    const isNegative = first === dash && !isGap(text.charCodeAt(start + 1));
    if (first === tab || (!isNegative && isIndicator[first] === 1)) throw new Unusual();
    let end = start;
    let hasComment = false;
    let at = start + 1;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === newline) break;
      if (code === space) continue;
      if (code === tab) throw new Unusual();
      if (code === colon && isGap(text.charCodeAt(at + 1))) throw new Unusual();
      if (code === hash && text.charCodeAt(at - 1) === space) {
        hasComment = true;
        break;
      }
      end = at;
    }
    const lineStart = this.#lineStart;
    this.#advance(at);
    if (this.#indent <= indent) return finite(resolvePlain(text.slice(start, end + 1)));
    if (hasComment) throw new Unusual();
    // The text goes on in the next line.
    this.#cursor.moveTo(start, lineStart);
    const { text: words } = scanPlain(this.#cursor, indent + 1, false);
    if (this.#cursor.code() === colon) throw new Unusual();
    this.#advanceToLineOfCursor();
    if (this.#indent > indent) throw new Unusual();
    return finite(resolvePlain(words));
  }
}

function finite(value: Scalar): Scalar {
  if (typeof value === "number" && !Number.isFinite(value)) throw new Unusual();
  return value;
}

/** `[a, b]` and `{a: b}` on one line, of words and quoted texts. */
class FlowReader {
  at: number;
  readonly #text: string;
  readonly #checkKey: (key: string, mapping: object) => void;
  #depth = 0;

  constructor(text: string, at: number, checkKey: (key: string, mapping: object) => void) {
    this.#text = text;
    this.at = at;
    this.#checkKey = checkKey;
  }

  value(): unknown {
    const code = this.#text.charCodeAt(this.at);
    if (code === openList || code === openMapping) {
      if (++this.#depth > deepest) throw new Unusual();
      const value = code === openList ? this.#list() : this.#mapping();
      this.#depth--;
      return value;
    }
    if (code === doubleQuote || code === singleQuote) return this.#quoted(code);
    return finite(resolvePlain(this.#word()));
  }

  #skipSpaces(): number {
    while (this.#text.charCodeAt(this.at) === space) this.at++;
    return this.#text.charCodeAt(this.at);
  }

  #list(): unknown[] {
    const items: unknown[] = [];
    this.at++;
    if (this.#skipSpaces() !== closeList)
      do {
        this.#skipSpaces();
        items.push(this.value());
      } while (this.#hasMore(closeList));
    this.at++;
    return items;
  }

  #mapping(): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    this.at++;
    if (this.#skipSpaces() !== closeMapping)
      do {
        this.#skipSpaces();
        if (!isKeyStart(this.#text.charCodeAt(this.at))) throw new Unusual();
        const key = this.#word();
        this.#checkKey(key, value);
        if (!this.#text.startsWith(": ", this.at)) throw new Unusual();
        this.at += 2;
        this.#skipSpaces();
        value[key] = this.value();
      } while (this.#hasMore(closeMapping));
    this.at++;
    return value;
  }

  /** Goes over a comma; false at the end. */
  #hasMore(end: number): boolean {
    const code = this.#skipSpaces();
    if (code === end) return false;
    if (code !== comma) throw new Unusual();
    this.at++;
    return true;
  }

  #word(): string {
    const start = this.at;
    const isEntry = this.#text.charCodeAt(start) === dash && isGap(this.#text.charCodeAt(start + 1));
    while (isFlowWord(this.#text.charCodeAt(this.at))) this.at++;
    if (this.at === start || isEntry || this.at - start > longestKey) throw new Unusual();
    return this.#text.slice(start, this.at);
  }

  #quoted(quote: number): string {
    const start = this.at + 1;
    for (let at = start; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === quote) {
        this.at = at + 1;
        if (this.#text.charCodeAt(at + 1) === quote) throw new Unusual();
        return this.#text.slice(start, at);
      }
      if (code === newline || code === backslash) throw new Unusual();
    }
    throw new Unusual();
  }
}
