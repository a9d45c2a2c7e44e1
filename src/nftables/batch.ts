/**
 * Commands as one batch of netlink messages to nf_tables: a transaction, as libnftables sends it. That library first reads
 * back what the table has, which costs many times what the transaction does.
 *
 * Layout: linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h; what libnftables keeps with elements: libnftnl/udata.h.
 */
import { addressBytes, type Family, familyBits } from "../net/address.ts";
import { type PortProtocol, protocolNumbers } from "../net/ports.ts";
import { flags, mostNested } from "../netns/netlink-layout.ts";
import type { Command, Element, ElementsCommand, Key } from "./commands.ts";
import { counterObject, verdictCode, writeData, writeNumber, writeRule, writeVerdict } from "./expressions.ts";
import type { KeyOrder } from "./key-order.ts";
import { inet, type MessageHead, MessageWriter, nftables } from "./nfnetlink.ts";

export interface Batch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What the message of each sequence number says; null: beginning and end. */
  readonly commands: readonly (Command | null)[];
}

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

/** Is used again: what is written in it is taken out at once. */
const out = new MessageWriter();

/**
 * @param order of the numbers in keys with ranges of ports; null: it is not known
 * @returns null where a command is said in nft's words: a new table, and ranges of ports whose order is not known
 */
export function batchOf(commands: readonly Command[], table: string, order: KeyOrder | null = null): Batch | null {
  if (commands.some(({ kind }) => kind === "script")) return null;
  if (order === null && commands.some(hasPortRanges)) return null;
  const said: (Command | null)[] = [];
  const say = (command: Command | null, head: Omit<MessageHead, "sequence">, content?: () => void): void => {
    out.message({ ...head, sequence: said.length }, content);
    said.push(command);
  };
  const limit = { flags: flags.request, family: 0, resource: nftables };
  out.rewind(0); // after an error something may be left
  say(null, { ...limit, type: batchBegin });
  for (const command of commands) {
    write(command, order, (type, own, content) => {
      say(command, { type: nftables * 256 + type, flags: flags.request | own, family: inet }, () => {
        out.text(1, table); // NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_OBJ_TABLE, NFTA_SET_ELEM_LIST_TABLE
        content();
      });
    });
  }
  out.acknowledge(); // the last one's answer says that all were taken
  say(null, { ...limit, type: batchEnd });
  return { bytes: out.take(), commands: said };
}

/** Has a command keys whose bytes are in an order that must be asked for? */
export const hasPortRanges = (command: Command): command is ElementsCommand =>
  command.kind === "elements" && command.elements.some(({ key }) => key.kind === "ports");

type Say = (type: number, own: number, content: () => void) => void;

function write(command: Command, order: KeyOrder | null, say: Say): void {
  switch (command.kind) {
    case "add":
      if (command.what === "chain")
        say(messageTypes.newChain, flags.create, () => out.text(3, command.name)); // NFTA_CHAIN_NAME
      else say(messageTypes.newObject, flags.create, () => writeCounter(command.name, true));
      break;
    case "delete":
      if (command.what === "chain") say(messageTypes.deleteChain, 0, () => out.text(3, command.name));
      else say(messageTypes.deleteObject, 0, () => writeCounter(command.name, false));
      break;
    case "flush":
      say(messageTypes.deleteRule, 0, () => out.text(2, command.chain)); // NFTA_RULE_CHAIN, without a handle: all
      break;
    case "rule":
      say(messageTypes.newRule, flags.create | flags.append, () => {
        out.text(2, command.chain);
        out.nested(4, () => writeRule(out, command.rule)); // NFTA_RULE_EXPRESSIONS
      });
      break;
    case "elements":
      writeElements(command, order, say);
      break;
    case "script":
      throw new Error("a script is not said in messages");
  }
}

const zero64 = Buffer.alloc(8);

function writeCounter(name: string, isNew: boolean): void {
  out.text(2, name); // NFTA_OBJ_NAME
  out.number32(3, counterObject); // NFTA_OBJ_TYPE
  if (!isNew) return;
  // NFTA_OBJ_DATA: NFTA_COUNTER_BYTES, _PACKETS
  out.nested(4, () => {
    out.attribute(1, zero64);
    out.attribute(2, zero64);
  });
}

