/**
 * One YAML document, read as kubectl reads it (`sigs.k8s.io/yaml` over `go.yaml.in/yaml/v2`). The `yaml` package gives the
 * syntax tree; what the tree means (words, keys, merges, aliases) is decided here.
 */
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseAllDocuments, Scalar } from "yaml";
import type { Path, PathStep } from "../policy/model/source.ts";
import { type Document, type Located, maxDepth, SyntaxProblem, tooDeep } from "./document.ts";
import { keyText, resolvePlain, type Scalar as ScalarValue } from "./scalar.ts";

/** C0 controls, DEL, C1 controls, lone surrogates and non-characters: Go's reader refuses them. */
const controlCharacter =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/**
 * Parses the text of one document that begins at offset `base` of its file.
 * @returns null when there is nothing but comments.
 * @throws {SyntaxProblem}
 */
export function parseYaml(text: string, base: number): Document | null {
  const control = controlCharacter.exec(text);
  if (control !== null) throw new SyntaxProblem("control characters are not allowed", base + control.index);
  const contents = parseTree(text, base);
  if (contents === null) return null;
  const conversion = new Conversion(base);
  const root = conversion.convert(contents, 0);
  return { value: root.value, duplicates: conversion.duplicates, located: () => root.located };
}

function parseTree(text: string, base: number): Node | null {
  checkFlowDepth(text, base);
  let documents: ReturnType<typeof parseAllDocuments>;
  try {
    documents = parseAllDocuments(text, {
      version: "1.1",
      schema: "failsafe",
      uniqueKeys: false,
      merge: false,
      prettyErrors: false,
      logLevel: "silent",
    });
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep(base);
    throw error;
  }
  for (const document of documents) {
    const error = document.errors[0];
    if (error !== undefined) {
      throw new SyntaxProblem(`not valid YAML: ${firstLine(error.message)}`, base + error.pos[0]);
    }
  }
  const [document, second] = documents;
  if (second !== undefined && second.contents !== null) {
    const message = "kubectl does not read this document: end the one before with a line that is only ---";
    throw new SyntaxProblem(message, base + (second.range?.[0] ?? 0), "unread-document");
  }
  return (document?.contents as Node | null | undefined) ?? null;
}

const firstLine = (message: string): string => message.split("\n", 1)[0]!.replace(/[.:]$/, "");

/** Refuses what would exhaust the parser's stack. Brackets inside strings count too: no real text has so many open. */
function checkFlowDepth(text: string, base: number): void {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x5b || c === 0x7b) {
      if (++depth > 10 * maxDepth) throw tooDeep(base + i);
    } else if ((c === 0x5d || c === 0x7d) && depth > 0) depth--;
  }
}

interface Converted {
  readonly value: unknown;
  readonly located: Located;
}

type MapPair = Pair<Node | null, Node | null>;

/** Turns a syntax tree into values, with go-yaml's limits on aliases. */
class Conversion {
  readonly duplicates: Path[] = [];
  readonly #base: number;
  readonly #anchors = new Map<string, Node>();
  /** Anchors being expanded: meeting one again means that it contains itself. */
  readonly #open = new Set<Node>();
  /** Where the conversion is: copied for each duplicate only. */
  readonly #path: PathStep[] = [];
  #aliasDepth = 0;
  #decoded = 0;
  #decodedInAliases = 0;

  constructor(base: number) {
    this.#base = base;
  }

  convert(node: Node | null, depth: number, fallback = 0): Converted {
    const offset = this.#base + (node?.range?.[0] ?? fallback);
    if (depth > maxDepth) throw tooDeep(offset);
    this.#count(offset);
    if (node === null) return { value: null, located: { offset, entries: null } };
    if (isAlias(node)) return this.#alias(node, depth, offset);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return { value: scalarValue(node as Scalar, offset), located: { offset, entries: null } };
    this.#open.add(node);
    try {
      if (isSeq(node)) return this.#list(node.items as (Node | null)[], depth, offset);
      if (isMap(node)) return this.#mapping(node.items as MapPair[], depth, offset);
      throw new SyntaxProblem("not valid YAML", offset);
    } finally {
      this.#open.delete(node);
    }
  }

  #list(items: readonly (Node | null)[], depth: number, offset: number): Converted {
    const value: unknown[] = [];
    const entries = new Map<PathStep, Located>();
    for (const [i, item] of items.entries()) {
      this.#path.push(i);
      const converted = this.convert(item, depth + 1, offset - this.#base);
      this.#path.pop();
      value.push(converted.value);
      entries.set(i, converted.located);
    }
    return { value, located: { offset, entries } };
  }

