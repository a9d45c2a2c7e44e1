/** The four ways to write text that are more than a word: plain over several lines, quoted, literal and folded. */
import { type Cursor, isBlank, isBreak, isBreakOrEnd, isEnd, isGap, type Mark } from "./cursor.ts";

/** Line breaks between two pieces of text: one alone is a blank, of several the first is left out. */
function fold(breaks: readonly string[]): string {
  return breaks[0] === "\n" ? breaks.slice(1).join("") || " " : breaks.join("");
}

const plainInBlock = /(?:[^ \t\r\n\u0085\u2028\u2029:]+|:(?![ \t\r\n\u0085\u2028\u2029]|$))+/y;
const plainInFlow = /(?:[^ \t\r\n\u0085\u2028\u2029:,?[\]{}]+|:(?![ \t\r\n\u0085\u2028\u2029]|$))+/y;
const blanks = /[ \t]+/y;

export interface Plain {
  readonly text: string;
  /** The scalar ended behind a line break: a key may follow. */
  readonly hasBrokenLine: boolean;
}

/** @param indent the column from which continuation lines must begin, in the block context */
export function scanPlain(cursor: Cursor, indent: number, inFlow: boolean): Plain {
  const start = cursor.mark;
  let text = "";
  let gap = "";
  let breaks: string[] = [];
  while (!cursor.seesDocumentIndicator() && !cursor.sees("#")) {
    const piece = cursor.take(inFlow ? plainInFlow : plainInBlock);
    if (piece !== "") {
      text += (breaks.length > 0 ? fold(breaks) : gap) + piece;
      gap = "";
      breaks = [];
    }
    if (!isGap(cursor.code()) || isEnd(cursor.code())) break;
    while (isBlank(cursor.code()) || isBreak(cursor.code())) {
      if (isBreak(cursor.code())) breaks.push(cursor.takeBreak());
      else if (breaks.length === 0) gap += cursor.take(blanks);
      else {
        if (cursor.column < indent && cursor.sees("\t")) {
          throw cursor.problem("found a tab character that violates indentation", start);
        }
        cursor.at++;
      }
    }
    if (!inFlow && cursor.column < indent) break;
  }
  return { text, hasBrokenLine: breaks.length > 0 };
}

