/**
 * JSON read for what is wanted of it: everything else is skipped as bytes, without ever becoming an object. Nine tenths of
 * a pod are none of our business.
 */

/** The fields that are read, and what of each; `true`: all of it. The elements of an array have the shape of the array. */
export interface Projection {
  readonly [field: string]: Projection | true;
}

/** A projection, with its names as bytes. */
interface Compiled {
  readonly names: readonly Buffer[];
  readonly texts: readonly string[];
  readonly values: readonly (Compiled | true)[];
}

/** @returns a parser of JSON texts. It throws SyntaxError for texts that are cut off or out of joint. */
export function projector(projection: Projection): (text: Buffer) => unknown {
  const compiled = compile(projection);
  return (text) => {
    const reader = new Reader(text);
    const value = reader.value(compiled);
    reader.end();
    return value;
  };
}

function compile(projection: Projection): Compiled {
  const texts = Object.keys(projection);
  return {
    texts,
    names: texts.map((name) => Buffer.from(name)),
    values: texts.map((name) => {
      const value = projection[name]!;
      return value === true ? true : compile(value);
    }),
  };
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

class Reader {
  readonly #text: Buffer;
  #at = 0;

  constructor(text: Buffer) {
    this.#text = text;
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail();
  }

  value(shape: Compiled | true): unknown {
    this.#space();
    if (shape !== true) {
      const byte = this.#text[this.#at];
      if (byte === openBrace) return this.#object(shape);
      if (byte === openBracket) return this.#array(shape);
    }
    const from = this.#at;
    if (this.#text[from] === quote && !this.#string()) return this.#text.toString("utf8", from + 1, this.#at - 1);
    this.#at = from;
    this.#skip();
    return JSON.parse(this.#text.toString("utf8", from, this.#at)); // small: what is read whole
  }

  #object(shape: Compiled): unknown {
    const out: Record<string, unknown> = {};
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === closeBrace) {
      this.#at++;
      return out;
    }
    for (;;) {
      this.#space();
      const field = this.#key(shape);
      this.#space();
      this.#expect(colon);
      if (field < 0) {
        this.#space();
        this.#skip();
      } else out[shape.texts[field]!] = this.value(shape.values[field]!);
      if (this.#isLast(closeBrace)) return out;
    }
  }

  #array(shape: Compiled): unknown {
    const out: unknown[] = [];
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === closeBracket) {
      this.#at++;
      return out;
    }
    for (;;) {
      out.push(this.value(shape));
      if (this.#isLast(closeBracket)) return out;
    }
  }

  /** After an element: past the comma, or past the end. */
  #isLast(close: number): boolean {
    this.#space();
    const byte = this.#text[this.#at++];
    if (byte !== comma && byte !== close) this.#fail();
    return byte === close;
  }

  /** Which of the wanted names stands here; -1: none. Names with escapes are none: no field of the API has one. */
  #key({ names }: Compiled): number {
    const text = this.#text;
    if (text[this.#at] !== quote) this.#fail();
    const from = this.#at + 1;
    this.#string();
    const length = this.#at - 1 - from;
    for (let n = 0; n < names.length; n++) {
      const name = names[n]!;
      if (name.length !== length) continue;
      let i = 0;
      while (i < length && text[from + i] === name[i]) i++;
      if (i === length) return n;
    }
    return -1;
  }

  /** From a string's quote to behind its end. @returns whether it has escapes */
  #string(): boolean {
    const text = this.#text;
    let hasEscapes = false;
    for (let i = this.#at + 1; i < text.length; i++) {
      const byte = text[i]!;
      if (byte === backslash) {
        hasEscapes = true;
        i++;
      } else if (byte === quote) {
        this.#at = i + 1;
        return hasEscapes;
      }
    }
    return this.#fail();
  }

  /** Past a value of any kind; looks at brackets and strings only. */
  #skip(): void {
    const text = this.#text;
    const first = text[this.#at];
    if (first === quote) {
      this.#string();
      return;
    }
    if (first === openBrace || first === openBracket) {
      this.#skipNested();
      return;
    }
    const from = this.#at;
    while (this.#at < text.length) {
      const byte = text[this.#at]!;
      if (byte === comma || byte === closeBrace || byte === closeBracket || isSpace(byte)) break;
      this.#at++;
    }
    if (this.#at === from) this.#fail();
  }

  #skipNested(): void {
    const text = this.#text;
    let depth = 0;
    let i = this.#at;
    for (; i < text.length; i++) {
      const byte = text[i]!;
      if (byte === quote) {
        this.#at = i;
        this.#string();
        i = this.#at - 1;
      } else if (byte === openBrace || byte === openBracket) depth++;
      else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) break;
    }
    if (i >= text.length) this.#fail();
    this.#at = i + 1;
  }

  #space(): void {
    while (this.#at < this.#text.length && isSpace(this.#text[this.#at]!)) this.#at++;
  }

  #expect(byte: number): void {
    if (this.#text[this.#at] !== byte) this.#fail();
    this.#at++;
  }

  #fail(): never {
    throw new SyntaxError(
      this.#at >= this.#text.length ? "the text ends early" : `unexpected character at byte ${this.#at}`,
    );
  }
}
