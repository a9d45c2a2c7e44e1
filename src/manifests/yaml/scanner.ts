/**
 * YAML text into tokens, by the rules of libyaml, whose Go translation kubectl uses: they differ from the YAML
 * specification in many corners, and a manifest must mean here what it means there.
 *
 * What makes YAML hard to cut into tokens: that `a` in `a: b` is a key shows only at the colon. So a token that may begin a
 * key is remembered (one for each flow level), and when the colon comes, the key token is put in before it.
 */
import { type Cursor, isBreak, isEnd, isGap, type Mark } from "./cursor.ts";
import { scanBlock, scanPlain, scanQuoted } from "./scalars.ts";

export type TokenType =
  | "end"
  | "directive"
  | "document-start"
  | "document-end"
  | "block-list"
  | "block-mapping"
  | "block-end"
  | "flow-list"
  | "flow-list-end"
  | "flow-mapping"
  | "flow-mapping-end"
  | "entry"
  | "comma"
  | "key"
  | "value"
  | "alias"
  | "anchor"
  | "tag"
  | "plain"
  | "text";

export interface Token {
  readonly type: TokenType;
  readonly offset: number;
  /** Of scalars, anchors, aliases, tags and directives. */
  readonly text: string;
}

/** A token that turns out to be a key if a colon follows on its line. */
interface PossibleKey {
  isPossible: boolean;
  /** Nothing but a key can stand there. */
  readonly isRequired: boolean;
  readonly token: number;
  readonly mark: Mark;
}

/** Characters between the beginning of a key and its colon. */
const longestKey = 1024;
const deepest = 10_000;

const word = /[0-9A-Za-z_-]+/y;
const tagWord = /!(?:<[-\w;/?:@&=+$,.!~*'()[\]%]+>|[-\w;/?:@&=+$,.!~*'()[\]%]*)/y;
const comment = /#[^\r\n\u0085\u2028\u2029]*/y;
const restOfLine = /[^\r\n\u0085\u2028\u2029]*/y;

export class Scanner {
  readonly #cursor: Cursor;
  readonly #queue: Token[] = [];
  #head = 0;
  /** Tokens handed out: the number of the token at the head of the queue. */
  #taken = 0;
  #indent = -1;
  readonly #indents: number[] = [];
  /** One for each open flow collection, and the first for the block context. */
  readonly #keys: (PossibleKey | null)[] = [null];
  readonly #keyOfToken = new Map<number, PossibleKey>();
  #isKeyAllowed = true;
  #hasEnded = false;

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  /** The next token; the last is `end`. */
  peek(): Token {
    while (this.#head === this.#queue.length || this.#isHeadUndecided()) {
      if (this.#hasEnded) break;
      this.#fetch();
    }
    return this.#queue[this.#head]!;
  }

  take(): Token {
    const token = this.peek();
    if (token.type === "end") return token;
    this.#head++;
    this.#taken++;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    }
    return token;
  }

  get #isInFlow(): boolean {
    return this.#keys.length > 1;
  }

