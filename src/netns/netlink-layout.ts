/** How netlink messages and attributes are laid out: linux/netlink.h. Headers are in the machine's byte order. */
import { ByteWriter } from "./bytes.ts";
import { littleEndian } from "./libc.ts";

export const flags = {
  request: 0x1, // NLM_F_REQUEST
  acknowledge: 0x4, // NLM_F_ACK
  interrupted: 0x10, // NLM_F_DUMP_INTR, of answers
  dump: 0x300, // NLM_F_DUMP
  replace: 0x100, // NLM_F_REPLACE
  exclusive: 0x200, // NLM_F_EXCL
  create: 0x400, // NLM_F_CREATE
  append: 0x800, // NLM_F_APPEND
} as const;

/** Message types that are not a subsystem's own. */
export const types = { error: 2, done: 3 } as const; // NLMSG_ERROR, NLMSG_DONE

export const messageHeader = 16; // struct nlmsghdr
const attributeHeader = 4; // struct nlattr
const nestedFlag = 0x8000; // NLA_F_NESTED
const attributeType = 0x3fff; // NLA_TYPE_MASK

/** Length with the padding that puts the next message or attribute where it belongs. */
const aligned = (length: number): number => (length + 3) & ~3;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Of the socket that asked for what this tells. */
  readonly port: number;
  readonly body: Buffer;
}

const u16 = (data: Buffer, at: number): number => (littleEndian ? data.readUInt16LE(at) : data.readUInt16BE(at));
const u32 = (data: Buffer, at: number): number => (littleEndian ? data.readUInt32LE(at) : data.readUInt32BE(at));

/** @throws where the last one is cut off */
export function* messages(data: Buffer): Generator<Message> {
  for (let at = 0; at + messageHeader <= data.length; ) {
    const length = u32(data, at);
    if (length < messageHeader || at + length > data.length) throw new Error("netlink: truncated message");
    const body = data.subarray(at + messageHeader, at + length);
    yield {
      type: u16(data, at + 4),
      flags: u16(data, at + 6),
      sequence: u32(data, at + 8),
      port: u32(data, at + 12),
      body,
    };
    at += aligned(length);
  }
}

/** What a message of type `error` says: 0, or an errno. @param body of the message */
export const errnoOf = (body: Buffer): number => -(littleEndian ? body.readInt32LE(0) : body.readInt32BE(0));

/** Attributes in order, each with its header, as they can be sent back. */
export function* eachAttribute(data: Buffer): Generator<[type: number, attribute: Buffer]> {
  for (let at = 0; at + attributeHeader <= data.length; ) {
    const length = u16(data, at);
    if (length < attributeHeader) break;
    yield [u16(data, at + 2) & attributeType, data.subarray(at, at + length)];
    at += aligned(length);
  }
}

/** Attributes by type; of several of one type the last. */
export const attributes = (data: Buffer): Map<number, Buffer> => new Map(eachAttribute(data));

/** What an attribute holds. */
export const contentOf = (attribute: Buffer | undefined): Buffer => attribute?.subarray(attributeHeader) ?? nothing;
const nothing = Buffer.alloc(0);

/** What an attribute says that is text with a zero at its end. */
export const textOf = (attribute: Buffer | undefined): string =>
  contentOf(attribute).toString("latin1").replace(/\0$/, "");

/** The most bytes of attributes that one attribute has room for. */
export const mostNested = 0xffff - attributeHeader;

/** Writes attributes, each with its padding. */
export class AttributeWriter extends ByteWriter {
  attribute(type: number, value: Uint8Array): void {
    this.u16(attributeHeader + value.length).u16(type);
    this.bytes(value).pad();
  }

  /** An attribute of the bytes that `content` writes. */
  written(type: number, content: () => void): void {
    const start = this.length;
    this.u16(0).u16(type);
    content();
    this.setU16(start, this.length - start).pad();
  }

  /** An attribute of the attributes that `content` writes, together at most `mostNested` bytes with their padding. */
  nested(type: number, content: () => void): void {
    this.written(type | nestedFlag, content);
  }

  /** With a zero at its end. */
  text(type: number, value: string): void {
    this.u16(attributeHeader + value.length + 1).u16(type);
    this.latin1(value).u8(0).pad();
  }

  /** A number in network byte order. */
  number32(type: number, value: number): void {
    this.u16(attributeHeader + 4).u16(type);
    this.network32(value);
  }

  /** A number in the machine's byte order. */
  hostNumber32(type: number, value: number): void {
    this.u16(attributeHeader + 4).u16(type);
    this.u32(value);
  }
}
