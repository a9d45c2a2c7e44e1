/**
 * One YAML document, read as kubectl reads it: `sigs.k8s.io/yaml` over `go.yaml.in/yaml/v2`. The tree comes from
 * `parser.ts`; what it means (words, keys, merges, aliases) is decided here.
 */
import type { Path, PathStep } from "../../policy/model/source.ts";
import { type Document, maxDepth, SyntaxProblem, tooDeep } from "../document.ts";
import { coreTag, type MappingNode, parseTree, type ScalarNode, type YamlNode } from "./parser.ts";
import { readQuickly } from "./quick.ts";
import { isIntegerWord, keyText, resolvePlain, type Scalar } from "./resolve.ts";

/** What Go's reader refuses: controls, lone surrogates, non-characters. */
const controlCharacter =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Of one document. A tree takes twenty times the memory of its text. */
const maxLength = 64 * 1024 * 1024;

export type Parsed = Pick<Document, "value" | "duplicates">;

/**
 * Parses the text of one document that begins at offset `base` of its file.
 * @returns null when there is nothing but comments.
 * @throws {SyntaxProblem}
 */
export function parseYaml(text: string, base: number): Document | null {
  if (text.length > maxLength) {
    const message = `a YAML document of more than ${maxLength / 1024 / 1024} MiB: split it, or give it as JSON`;
    throw new SyntaxProblem(message, base, "too-big");
  }
  const parsed = readQuickly(text) ?? readThoroughly(text, base);
  if (parsed === null) return null;
  // There is no tree, or it was dropped; it is made for those few documents of which someone wants to know positions.
  let again: YamlNode | undefined;
  return {
    ...parsed,
    offsetOf(path) {
      again ??= parseTree(text, base)!;
      return offsetOf(again, path);
    },
  };
}

/** @throws {SyntaxProblem} */
export function readThoroughly(text: string, base: number): Parsed | null {
  const control = controlCharacter.exec(text);
  if (control !== null) throw new SyntaxProblem("control characters are not allowed", base + control.index);
  const tree = parseTree(text, base);
  if (tree === null) return null;
  const conversion = new Conversion();
  const value = conversion.value(tree, 0);
  return { value, duplicates: conversion.duplicates };
}

/** Turns a tree into values, with go-yaml's limits on aliases. */
class Conversion {
  readonly duplicates: Path[] = [];
  /** Aliases being expanded: meeting one inside itself has no end. */
  readonly #open = new Set<YamlNode>();
  /** Where the conversion is: copied for each duplicate only. */
  readonly #path: PathStep[] = [];
  #aliasDepth = 0;
  #decoded = 0;
  #decodedInAliases = 0;

  value(node: YamlNode, depth: number): unknown {
    if (depth > maxDepth) throw tooDeep(node.offset);
    this.#count(node.offset);
    switch (node.is) {
      case "scalar":
        return finite(node);
      case "list":
        return node.items.map((item, i) => this.#below(i, item, depth));
      case "mapping":
        return this.#mapping(node, depth);
      case "alias": {
        if (this.#open.has(node.target)) {
          throw new SyntaxProblem(`anchor '${node.name}' value contains itself`, node.offset);
        }
        this.#open.add(node.target);
        this.#aliasDepth++;
        const value = this.value(node.target, depth + 1);
        this.#aliasDepth--;
        this.#open.delete(node.target);
        return value;
      }
    }
  }

  #below(step: PathStep, node: YamlNode, depth: number): unknown {
    this.#path.push(step);
    const value = this.value(node, depth + 1);
    this.#path.pop();
    return value;
  }

