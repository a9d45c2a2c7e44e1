/** Tokens into a tree. The grammar is libyaml's. */
import { maxDepth, SyntaxProblem } from "../document.ts";
import { Cursor } from "./cursor.ts";
import { Scanner, type Token, type TokenType } from "./scanner.ts";

interface NodeBase {
  readonly offset: number;
  /** In full (`tag:yaml.org,2002:int`), null when there is none. */
  readonly tag: string | null;
}

export interface ScalarNode extends NodeBase {
  readonly is: "scalar";
  readonly text: string;
  readonly isPlain: boolean;
}

export interface ListNode extends NodeBase {
  readonly is: "list";
  readonly items: readonly YamlNode[];
}

export type Pair = readonly [key: YamlNode, value: YamlNode];

export interface MappingNode extends NodeBase {
  readonly is: "mapping";
  readonly pairs: readonly Pair[];
}

export interface AliasNode {
  readonly is: "alias";
  readonly offset: number;
  /** Name of the anchor. */
  readonly name: string;
  readonly target: YamlNode;
}

export type YamlNode = ScalarNode | ListNode | MappingNode | AliasNode;

/** Tokens before which something is left out. */
const documentEnds: ReadonlySet<TokenType> = new Set<TokenType>(["document-start", "document-end", "directive"]);
const blockEntryEnds: ReadonlySet<TokenType> = new Set<TokenType>(["entry", "block-end"]);
const indentlessEntryEnds: ReadonlySet<TokenType> = new Set<TokenType>(["entry", "key", "value", "block-end"]);
const blockPartEnds: ReadonlySet<TokenType> = new Set<TokenType>(["key", "value", "block-end"]);

export const coreTag = "tag:yaml.org,2002:";

/**
 * Parses the one document of a text.
 * @param base offset of the text in its file
 * @returns null when there is nothing but comments.
 * @throws {SyntaxProblem}
 */
export function parseTree(text: string, base: number): YamlNode | null {
  return new Parser(text, base).document();
}

interface NodeContext {
  /** Block collections may stand here. */
  readonly isBlock: boolean;
  /** So may a list that is not indented. */
  readonly isIndentless: boolean;
  /** There is an anchor or a tag, so the rest may be left out. */
  readonly hasProperties: boolean;
  readonly anchor: string | null;
}

class Parser {
  readonly #cursor: Cursor;
  readonly #scanner: Scanner;
  readonly #base: number;
  readonly #anchors = new Map<string, YamlNode>();
  readonly #tagHandles = new Map([["!!", coreTag]]);
  #depth = 0;

  constructor(text: string, base: number) {
    this.#cursor = new Cursor(text, base);
    this.#scanner = new Scanner(this.#cursor);
    this.#base = base;
  }

