/** A file's text and the way from offsets to lines. */
import type { Position } from "../policy/model/source.ts";

export class TextFile {
  /** As the user knows it; `-` for standard input. */
  readonly name: string;
  /** Without byte order mark. */
  readonly text: string;
  #lineStarts: number[] | undefined;

  constructor(name: string, text: string) {
    this.name = name;
    this.text = text.startsWith("\ufeff") ? text.slice(1) : text;
  }

  /** Lines end with LF, CRLF or a lone CR, as in YAML. Columns count UTF-16 units, as editors do. */
  position(offset: number): Position {
    this.#lineStarts ??= lineStarts(this.text);
    const starts = this.#lineStarts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.name, line: low + 1, column: offset - starts[low]! + 1 };
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // The CR of CRLF ends no line of its own.
    if (code === 0x0a || (code === 0x0d && text.charCodeAt(i + 1) !== 0x0a)) starts.push(i + 1);
  }
  return starts;
}

/**
 * Bytes to text. UTF-8 only, as kubectl's reader after its split into lines.
 * @throws {TypeError} when the bytes are no UTF-8.
 */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}
