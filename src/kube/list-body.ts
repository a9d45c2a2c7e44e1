/**
 * The body of a list, item by item: neither the whole text nor all objects are ever in memory at once. A server that
 * answers from its cache (`resourceVersion=0`) ignores `limit`, and 100,000 pods are more than a string can hold.
 */
import { NetworkError } from "./errors.ts";
import { longestLine } from "./lines.ts";

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

const items = Buffer.from('"items"');

/** Depth of the list's own fields, and of the elements of its `items`. */
const fieldDepth = 1;
const itemDepth = 2;

/**
 * Calls `onItem` with the JSON text of each element of `items`, which is not kept.
 * @returns the list without its items
 * @throws NetworkError when the text ends early, or an item is longer than `limit` bytes
 */
export async function readList(
  chunks: AsyncIterable<Buffer>,
  onItem: (text: Buffer) => void,
  limit = longestLine,
): Promise<unknown> {
  const scanner = new Scanner(onItem, limit);
  for await (const chunk of chunks) scanner.scan(chunk);
  return scanner.end();
}

class Scanner {
  readonly #onItem: (text: Buffer) => void;
  readonly #limit: number;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #inItems = false;
  /** The last string among the list's own fields, and whether a colon came after it: then it is a key. */
  #lastString: Buffer = Buffer.alloc(0);
  #isKey = false;
  #stringParts: Buffer[] = [];
  #itemParts: Buffer[] = [];
  #itemSize = 0;
  readonly #rest: Buffer[] = [];
  #restSize = 0;

  constructor(onItem: (text: Buffer) => void, limit: number) {
    this.#onItem = onItem;
    this.#limit = limit;
  }

  scan(chunk: Buffer): void {
    /** Where what is collected now (an item, or the rest) begins in this chunk. */
    let from = 0;
    let stringFrom = this.#inString ? 0 : -1;
    let depth = this.#depth;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) {
          this.#inString = false;
          if (depth === fieldDepth) {
            this.#lastString = Buffer.concat([...this.#stringParts, chunk.subarray(stringFrom, i + 1)]);
            this.#stringParts = [];
            this.#isKey = false;
          }
          stringFrom = -1;
        }
        continue;
      }
      switch (byte) {
        case quote:
          this.#inString = true;
          stringFrom = i;
          break;
        case colon:
          if (depth === fieldDepth) this.#isKey = true;
          break;
        case openBrace:
        case openBracket:
          if (byte === openBracket && depth === fieldDepth && this.#isKey && this.#lastString.equals(items)) {
            this.#inItems = true;
            this.#keepRest(chunk.subarray(from, i + 1));
            from = i + 1;
          } else if (this.#inItems && depth === itemDepth) from = i;
          depth++;
          break;
        case closeBrace:
        case closeBracket:
          depth--;
          if (!this.#inItems) break;
          if (depth === itemDepth) {
            this.#emit(chunk.subarray(from, i + 1));
            from = i + 1;
          } else if (depth === fieldDepth) {
            this.#inItems = false;
            from = i;
          }
          break;
      }
    }
    this.#depth = depth;
    const left = chunk.subarray(from);
    if (this.#inString && depth === fieldDepth) this.#stringParts.push(chunk.subarray(stringFrom));
    if (!this.#inItems) this.#keepRest(left);
    else if (depth > itemDepth) this.#keepItem(left);
  }

  end(): unknown {
    if (this.#depth !== 0 || this.#restSize === 0) throw new NetworkError("the answer ended in the middle of a list");
    try {
      return JSON.parse(Buffer.concat(this.#rest, this.#restSize).toString());
    } catch (error) {
      throw new NetworkError("the answer is no list", { cause: error });
    }
  }

  #keepRest(part: Buffer): void {
    this.#rest.push(part);
    this.#restSize += part.length;
    if (this.#restSize > this.#limit) throw new NetworkError(`a list of more than ${this.#limit} bytes without items`);
  }

  #keepItem(part: Buffer): void {
    this.#itemParts.push(part);
    this.#itemSize += part.length;
    if (this.#itemSize > this.#limit) throw new NetworkError(`an object is longer than ${this.#limit} bytes`);
  }

  #emit(last: Buffer): void {
    this.#keepItem(last);
    const text = this.#itemParts.length === 1 ? last : Buffer.concat(this.#itemParts, this.#itemSize);
    this.#itemParts = [];
    this.#itemSize = 0;
    this.#onItem(text);
  }
}