  /** Type of the next token. */
  #next(): TokenType {
    return this.#scanner.peek().type;
  }

  /** Takes the next token if it is of this type. */
  #skip(type: TokenType): boolean {
    if (this.#next() !== type) return false;
    this.#scanner.take();
    return true;
  }

  document(): YamlNode | null {
    const hasDirectives = this.#next() === "directive";
    while (this.#next() === "directive") this.#directive(this.#scanner.take());
    const isExplicit = this.#skip("document-start");
    if (hasDirectives && !isExplicit) throw this.#unexpected("did not find expected <document start>");
    if (this.#next() === "end") return null;
    const isEmpty = isExplicit && documentEnds.has(this.#next());
    const root = isEmpty ? null : this.#node({ isBlock: true, isIndentless: false });
    while (this.#skip("document-end"));
    const rest = this.#scanner.peek();
    if (rest.type === "end") return root;
    // Go's decoder takes the first document and never looks at the rest.
    const message =
      rest.type === "document-start"
        ? "kubectl does not read this document: begin it on the line after the ---"
        : "text behind the end of the document: kubectl does not read it";
    throw new SyntaxProblem(message, this.#base + rest.offset, "unread-text");
  }

  #directive({ text, offset }: Token): void {
    const [name, ...values] = text
      .split(/[ \t]+#/, 1)[0]!
      .trim()
      .split(/[ \t]+/);
    if (name === "%YAML" && values.join(" ") === "1.1") return;
    if (name === "%TAG" && values.length === 2) {
      this.#tagHandles.set(values[0]!, values[1]!);
      return;
    }
    throw this.#cursor.problem(name === "%YAML" ? "found incompatible YAML document" : "found unknown directive name", {
      offset,
    });
  }

  #unexpected(message: string): SyntaxProblem {
    return this.#cursor.problem(message, this.#scanner.peek());
  }

  #node({ isBlock, isIndentless }: { readonly isBlock: boolean; readonly isIndentless: boolean }): YamlNode {
    const first = this.#scanner.peek();
    if (first.type === "alias") return this.#alias(this.#scanner.take());
    let anchor: string | null = null;
    let tag: string | null = null;
    for (let token = first; ; token = this.#scanner.peek()) {
      if (token.type === "anchor" && anchor === null) anchor = this.#scanner.take().text;
      else if (token.type === "tag" && tag === null) tag = this.#tag(this.#scanner.take());
      else break;
    }
    const hasProperties = anchor !== null || tag !== null;
    if (++this.#depth > maxDepth) throw this.#cursor.tooDeep(first.offset);
    const node = this.#content({ isBlock, isIndentless, hasProperties, anchor }, this.#base + first.offset, tag);
    this.#depth--;
    return node;
  }

  #content(context: NodeContext, offset: number, tag: string | null): YamlNode {
    const { type, text } = this.#scanner.peek();
    switch (type) {
      case "plain":
      case "text":
        this.#scanner.take();
        return this.#named(context, { is: "scalar", offset, tag, text, isPlain: type === "plain" });
      case "entry":
        if (context.isIndentless) return this.#list(context, offset, tag, this.#indentlessItems);
        break;
      case "flow-list":
        return this.#list(context, offset, tag, this.#flowItems);
      case "flow-mapping":
        return this.#mapping(context, offset, tag, this.#flowPairs);
      case "block-list":
        if (context.isBlock) return this.#list(context, offset, tag, this.#blockItems);
        break;
      case "block-mapping":
        if (context.isBlock) return this.#mapping(context, offset, tag, this.#blockPairs);
        break;
      default:
        break;
    }
    if (!context.hasProperties) throw this.#unexpected("did not find expected node content");
    return this.#named(context, { is: "scalar", offset, tag, text: "", isPlain: true });
  }

  /** A collection has its name before it has its parts, so that one that contains itself is found out. */
  #named<T extends YamlNode>({ anchor }: NodeContext, node: T): T {
    if (anchor !== null) this.#anchors.set(anchor, node);
    return node;
  }

  #list(context: NodeContext, offset: number, tag: string | null, fill: (items: YamlNode[]) => void): ListNode {
    const items: YamlNode[] = [];
    const node = this.#named<ListNode>(context, { is: "list", offset, tag, items });
    fill.call(this, items);
    return node;
  }

  #mapping(context: NodeContext, offset: number, tag: string | null, fill: (pairs: Pair[]) => void): MappingNode {
    const pairs: Pair[] = [];
    const node = this.#named<MappingNode>(context, { is: "mapping", offset, tag, pairs });
    fill.call(this, pairs);
    return node;
  }

  #alias({ text, offset }: Token): YamlNode {
    const target = this.#anchors.get(text);
    if (target === undefined) throw this.#cursor.problem(`unknown anchor '${text}' referenced`, { offset });
    return { is: "alias", offset: this.#base + offset, name: text, target };
  }

  #tag({ text, offset }: Token): string {
    if (text.startsWith("!<")) return text.slice(2, -1);
    const handle = /^![-\w]*!/.exec(text)?.[0] ?? "!";
    const prefix = this.#tagHandles.get(handle) ?? (handle === "!" ? "!" : null);
    const suffix = text.slice(handle.length);
    if (prefix === null) throw this.#cursor.problem("found undefined tag handle", { offset });
    if (suffix === "" && handle !== "!") throw this.#cursor.problem("did not find expected tag URI", { offset });
    return prefix + suffix;
  }

  #empty(offset: number): ScalarNode {
    return { is: "scalar", offset: this.#base + offset, tag: null, text: "", isPlain: true };
  }

  #blockItems(items: YamlNode[]): void {
    this.#scanner.take();
    while (this.#next() === "entry") {
      const { offset } = this.#scanner.take();
      const isEmpty = blockEntryEnds.has(this.#next());
      items.push(isEmpty ? this.#empty(offset + 1) : this.#node({ isBlock: true, isIndentless: false }));
    }
    if (!this.#skip("block-end")) throw this.#unexpected("did not find expected '-' indicator");
  }

  /** A list in a mapping whose entries are not indented. */
  #indentlessItems(items: YamlNode[]): void {
    while (this.#next() === "entry") {
      const { offset } = this.#scanner.take();
      const isEmpty = indentlessEntryEnds.has(this.#next());
      items.push(isEmpty ? this.#empty(offset + 1) : this.#node({ isBlock: true, isIndentless: false }));
    }
  }

  #blockPairs(pairs: Pair[]): void {
    this.#scanner.take();
    while (this.#next() === "key") {
      const key = this.#blockPart(this.#scanner.take().offset);
      const colon = this.#scanner.peek().offset;
      const value = this.#skip("value") ? this.#blockPart(colon + 1) : this.#empty(colon);
      pairs.push([key, value]);
    }
    if (!this.#skip("block-end")) throw this.#unexpected("did not find expected key");
  }

  #blockPart(offset: number): YamlNode {
    const isEmpty = blockPartEnds.has(this.#next());
    return isEmpty ? this.#empty(offset) : this.#node({ isBlock: true, isIndentless: true });
  }

  #flowItems(items: YamlNode[]): void {
    this.#scanner.take();
    for (let isFirst = true; this.#next() !== "flow-list-end"; isFirst = false) {
      if (!isFirst && !this.#skip("comma")) throw this.#unexpected("did not find expected ',' or ']'");
      if (this.#next() === "flow-list-end") break;
      if (this.#next() !== "key") items.push(this.#flowNode());
      else {
        // `[a: b]` is a list of a mapping.
        const { offset } = this.#scanner.take();
        const key = this.#flowPart(offset, ["value", "comma", "flow-list-end"]);
        const value = this.#flowValue("flow-list-end");
        items.push({ is: "mapping", offset: this.#base + offset, tag: null, pairs: [[key, value]] });
      }
    }
    this.#scanner.take();
  }

  #flowPairs(pairs: Pair[]): void {
    this.#scanner.take();
    for (let isFirst = true; this.#next() !== "flow-mapping-end"; isFirst = false) {
      if (!isFirst && !this.#skip("comma")) throw this.#unexpected("did not find expected ',' or '}'");
      if (this.#next() === "flow-mapping-end") break;
      const { offset } = this.#scanner.peek();
      if (this.#skip("key")) {
        const key = this.#flowPart(offset, ["value", "comma", "flow-mapping-end"]);
        pairs.push([key, this.#flowValue("flow-mapping-end")]);
      } else pairs.push([this.#flowNode(), this.#empty(offset)]);
    }
    this.#scanner.take();
  }

  #flowValue(end: TokenType): YamlNode {
    const { offset } = this.#scanner.peek();
    return this.#skip("value") ? this.#flowPart(offset + 1, ["comma", end]) : this.#empty(offset);
  }

  #flowPart(offset: number, absentBefore: readonly TokenType[]): YamlNode {
    return absentBefore.includes(this.#next()) ? this.#empty(offset) : this.#flowNode();
  }

  #flowNode(): YamlNode {
    return this.#node({ isBlock: false, isIndentless: false });
  }
}