/** Of a range: its first, its last, and what comes after its last. */
type Side = "first" | "last" | "after";

/** A range of addresses is two of the kernel's elements: where it starts, and where what it says ends, if it does. */
type Part = Element & { readonly side: Side };

function partsOf(element: Element): Part[] {
  const first: Part = { ...element, side: "first" };
  const { key } = element;
  return key.kind !== "addresses" || isOpen(key) ? [first] : [first, { key, side: "after" }];
}

/** In as many messages as it takes: one attribute holds no more than `mostNested`. */
function writeElements({ add, set, elements }: ElementsCommand, order: KeyOrder | null, say: Say): void {
  const parts = elements.flatMap(partsOf);
  const [type, own] = add ? [messageTypes.newElements, flags.create] : [messageTypes.deleteElements, 0];
  for (let i = 0; i < parts.length; ) {
    say(type, own, () => {
      out.text(2, set); // NFTA_SET_ELEM_LIST_SET
      // NFTA_SET_ELEM_LIST_ELEMENTS
      out.nested(3, () => {
        const start = out.length;
        for (; i < parts.length; i++) {
          const before = out.length;
          writePart(parts[i]!, order);
          if (out.length - start <= mostNested) continue;
          out.rewind(before);
          return;
        }
      });
    });
  }
}

const lastOf = (family: Family): bigint => (1n << BigInt(familyBits(family))) - 1n;
const lastAddress: Readonly<Record<Family, bigint>> = { IPv4: lastOf("IPv4"), IPv6: lastOf("IPv6") };

const isOpen = (key: Key): boolean => key.kind === "addresses" && key.end === lastAddress[key.family];

const intervalEnd = 1; // NFT_SET_ELEM_INTERVAL_END

function writePart({ key, side, value, comment }: Part, order: KeyOrder | null): void {
  // NFTA_LIST_ELEM
  out.nested(1, () => {
    writeData(out, 1, () => writeKey(key, side, order)); // NFTA_SET_ELEM_KEY
    if (key.kind === "ports") writeData(out, 10, () => writeKey(key, "last", order)); // NFTA_SET_ELEM_KEY_END
    // NFTA_SET_ELEM_DATA
    if (value !== undefined) {
      if ("chain" in value) writeVerdict(out, 2, verdictCode.goto, value.chain);
      else writeNumber(out, 2, value.number);
    }
    if (side === "after") out.number32(3, intervalEnd); // NFTA_SET_ELEM_FLAGS
    if (comment !== undefined || isOpen(key)) out.written(6, () => writeKept(key, comment)); // NFTA_SET_ELEM_USERDATA
  });
}

/** What the kernel keeps for nft: types, lengths and contents. */
function writeKept(key: Key, comment: string | undefined): void {
  // NFTNL_UDATA_SET_ELEM_COMMENT, with a zero at its end
  if (comment !== undefined) {
    out
      .u8(0)
      .u8(comment.length + 1)
      .latin1(comment)
      .u8(0);
  }
  if (isOpen(key)) out.u8(1).u8(4).u32(1); // NFTNL_UDATA_SET_ELEM_FLAGS: that it has no end
}

/** Each part of a key has a multiple of 4 bytes. Numbers are in the machine's byte order, as `meta priority` is, where nothing is said. */
function writeKey(key: Key, side: Side, order: KeyOrder | null): void {
  switch (key.kind) {
    case "number":
      out.u32(key.number);
      break;
    case "protocol":
      out.u32(key.number).u8(protocolNumbers[key.protocol]).pad();
      break;
    case "port":
      out.u32(key.number);
      writePort(key.protocol, key.port);
      break;
    case "ports":
      if (order === "host") out.u32(key.number);
      else out.network32(key.number);
      writePort(key.protocol, side === "first" ? key.start : key.end);
      break;
    case "address":
      out.bytes(addressBytes(key.address));
      break;
    case "addresses":
      out.bytes(addressBytes({ family: key.family, value: side === "first" ? key.start : key.end + 1n }));
      break;
  }
}

const writePort = (protocol: PortProtocol, port: number): void =>
  void out.u8(protocolNumbers[protocol]).pad().network16(port).pad();
