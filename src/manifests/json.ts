/**
 * JSON: the engine's own parser gives the values. Repeated keys and mistakes, which it hides, are looked for by the slower
 * strict parser, and only where there are some.
 */
import { parseStrictJson } from "../policy/decode/index.ts";
import type { Path } from "../policy/model/source.ts";
import { type Document, maxDepth, SyntaxProblem, tooDeep } from "./document.ts";
import { JsonPlaces, skipGap, skipString, skipValue } from "./json-places.ts";

/**
 * Parses the text of one or more JSON values, the first at offset `base` of its file.
 * @throws {SyntaxProblem}
 */
export function parseJson(text: string, base: number): Document[] {
  try {
    return [document(text, base, JSON.parse(text))];
  } catch (error) {
    if (error instanceof SyntaxProblem) throw error;
    return parseStream(text, base);
  }
}

function parseStream(text: string, base: number): Document[] {
  const documents: Document[] = [];
  for (let at = skipGap(text, 0); at < text.length; ) {
    const end = skipValue(text, at);
    const one = text.slice(at, end);
    documents.push(document(one, base + at, parseOne(one, base + at)));
    at = skipGap(text, end);
  }
  return documents;
}

function parseOne(text: string, base: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const strict = parseStrictJson(text);
    if (!("error" in strict)) return strict.value;
    throw new SyntaxProblem(`not valid JSON: ${strict.error.message}`, base + strict.error.offset);
  }
}

function document(text: string, base: number, value: unknown): Document {
  const keys = countKeys(value, maxDepth);
  if (keys === null) throw tooDeep(base);
  const places = new JsonPlaces(text);
  let duplicates: readonly Path[] | undefined;
  return {
    value,
    get duplicates() {
      duplicates ??= keys === countColons(text) ? [] : strictDuplicates(text);
      return duplicates;
    },
    offsetOf: (path) => base + places.offsetOf(path),
  };
}

function strictDuplicates(text: string): Path[] {
  const strict = parseStrictJson(text);
  return "error" in strict ? [] : strict.duplicates;
}

/** Keys of all objects in a value. null: it is deeper than `levels`. */
function countKeys(value: unknown, levels: number): number | null {
  if (typeof value !== "object" || value === null) return 0;
  if (levels === 0) return null;
  const parts: unknown[] = Array.isArray(value) ? value : Object.values(value);
  let count = Array.isArray(value) ? 0 : parts.length;
  for (const part of parts) {
    const below = countKeys(part, levels - 1);
    if (below === null) return null;
    count += below;
  }
  return count;
}

/** Each key in the text, repeated or not, has a colon outside of strings. */
function countColons(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) i = skipString(text, i) - 1;
    else if (code === 0x3a) count++;
  }
  return count;
}