  #mapping(pairs: readonly MapPair[], depth: number, offset: number): Converted {
    const value = new Map<string, unknown>();
    const entries = new Map<PathStep, Located>();
    const own = new Set<string>();
    for (const { key, value: item } of pairs) {
      const keyOffset = key?.range?.[0] ?? offset - this.#base;
      if (isMergeKey(key)) {
        this.#merge(item, { value, entries }, depth, keyOffset);
        continue;
      }
      const name = this.#key(key, depth, keyOffset);
      this.#path.push(name);
      if (own.has(name)) this.duplicates.push([...this.#path]);
      own.add(name);
      const converted = this.convert(item, depth + 1, key?.range?.[1] ?? keyOffset);
      this.#path.pop();
      value.set(name, converted.value);
      entries.set(name, converted.located);
    }
    return { value: toObject(value), located: { offset, entries } };
  }

  /** go-yaml v2 merges where it meets `<<`: what stands before it is overwritten, what stands after it overwrites. */
  #merge(
    node: Node | null,
    into: { readonly value: Map<string, unknown>; readonly entries: Map<PathStep, Located> },
    depth: number,
    fallback: number,
  ): void {
    const target = isAlias(node) ? this.#anchors.get(node.source) : node;
    // The first of several wins: go-yaml merges them from the last.
    const sources = isSeq(target) ? [...(target.items as (Node | null)[])].reverse() : [node];
    for (const source of sources) {
      const { value, located } = this.convert(source, depth + 1, fallback);
      if (!isObject(value)) {
        throw new SyntaxProblem("a merge (<<) takes a mapping or a list of mappings", located.offset);
      }
      for (const [name, item] of Object.entries(value)) {
        into.value.set(name, item);
        into.entries.set(name, located.entries!.get(name)!);
      }
    }
  }

  #key(key: Node | null, depth: number, fallback: number): string {
    const { value, located } = this.convert(key, depth + 1, fallback);
    const name = typeof value === "object" && value !== null ? null : keyText(value as ScalarValue);
    if (name !== null) return name;
    const what = value === null ? "null" : Array.isArray(value) ? "a list" : "a mapping";
    throw new SyntaxProblem(`a key must be a word, got ${what}`, located.offset, "bad-key");
  }

  #alias(node: Alias, depth: number, offset: number): Converted {
    const target = this.#anchors.get(node.source);
    if (target === undefined) throw new SyntaxProblem(`unknown anchor '${node.source}' referenced`, offset);
    if (this.#open.has(target)) throw new SyntaxProblem(`anchor '${node.source}' value contains itself`, offset);
    this.#aliasDepth++;
    const converted = this.convert(target, depth + 1);
    this.#aliasDepth--;
    return converted;
  }

  /** go-yaml's guard against alias bombs: the share of the work that aliases may cause falls as the work grows. */
  #count(offset: number): void {
    this.#decoded++;
    if (this.#aliasDepth > 0) this.#decodedInAliases++;
    if (this.#decodedInAliases <= 100 || this.#decoded <= 1000) return;
    if (this.#decodedInAliases / this.#decoded > allowedAliasShare(this.#decoded)) {
      throw new SyntaxProblem("document contains excessive aliasing", offset, "excessive-aliasing");
    }
  }
}

function allowedAliasShare(decoded: number): number {
  const low = 400_000;
  const high = 4_000_000;
  if (decoded <= low) return 0.99;
  if (decoded >= high) return 0.1;
  return 0.99 - (0.89 * (decoded - low)) / (high - low);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Safe for `__proto__` as a key, unlike assignment. */
function toObject(entries: ReadonlyMap<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(entries);
}

const isMergeKey = (key: Node | null): boolean =>
  isScalar(key) &&
  key.source === "<<" &&
  (key.tag === mergeTag || (key.type === Scalar.PLAIN && key.tag === undefined));

const coreTag = (name: string): string => `tag:yaml.org,2002:${name}`;
const mergeTag = coreTag("merge");

function scalarValue(node: Scalar, offset: number): ScalarValue {
  const text = node.source ?? "";
  const value = taggedValue(node, text, offset);
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new SyntaxProblem(`unsupported value: ${text}`, offset);
  }
  return value;
}

function taggedValue(node: Scalar, text: string, offset: number): ScalarValue {
  const isPlain = node.type === Scalar.PLAIN || node.type === undefined;
  switch (node.tag) {
    case undefined:
      return isPlain ? resolvePlain(text) : text;
    case coreTag("bool"):
    case coreTag("int"):
    case coreTag("float"):
    case coreTag("null"): {
      const value = resolvePlain(text);
      const type = value === null ? "null" : typeof value === "boolean" ? "bool" : typeof value;
      const wanted = node.tag.slice(coreTag("").length);
      if (type === wanted || (type === "number" && (wanted === "float" || Number.isInteger(value)))) return value;
      throw new SyntaxProblem(`cannot decode '${text}' as a !!${wanted}`, offset);
    }
    case coreTag("binary"):
      return Buffer.from(text, "base64").toString("utf8");
    default:
      return text;
  }
}
