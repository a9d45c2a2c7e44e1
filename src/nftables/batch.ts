/**
 * Commands as one batch of netlink messages to nf_tables: a transaction, as libnftables sends it. That library first reads
 * back what the table has, which costs many times what the transaction does.
 *
 * Layout: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h; what libnftables keeps with elements: libnftnl/udata.h.
 */
import { addressBytes, type Family, familyBits } from "../net/address.ts";
import { protocolNumbers } from "../net/ports.ts";
import type { Command, Element, Key } from "./commands.ts";
import { aligned, attribute, flags, hostBytes32, message, mostNested, nested, number32 } from "./netlink.ts";
import type { ConntrackState, Field, Rule, Statement } from "./rules.ts";

export interface Batch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What the message of each sequence number says; null: beginning and end. */
  readonly commands: readonly (Command | null)[];
}

const subsystem = 10; // NFNL_SUBSYS_NFTABLES
const inet = 1; // NFPROTO_INET
const batchBegin = 0x10; // NFNL_MSG_BATCH_BEGIN
const batchEnd = 0x11; // NFNL_MSG_BATCH_END

const messageTypes = {
  newChain: 3,
  deleteChain: 5,
  newRule: 6,
  deleteRule: 8,
  newElements: 12,
  deleteElements: 14,
  newObject: 18,
  deleteObject: 20,
} as const;

const counterObject = 1; // NFT_OBJECT_COUNTER

/** @returns null where a command is said in nft's words: a new table, and ranges of ports */
export function batchOf(commands: readonly Command[], table: string): Batch | null {
  const said: Message[] = [];
  for (const command of commands) {
    const own = messagesOf(command, table);
    if (own === null) return null;
    for (const one of own) said.push({ ...one, command });
  }
  const limit = { flags: flags.request, family: 0, resource: subsystem };
  const parts = [message({ ...limit, type: batchBegin, sequence: 0 }, [])];
  for (const [i, { type, flags: own, content }] of said.entries()) {
    // The last one's answer says that all were taken.
    const answer = i === said.length - 1 ? flags.acknowledge : 0;
    const head = { type: subsystem * 256 + type, flags: flags.request | own | answer, sequence: i + 1, family: inet };
    parts.push(message(head, content));
  }
  parts.push(message({ ...limit, type: batchEnd, sequence: said.length + 1 }, []));
  return { bytes: joined(parts), commands: [null, ...said.map(({ command }) => command), null] };
}

interface Words {
  readonly type: number;
  readonly flags: number;
  readonly content: readonly Buffer[];
}

type Message = Words & { readonly command: Command };