  #mapping(node: MappingNode, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    /** Keys that came by a merge and may be written again. */
    const inherited = new Set<string>();
    for (const [key, item] of node.pairs) {
      if (isMergeKey(key)) {
        for (const source of mergeSources(item)) {
          // Whatever is no mapping was refused by mergeSources.
          for (const [name, part] of Object.entries(this.value(source, depth + 1) as Record<string, unknown>)) {
            if (!Object.hasOwn(value, name)) inherited.add(name);
            define(value, name, part);
          }
        }
        continue;
      }
      const name = keyName(key);
      if (Object.hasOwn(value, name) && !inherited.delete(name)) this.duplicates.push([...this.#path, name]);
      define(value, name, this.#below(name, item, depth));
    }
    return value;
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

/** Assignment that makes `__proto__` a key like any other. */
function define(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

function allowedAliasShare(decoded: number): number {
  const low = 400_000;
  const high = 4_000_000;
  if (decoded <= low) return 0.99;
  if (decoded >= high) return 0.1;
  return 0.99 - (0.89 * (decoded - low)) / (high - low);
}

/** Inherited values are where the merged mapping has them. */
function offsetOf(root: YamlNode, path: Path): number {
  let at = root;
  for (const step of path) {
    const next = child(at, step);
    if (next === null) break;
    at = next;
  }
  return at.offset;
}

function child(node: YamlNode, step: PathStep): YamlNode | null {
  switch (node.is) {
    case "scalar":
      return null;
    case "alias":
      return child(node.target, step);
    case "list":
      return typeof step === "number" ? (node.items[step] ?? null) : null;
    case "mapping":
      return fieldsOf(node).get(step) ?? null;
  }
}

const knownFields = new WeakMap<MappingNode, ReadonlyMap<PathStep, YamlNode>>();

/** The last of equal keys counts, as in `Conversion`. */
function fieldsOf(node: MappingNode): ReadonlyMap<PathStep, YamlNode> {
  const known = knownFields.get(node);
  if (known !== undefined) return known;
  const fields = new Map<PathStep, YamlNode>();
  for (const [key, item] of node.pairs) {
    if (!isMergeKey(key)) fields.set(keyName(key), item);
    else {
      for (const source of mergeSources(item)) {
        const target = source.is === "alias" ? source.target : source;
        if (target.is === "mapping") for (const [name, inherited] of fieldsOf(target)) fields.set(name, inherited);
      }
    }
  }
  knownFields.set(node, fields);
  return fields;
}

const mergeTag = `${coreTag}merge`;

const isMergeKey = (key: YamlNode): boolean =>
  key.is === "scalar" &&
  key.text === "<<" &&
  (key.tag === mergeTag || key.tag === "!" || (key.tag === null && key.isPlain));

/** Mappings in the order in which they overwrite: go-yaml v2 merges where it meets `<<`, the last of a list first. */
function mergeSources(node: YamlNode): YamlNode[] {
  const sources = node.is === "list" ? [...node.items].reverse() : [node];
  for (const source of sources) {
    if ((source.is === "alias" ? source.target : source).is !== "mapping") {
      throw new SyntaxProblem("map merge requires map or sequence of maps as the value", source.offset);
    }
  }
  return sources;
}

function keyName(node: YamlNode): string {
  const key = node.is === "alias" ? node.target : node;
  const name = key.is === "scalar" ? keyText(key.text, scalarValue(key)) : null;
  if (name !== null) return name;
  const what = key.is === "scalar" ? key.text || "null" : `a ${key.is}`;
  throw new SyntaxProblem(`a key must be a word, got ${what}`, node.offset, "bad-key");
}

function finite(node: ScalarNode): Scalar {
  const value = scalarValue(node);
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  throw new SyntaxProblem(`unsupported value: ${node.text}`, node.offset);
}

function scalarValue({ tag, text, isPlain, offset }: ScalarNode): Scalar {
  switch (tag) {
    case null:
      return isPlain ? resolvePlain(text) : text;
    case `${coreTag}bool`:
    case `${coreTag}int`:
    case `${coreTag}float`:
    case `${coreTag}null`: {
      const value = resolvePlain(text);
      const wanted = tag.slice(coreTag.length);
      const type = value === null ? "null" : typeof value === "boolean" ? "bool" : typeof value;
      if (type === wanted || (type === "number" && (wanted === "float" || isIntegerWord(text)))) return value;
      throw new SyntaxProblem(`cannot decode \`${text}\` as a !!${wanted}`, offset);
    }
    case `${coreTag}binary`:
      if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text.replace(/[\r\n]/g, ""))) {
        throw new SyntaxProblem("!!binary value contains invalid base64 data", offset);
      }
      return Buffer.from(text, "base64").toString("utf8");
    default:
      return text;
  }
}
