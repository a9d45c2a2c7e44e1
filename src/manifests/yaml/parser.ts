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

export interface MappingNode extends NodeBase {
  readonly is: "mapping";
  readonly pairs: readonly (readonly [key: YamlNode, value: YamlNode])[];
}

export interface AliasNode {
  readonly is: "alias";
  readonly offset: number;
  /** Name of the anchor. */
  readonly name: string;
  readonly target: YamlNode;
}

export type YamlNode = ScalarNode | ListNode | MappingNode | AliasNode;

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

  #sees(...types: readonly TokenType[]): boolean {
    return types.includes(this.#scanner.peek().type);
  }

  /** Takes the next token if it is of this type. */
  #skip(type: TokenType): boolean {
    if (!this.#sees(type)) return false;
    this.#scanner.take();
    return true;
  }

  document(): YamlNode | null {
    const hasDirectives = this.#sees("directive");
    while (this.#sees("directive")) this.#directive(this.#scanner.take());
    const isExplicit = this.#skip("document-start");
    if (hasDirectives && !isExplicit) throw this.#unexpected("did not find expected <document start>");
    if (this.#sees("end")) return null;
    const isEmpty = isExplicit && this.#sees("document-start", "document-end", "directive");
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
    // Known before its parts, so that a collection that contains itself is found out.
    const open = (node: YamlNode): void => {
      if (anchor !== null) this.#anchors.set(anchor, node);
    };
    const offset = this.#base + first.offset;
    const node = this.#content({ isBlock, isIndentless, hasProperties }, offset, tag, open);
    this.#depth--;
    return node;
  }

  #content(
    context: { readonly isBlock: boolean; readonly isIndentless: boolean; readonly hasProperties: boolean },
    offset: number,
    tag: string | null,
    open: (node: YamlNode) => void,
  ): YamlNode {
    const { type, text } = this.#scanner.peek();
    const list = (fill: (items: YamlNode[]) => void): YamlNode => {
      const items: YamlNode[] = [];
      const node: ListNode = { is: "list", offset, tag, items };
      open(node);
      fill(items);
      return node;
    };
    const mapping = (fill: (pairs: [YamlNode, YamlNode][]) => void): YamlNode => {
      const pairs: [YamlNode, YamlNode][] = [];
      const node: MappingNode = { is: "mapping", offset, tag, pairs };
      open(node);
      fill(pairs);
      return node;
    };
    const scalar = (isPlain: boolean): YamlNode => {
      const node: ScalarNode = { is: "scalar", offset, tag, text: isPlain || type === "text" ? text : "", isPlain };
      open(node);
      return node;
    };
    if (context.isIndentless && type === "entry") return list((items) => this.#indentlessItems(items));
    if (type === "plain" || type === "text") {
      this.#scanner.take();
      return scalar(type === "plain");
    }
    if (type === "flow-list") return list((items) => this.#flowItems(items));
    if (type === "flow-mapping") return mapping((pairs) => this.#flowPairs(pairs));
    if (context.isBlock && type === "block-list") return list((items) => this.#blockItems(items));
    if (context.isBlock && type === "block-mapping") return mapping((pairs) => this.#blockPairs(pairs));
    if (context.hasProperties) {
      const node: ScalarNode = { is: "scalar", offset, tag, text: "", isPlain: true };
      open(node);
      return node;
    }
    throw this.#unexpected("did not find expected node content");
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
    while (this.#sees("entry")) {
      const { offset } = this.#scanner.take();
      const isEmpty = this.#sees("entry", "block-end");
      items.push(isEmpty ? this.#empty(offset + 1) : this.#node({ isBlock: true, isIndentless: false }));
    }
    if (!this.#skip("block-end")) throw this.#unexpected("did not find expected '-' indicator");
  }

  /** A list in a mapping whose entries are not indented. */
  #indentlessItems(items: YamlNode[]): void {
    while (this.#sees("entry")) {
      const { offset } = this.#scanner.take();
      const isEmpty = this.#sees("entry", "key", "value", "block-end");
      items.push(isEmpty ? this.#empty(offset + 1) : this.#node({ isBlock: true, isIndentless: false }));
    }
  }

  #blockPairs(pairs: [YamlNode, YamlNode][]): void {
    this.#scanner.take();
    while (this.#sees("key")) {
      const key = this.#blockPart(this.#scanner.take().offset);
      const colon = this.#scanner.peek().offset;
      const value = this.#skip("value") ? this.#blockPart(colon + 1) : this.#empty(colon);
      pairs.push([key, value]);
    }
    if (!this.#skip("block-end")) throw this.#unexpected("did not find expected key");
  }

  #blockPart(offset: number): YamlNode {
    const isEmpty = this.#sees("key", "value", "block-end");
    return isEmpty ? this.#empty(offset) : this.#node({ isBlock: true, isIndentless: true });
  }

  #flowItems(items: YamlNode[]): void {
    this.#scanner.take();
    for (let isFirst = true; !this.#sees("flow-list-end"); isFirst = false) {
      if (!isFirst && !this.#skip("comma")) throw this.#unexpected("did not find expected ',' or ']'");
      if (this.#sees("flow-list-end")) break;
      if (!this.#sees("key")) items.push(this.#flowNode());
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

  #flowPairs(pairs: [YamlNode, YamlNode][]): void {
    this.#scanner.take();
    for (let isFirst = true; !this.#sees("flow-mapping-end"); isFirst = false) {
      if (!isFirst && !this.#skip("comma")) throw this.#unexpected("did not find expected ',' or '}'");
      if (this.#sees("flow-mapping-end")) break;
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
    return this.#sees(...absentBefore) ? this.#empty(offset) : this.#flowNode();
  }

  #flowNode(): YamlNode {
    return this.#node({ isBlock: false, isIndentless: false });
  }
}