function joined(parts: readonly Buffer[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0)); // of its own: it is given away to another thread
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const text = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`, "latin1"));

function messagesOf(command: Command, table: string): readonly Words[] | null {
  const inTable = text(1, table); // NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_OBJ_TABLE, NFTA_SET_ELEM_LIST_TABLE
  const say = (type: number, own: number, ...content: readonly Buffer[]): Words[] => [
    { type, flags: own, content: [inTable, ...content] },
  ];
  switch (command.kind) {
    case "add":
      if (command.what === "chain") return say(messageTypes.newChain, flags.create, text(3, command.name)); // NFTA_CHAIN_NAME
      return say(messageTypes.newObject, flags.create, ...counter(command.name), zeroCounter);
    case "delete":
      if (command.what === "chain") return say(messageTypes.deleteChain, 0, text(3, command.name));
      return say(messageTypes.deleteObject, 0, ...counter(command.name));
    case "flush":
      return say(messageTypes.deleteRule, 0, text(2, command.chain)); // NFTA_RULE_CHAIN, without a handle: all
    case "rule": {
      const expressions = nested(4, ...expressionsOf(command.rule)); // NFTA_RULE_EXPRESSIONS
      return say(messageTypes.newRule, flags.create | flags.append, text(2, command.chain), expressions);
    }
    case "elements": {
      const { add, set, elements } = command;
      // How the numbers in keys with ranges of ports are ordered is agreed on between libnftables' rules and its elements.
      if (elements.some(({ key }) => key.kind === "ports")) return null;
      const encoded = elements.flatMap(elementsOf).map((parts, i) => nested(i + 1, ...parts));
      const [type, own] = add ? [messageTypes.newElements, flags.create] : [messageTypes.deleteElements, 0];
      return inPieces(encoded).flatMap((some) => say(type, own, text(2, set), nested(3, ...some))); // NFTA_SET_ELEM_LIST_SET, _ELEMENTS
    }
    case "script":
      return null;
  }
}

const counter = (name: string): Buffer[] => [text(2, name), number32(3, counterObject)]; // NFTA_OBJ_NAME, NFTA_OBJ_TYPE
const zero64 = Buffer.alloc(8);
const zeroCounter = nested(4, attribute(1, zero64), attribute(2, zero64)); // NFTA_OBJ_DATA: NFTA_COUNTER_BYTES, _PACKETS

/** As many in each piece as one attribute has room for. */
function inPieces(elements: readonly Buffer[]): Buffer[][] {
  const out: Buffer[][] = [];
  let left = 0;
  for (const element of elements) {
    left -= aligned(element.length);
    if (left < 0) {
      out.push([]);
      left = mostNested - aligned(element.length);
    }
    out.at(-1)!.push(element);
  }
  return out;
}

// NFTA_DATA_VALUE, NFTA_DATA_VERDICT: NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN
const value = (type: number, bytes: Uint8Array): Buffer => nested(type, attribute(1, bytes));
const verdict = (type: number, code: number, chain?: string): Buffer =>
  nested(type, nested(2, number32(1, code), ...(chain === undefined ? [] : [text(2, chain)])));

const verdictCode = { drop: 0, accept: 1, jump: -3 >>> 0, goto: -4 >>> 0 } as const;

/** A range of addresses is two of the kernel's elements: where it starts, and where what it says ends, if it does. */
function elementsOf(element: Element): Buffer[][] {
  const { key } = element;
  const first = elementParts(element);
  if (key.kind !== "addresses" || isOpen(key)) return [first];
  return [first, [value(1, keyBytes(key, "after")), number32(3, intervalEnd)]]; // NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_FLAGS
}

const intervalEnd = 1; // NFT_SET_ELEM_INTERVAL_END

const lastOf = (family: Family): bigint => (1n << BigInt(familyBits(family))) - 1n;
const lastAddress: Readonly<Record<Family, bigint>> = { IPv4: lastOf("IPv4"), IPv6: lastOf("IPv6") };

const isOpen = (key: Key): boolean => key.kind === "addresses" && key.end === lastAddress[key.family];

/** What the kernel keeps for nft. */
const userData = (type: number, content: Uint8Array): Uint8Array =>
  Buffer.concat([Uint8Array.of(type, content.length), content]);

function elementParts({ key, value: goal, comment }: Element): Buffer[] {
  const parts = [value(1, keyBytes(key))]; // NFTA_SET_ELEM_KEY
  if (goal !== undefined) {
    // NFTA_SET_ELEM_DATA
    parts.push("chain" in goal ? verdict(2, verdictCode.goto, goal.chain) : value(2, hostBytes32(goal.number)));
  }
  const kept: Uint8Array[] = [];
  if (comment !== undefined) kept.push(userData(0, Buffer.from(`${comment}\0`, "latin1"))); // NFTNL_UDATA_SET_ELEM_COMMENT
  if (isOpen(key)) kept.push(userData(1, hostBytes32(1))); // NFTNL_UDATA_SET_ELEM_FLAGS: that it has no end
  if (kept.length > 0) parts.push(attribute(6, Buffer.concat(kept))); // NFTA_SET_ELEM_USERDATA
  return parts;
}

/**
 * Each part of a key has a multiple of 4 bytes. Numbers are in the machine's byte order, as `meta priority` is.
 * @param side `after`: the address after the last of a range
 */
function keyBytes(key: Key, side: "first" | "after" = "first"): Uint8Array {
  switch (key.kind) {
    case "number":
      return hostBytes32(key.number);
    case "protocol":
      return Buffer.concat([hostBytes32(key.number), Uint8Array.of(protocolNumbers[key.protocol], 0, 0, 0)]);
    case "port": {
      const { number, protocol, port } = key;
      const rest = Uint8Array.of(protocolNumbers[protocol], 0, 0, 0, port >> 8, port & 255, 0, 0);
      return Buffer.concat([hostBytes32(number), rest]);
    }
    case "ports":
      throw new Error("a range of ports is not said in messages");
    case "address":
      return addressBytes(key.address);
    case "addresses":
      return addressBytes({ family: key.family, value: side === "first" ? key.start : key.end + 1n });
  }
}

const expression = (name: string, ...content: readonly Buffer[]): Buffer =>
  nested(1, text(1, name), nested(2, ...content)); // NFTA_LIST_ELEM: NFTA_EXPR_NAME, NFTA_EXPR_DATA

const expressionsOf = (rule: Rule): Buffer[] => rule.flatMap(expressionsOfStatement);

const verdictRegister = 0; // NFT_REG_VERDICT
const register = 1; // NFT_REG_1

const stateBits: Readonly<Record<ConntrackState, number>> = { established: 2, new: 8 }; // NF_CT_STATE_BIT
const keyOfState = 0; // NFT_CT_STATE

/** The expression that reads or writes a field, and its key there. */
const access = {
  "meta priority": { name: "meta", key: 2, source: 3 }, // NFT_META_PRIORITY, NFTA_META_SREG
  "ct mark": { name: "ct", key: 3, source: 4 }, // NFT_CT_MARK, NFTA_CT_SREG
} as const;

const load = (name: string, key: number): Buffer => expression(name, number32(2, key), number32(1, register)); // NFTA_META_KEY, _DREG; NFTA_CT_KEY, _DREG

function store(field: Field): Buffer {
  const { name, key, source } = access[field];
  return expression(name, number32(2, key), number32(source, register));
}

/** `register & mask ^ other` */
const bitwise = (mask: number, other: number): Buffer =>
  expression(
    "bitwise",
    number32(1, register), // NFTA_BITWISE_SREG
    number32(2, register), // NFTA_BITWISE_DREG
    number32(3, 4), // NFTA_BITWISE_LEN: bytes
    value(4, hostBytes32(mask)), // NFTA_BITWISE_MASK
    value(5, hostBytes32(other)), // NFTA_BITWISE_XOR
  );

const compare = (equal: boolean, number: number): Buffer =>
  expression("cmp", number32(1, register), number32(2, equal ? 0 : 1), value(3, hostBytes32(number))); // NFTA_CMP_SREG, _OP, _DATA

const immediate = (into: number, data: Buffer): Buffer => expression("immediate", number32(1, into), data); // NFTA_IMMEDIATE_DREG, _DATA

function expressionsOfStatement(statement: Statement): Buffer[] {
  switch (statement.kind) {
    case "counter":
      return [expression("objref", number32(1, counterObject), text(2, statement.name))]; // NFTA_OBJREF_IMM_TYPE, _NAME
    case "log": {
      const group = Buffer.alloc(2);
      group.writeUInt16BE(statement.group);
      // NFTA_LOG_PREFIX, NFTA_LOG_GROUP, NFTA_LOG_SNAPLEN
      return [expression("log", text(2, statement.prefix), attribute(1, group), number32(3, statement.snaplen))];
    }
    case "states": {
      const bits = statement.states.reduce((sum, state) => sum | stateBits[state], 0);
      return [load("ct", keyOfState), bitwise(bits, 0), compare(false, 0)];
    }
    case "match": {
      const { field, mask, equal, value: wanted } = statement;
      const { name, key } = access[field];
      return [load(name, key), ...(mask === null ? [] : [bitwise(mask, 0)]), compare(equal, wanted)];
    }
    case "set": {
      const { field, keep, bits } = statement;
      const { name, key } = access[field];
      if (keep === 0) return [immediate(register, value(2, hostBytes32(bits))), store(field)];
      return [load(name, key), bitwise(keep, bits), store(field)];
    }
    case "goto":
    case "jump":
      return [immediate(verdictRegister, verdict(2, verdictCode[statement.kind], statement.chain))];
    case "accept":
    case "drop":
      return [immediate(verdictRegister, verdict(2, verdictCode[statement.kind]))];
  }
}