const singleQuoted = /[^ \t\r\n\u0085\u2028\u2029']+/y;
const doubleQuoted = /[^ \t\r\n\u0085\u2028\u2029"\\]+/y;

/** The cursor is at the opening quote. */
export function scanQuoted(cursor: Cursor): string {
  const start = cursor.mark;
  const quote = cursor.text[cursor.at]!;
  cursor.at++;
  let text = "";
  for (;;) {
    if (cursor.seesDocumentIndicator()) throw cursor.problem("found unexpected document indicator", start);
    if (isEnd(cursor.code())) throw cursor.problem("found unexpected end of stream in a quoted text", start);
    const { words, isJoined } = quote === "'" ? singleQuotedWords(cursor) : doubleQuotedWords(cursor, start);
    text += words;
    if (cursor.sees(quote)) break;
    text += quotedGap(cursor, isJoined);
  }
  cursor.at++;
  return text;
}

interface Words {
  readonly words: string;
  /** A backslash has taken away the line break behind them. */
  readonly isJoined: boolean;
}

/** Up to the next gap or the closing quote. */
function singleQuotedWords(cursor: Cursor): Words {
  let words = "";
  for (;;) {
    words += cursor.take(singleQuoted);
    if (!cursor.sees("'") || cursor.text[cursor.at + 1] !== "'") return { words, isJoined: false };
    words += "'";
    cursor.at += 2;
  }
}

function doubleQuotedWords(cursor: Cursor, start: Mark): Words {
  let words = "";
  for (;;) {
    words += cursor.take(doubleQuoted);
    if (!cursor.sees("\\")) return { words, isJoined: false };
    if (isBreak(cursor.code(1))) {
      cursor.at++;
      cursor.takeBreak();
      return { words, isJoined: true };
    }
    words += escaped(cursor, start);
  }
}

/** What blanks and line breaks inside quotes mean. */
function quotedGap(cursor: Cursor, isJoined: boolean): string {
  let gap = "";
  const breaks: string[] = [];
  while (isBlank(cursor.code()) || isBreak(cursor.code())) {
    if (isBreak(cursor.code())) breaks.push(cursor.takeBreak());
    else if (breaks.length > 0 || isJoined) cursor.at++;
    else gap += cursor.take(blanks);
  }
  if (isJoined) return breaks.join("");
  return breaks.length > 0 ? fold(breaks) : gap;
}

const escapes: Readonly<Record<string, string>> = {
  "0": "\0",
  a: "\x07",
  b: "\b",
  t: "\t",
  "\t": "\t",
  n: "\n",
  v: "\v",
  f: "\f",
  r: "\r",
  e: "\x1b",
  " ": " ",
  '"': '"',
  "'": "'",
  "\\": "\\",
  N: "\u0085",
  _: "\u00a0",
  L: "\u2028",
  P: "\u2029",
};
const escapeLengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The cursor is at the backslash. */
function escaped(cursor: Cursor, start: Mark): string {
  const letter = cursor.text[cursor.at + 1] ?? "";
  const simple = escapes[letter];
  const length = escapeLengths[letter] ?? 0;
  if (simple === undefined && length === 0) throw cursor.problem("found unknown escape character", start);
  const digits = cursor.text.slice(cursor.at + 2, cursor.at + 2 + length);
  cursor.at += 2 + length;
  if (simple !== undefined) return simple;
  if (digits.length < length || !/^[0-9a-fA-F]+$/.test(digits)) {
    throw cursor.problem("did not find expected hexdecimal number", start);
  }
  const code = Number.parseInt(digits, 16);
  if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) {
    throw cursor.problem("found invalid Unicode character escape code", start);
  }
  return String.fromCodePoint(code);
}

const blockHeader = /[|>](?:([+-])([0-9])?|([0-9])([+-])?)?/y;
const lineRest = /[^\r\n\u0085\u2028\u2029]*/y;
const spaces = / */y;

/** `|` and `>`: the cursor is at the indicator. @param parentIndent -1 at the top */
export function scanBlock(cursor: Cursor, parentIndent: number): string {
  const start = cursor.mark;
  const isLiteral = cursor.sees("|");
  const header = cursor.take(blockHeader);
  const chomping = /[+-]/.exec(header)?.[0];
  const increment = /[0-9]/.exec(header)?.[0];
  if (increment === "0") throw cursor.problem("found an indentation indicator equal to 0", start);
  cursor.take(blanks);
  if (cursor.sees("#")) cursor.take(lineRest);
  if (!isBreakOrEnd(cursor.code())) throw cursor.problem("did not find expected comment or line break", start);
  if (isBreak(cursor.code())) cursor.takeBreak();

  let indent = increment === undefined ? 0 : Math.max(parentIndent, 0) + Number(increment);
  const emptyLines = (): string => {
    const skipped = skipEmptyLines(cursor, indent, start);
    if (indent === 0) indent = Math.max(skipped.widest, parentIndent + 1, 1);
    return skipped.breaks;
  };
  let trailing = emptyLines();
  let text = "";
  let lineEnd = "";
  let wasIndented = false;
  while (cursor.column === indent && !isEnd(cursor.code())) {
    const isIndented = isBlank(cursor.code());
    // A break between two lines that are not indented more is folded.
    if (!isLiteral && !wasIndented && !isIndented && lineEnd === "\n") text += trailing === "" ? " " : trailing;
    else text += lineEnd + trailing;
    wasIndented = isIndented;
    text += cursor.take(lineRest);
    lineEnd = isEnd(cursor.code()) ? "" : cursor.takeBreak();
    trailing = emptyLines();
  }
  if (chomping !== "-") text += lineEnd;
  if (chomping === "+") text += trailing;
  return text;
}

/** @param indent 0: not known yet, any number of spaces is indentation */
function skipEmptyLines(cursor: Cursor, indent: number, start: Mark): { breaks: string; widest: number } {
  let breaks = "";
  let widest = 0;
  for (;;) {
    if (indent === 0) cursor.take(spaces);
    else while (cursor.column < indent && cursor.sees(" ")) cursor.at++;
    widest = Math.max(widest, cursor.column);
    if ((indent === 0 || cursor.column < indent) && cursor.sees("\t")) {
      throw cursor.problem("found a tab character where an indentation space is expected", start);
    }
    if (!isBreak(cursor.code())) return { breaks, widest };
    breaks += cursor.takeBreak();
  }
}
