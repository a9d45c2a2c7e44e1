/** A place in a text, and YAML's classes of characters. Codes are UTF-16 units; the end of the text is NaN. */
import { SyntaxProblem, tooDeep } from "../document.ts";

const space = 0x20;
const tab = 0x09;
const lf = 0x0a;
const cr = 0x0d;

export const isBlank = (code: number): boolean => code === space || code === tab;

/** YAML 1.1 has three line breaks that YAML 1.2 has not: NEL, LS and PS. */
export const isBreak = (code: number): boolean =>
  code === lf || code === cr || code === 0x85 || code === 0x2028 || code === 0x2029;

export const isEnd = (code: number): boolean => Number.isNaN(code);
export const isBreakOrEnd = (code: number): boolean => isBreak(code) || isEnd(code);
/** What ends an indicator: blank, break or the end. */
export const isGap = (code: number): boolean => isBlank(code) || isBreakOrEnd(code);

/** Where something begins, for errors and for the rules about lines and columns. */
export interface Mark {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

export class Cursor {
  readonly text: string;
  at = 0;
  line = 0;
  #lineStart = 0;
  readonly #base: number;

  /** @param base offset of the text in its file */
  constructor(text: string, base: number) {
    this.text = text;
    this.#base = base;
  }

  get column(): number {
    return this.at - this.#lineStart;
  }

  get mark(): Mark {
    return { offset: this.at, line: this.line, column: this.column };
  }

  code(ahead = 0): number {
    return this.text.charCodeAt(this.at + ahead);
  }

  /** Goes elsewhere. Lines are not counted. */
  moveTo(at: number, lineStart: number): void {
    this.at = at;
    this.#lineStart = lineStart;
  }

  /** Is the next character this one? */
  sees(character: string): boolean {
    return this.text[this.at] === character;
  }

  /** Goes over one line break and gives what it means: CRLF, CR and NEL are one `\n`. */
  takeBreak(): string {
    const code = this.code();
    this.at += code === cr && this.code(1) === lf ? 2 : 1;
    this.line++;
    this.#lineStart = this.at;
    return code === 0x2028 || code === 0x2029 ? String.fromCharCode(code) : "\n";
  }

  /** `---` or `...` alone at the beginning of a line. */
  seesDocumentIndicator(): boolean {
    if (this.column !== 0) return false;
    const word = this.text.slice(this.at, this.at + 3);
    return (word === "---" || word === "...") && isGap(this.code(3));
  }

  /** Matches a sticky pattern and goes behind it. Only for patterns that cross no line break. */
  take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return "";
    this.at += found[0].length;
    return found[0];
  }

  problem(message: string, at: Pick<Mark, "offset"> = this.mark): SyntaxProblem {
    return new SyntaxProblem(`not valid YAML: ${message}`, this.#base + at.offset);
  }

  tooDeep(offset: number): SyntaxProblem {
    return tooDeep(this.#base + offset);
  }
}