  #isHeadUndecided(): boolean {
    const key = this.#keyOfToken.get(this.#taken);
    return key !== undefined && this.#isStillPossible(key);
  }

  #isStillPossible(key: PossibleKey): boolean {
    if (!key.isPossible) return false;
    const cursor = this.#cursor;
    if (key.mark.line === cursor.line && key.mark.offset + longestKey >= cursor.at) return true;
    if (key.isRequired) throw cursor.problem("could not find expected ':'", key.mark);
    this.#drop(key);
    return false;
  }

  #push(type: TokenType, offset = this.#cursor.at, text = ""): void {
    this.#queue.push({ type, offset, text });
  }

  /** Puts a token before one that is in the queue already. */
  #insert(number: number, type: TokenType, offset: number): void {
    this.#queue.splice(this.#head + number - this.#taken, 0, { type, offset, text: "" });
  }

  #saveKey(): void {
    if (!this.#isKeyAllowed) return;
    const cursor = this.#cursor;
    this.#forgetKey();
    const key: PossibleKey = {
      isPossible: true,
      isRequired: !this.#isInFlow && this.#indent === cursor.column,
      token: this.#taken + this.#queue.length - this.#head,
      mark: cursor.mark,
    };
    this.#keys[this.#keys.length - 1] = key;
    this.#keyOfToken.set(key.token, key);
  }

  #forgetKey(): void {
    const key = this.#keys.at(-1) ?? null;
    if (key === null || !key.isPossible) return;
    if (key.isRequired) throw this.#cursor.problem("could not find expected ':'", key.mark);
    this.#drop(key);
  }

  #drop(key: PossibleKey): void {
    key.isPossible = false;
    this.#keyOfToken.delete(key.token);
  }

  /** @param before number of the token that the collection begins with; null: it begins here */
  #openBlock(type: "block-list" | "block-mapping", mark: Mark, before: number | null): void {
    if (this.#isInFlow || this.#indent >= mark.column) return;
    this.#indents.push(this.#indent);
    this.#indent = mark.column;
    if (this.#indents.length > deepest) throw this.#cursor.tooDeep(mark.offset);
    if (before === null) this.#push(type, mark.offset);
    else this.#insert(before, type, mark.offset);
  }

  #closeBlocks(column: number): void {
    if (this.#isInFlow) return;
    while (this.#indent > column) {
      this.#push("block-end");
      this.#indent = this.#indents.pop()!;
    }
  }

  #skipToToken(): void {
    const cursor = this.#cursor;
    for (;;) {
      const takesTabs = this.#isInFlow || !this.#isKeyAllowed;
      while (cursor.sees(" ") || (takesTabs && cursor.sees("\t"))) cursor.at++;
      cursor.take(comment);
      if (!isBreak(cursor.code())) return;
      cursor.takeBreak();
      if (!this.#isInFlow) this.#isKeyAllowed = true;
    }
  }

  #fetch(): void {
    const cursor = this.#cursor;
    this.#skipToToken();
    this.#closeBlocks(cursor.column);
    if (isEnd(cursor.code())) this.#fetchEnd();
    else if (cursor.column === 0 && cursor.sees("%")) this.#fetchDirective();
    else if (cursor.seesDocumentIndicator()) this.#fetchDocumentIndicator();
    else this.#fetchContent();
  }

  #fetchContent(): void {
    const cursor = this.#cursor;
    const character = cursor.text[cursor.at]!;
    switch (character) {
      case "[":
        return void this.#openFlow("flow-list");
      case "{":
        return void this.#openFlow("flow-mapping");
      case "]":
        return void this.#closeFlow("flow-list-end");
      case "}":
        return void this.#closeFlow("flow-mapping-end");
      case ",":
        return void this.#fetchComma();
      case "-":
      case "?":
      case ":":
        return void this.#fetchIndicatorOrPlain(character);
      case "*":
        return void this.#fetchAnchor("alias");
      case "&":
        return void this.#fetchAnchor("anchor");
      case "!":
        return void this.#fetchTag();
      case "|":
      case ">":
        return void this.#fetchBlockScalar();
      case "'":
      case '"':
        return void this.#fetchQuoted();
      case "#":
      case "%":
      case "@":
      case "`":
      case "\t":
        throw this.#noToken();
      default:
        return void this.#fetchPlain();
    }
  }

  #fetchIndicatorOrPlain(character: "-" | "?" | ":"): void {
    const isAlone = isGap(this.#cursor.code(1));
    if (character === "-" ? !isAlone : !isAlone && !this.#isInFlow) this.#fetchPlain();
    else if (character === "-") this.#fetchEntry();
    else if (character === "?") this.#fetchKey();
    else this.#fetchValue();
  }

  #noToken(): Error {
    return this.#cursor.problem("found character that cannot start any token");
  }

  /** A token of one character. */
  #pushIndicator(type: TokenType): void {
    this.#push(type);
    this.#cursor.at++;
  }

  #fetchEnd(): void {
    this.#closeBlocks(-1);
    this.#forgetKey();
    this.#isKeyAllowed = false;
    this.#push("end");
    this.#hasEnded = true;
  }

  #fetchDirective(): void {
    this.#closeBlocks(-1);
    this.#forgetKey();
    this.#isKeyAllowed = false;
    const offset = this.#cursor.at;
    this.#push("directive", offset, this.#cursor.take(restOfLine));
  }

  #fetchDocumentIndicator(): void {
    this.#closeBlocks(-1);
    this.#forgetKey();
    this.#isKeyAllowed = false;
    this.#push(this.#cursor.sees("-") ? "document-start" : "document-end");
    this.#cursor.at += 3;
  }

  #openFlow(type: "flow-list" | "flow-mapping"): void {
    this.#saveKey();
    this.#keys.push(null);
    if (this.#keys.length > deepest) throw this.#cursor.tooDeep(this.#cursor.at);
    this.#isKeyAllowed = true;
    this.#pushIndicator(type);
  }

  #closeFlow(type: "flow-list-end" | "flow-mapping-end"): void {
    this.#forgetKey();
    if (this.#isInFlow) this.#keys.pop();
    this.#isKeyAllowed = false;
    this.#pushIndicator(type);
  }

  #fetchComma(): void {
    this.#forgetKey();
    this.#isKeyAllowed = true;
    this.#pushIndicator("comma");
  }

  #fetchEntry(): void {
    if (!this.#isInFlow) {
      if (!this.#isKeyAllowed) {
        throw this.#cursor.problem("block sequence entries are not allowed in this context");
      }
      this.#openBlock("block-list", this.#cursor.mark, null);
    }
    this.#forgetKey();
    this.#isKeyAllowed = true;
    this.#pushIndicator("entry");
  }

  #fetchKey(): void {
    if (!this.#isInFlow) {
      if (!this.#isKeyAllowed) throw this.#cursor.problem("mapping keys are not allowed in this context");
      this.#openBlock("block-mapping", this.#cursor.mark, null);
    }
    this.#forgetKey();
    this.#isKeyAllowed = !this.#isInFlow;
    this.#pushIndicator("key");
  }

  #fetchValue(): void {
    const key = this.#keys.at(-1) ?? null;
    if (key !== null && this.#isStillPossible(key)) {
      this.#insert(key.token, "key", key.mark.offset);
      this.#openBlock("block-mapping", key.mark, key.token);
      this.#drop(key);
      this.#isKeyAllowed = false;
    } else {
      if (!this.#isInFlow) {
        if (!this.#isKeyAllowed) throw this.#cursor.problem("mapping values are not allowed in this context");
        this.#openBlock("block-mapping", this.#cursor.mark, null);
      }
      this.#isKeyAllowed = !this.#isInFlow;
    }
    this.#pushIndicator("value");
  }

  #fetchAnchor(type: "alias" | "anchor"): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const cursor = this.#cursor;
    const { offset } = cursor.mark;
    cursor.at++;
    const name = cursor.take(word);
    if (name === "" || !(isGap(cursor.code()) || "?:,]}%@`".includes(cursor.text[cursor.at]!))) {
      throw cursor.problem("did not find expected alphabetic or numeric character", { offset });
    }
    this.#push(type, offset, name);
  }

  /** The token's text is the tag as written. */
  #fetchTag(): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const cursor = this.#cursor;
    const { offset } = cursor.mark;
    const tag = cursor.take(tagWord);
    if (!isGap(cursor.code())) throw cursor.problem("did not find expected whitespace or line break", { offset });
    this.#push("tag", offset, tag);
  }

  #fetchBlockScalar(): void {
    if (this.#isInFlow) throw this.#noToken();
    this.#forgetKey();
    this.#isKeyAllowed = true;
    const offset = this.#cursor.at;
    this.#push("text", offset, scanBlock(this.#cursor, this.#indent));
  }

  #fetchQuoted(): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const offset = this.#cursor.at;
    this.#push("text", offset, scanQuoted(this.#cursor));
  }

  #fetchPlain(): void {
    this.#saveKey();
    this.#isKeyAllowed = false;
    const offset = this.#cursor.at;
    const { text, hasBrokenLine } = scanPlain(this.#cursor, this.#indent + 1, this.#isInFlow);
    if (text === "" && this.#cursor.at === offset) throw this.#noToken();
    if (hasBrokenLine) this.#isKeyAllowed = true;
    this.#push("plain", offset, text);
  }
}
