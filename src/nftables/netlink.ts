/**
 * How netlink messages are laid out: linux/netlink.h, linux/netfilter/nfnetlink.h. Headers are in the machine's byte order,
 * attribute contents in network byte order where nothing else is said.
 */

export const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export const flags = {
  request: 0x1, // NLM_F_REQUEST
  acknowledge: 0x4, // NLM_F_ACK
  interrupted: 0x10, // NLM_F_DUMP_INTR, of answers
  dump: 0x300, // NLM_F_DUMP
  create: 0x400, // NLM_F_CREATE
  append: 0x800, // NLM_F_APPEND
} as const;

/** Message types that are not a subsystem's own. */
export const types = { error: 2, done: 3 } as const; // NLMSG_ERROR, NLMSG_DONE

const messageHeader = 16; // struct nlmsghdr
const familyHeader = 4; // struct nfgenmsg
const attributeHeader = 4; // struct nlattr
const nestedFlag = 0x8000; // NLA_F_NESTED
const attributeType = 0x3fff; // NLA_TYPE_MASK

/** Length with the padding that puts the next message or attribute where it belongs. */
export const aligned = (length: number): number => (length + 3) & ~3;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Of the socket that asked for what this tells. */
  readonly port: number;
  readonly body: Buffer;
}

const u16 = (data: Buffer, at: number): number => (isLittleEndian ? data.readUInt16LE(at) : data.readUInt16BE(at));
const u32 = (data: Buffer, at: number): number => (isLittleEndian ? data.readUInt32LE(at) : data.readUInt32BE(at));

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
export const errnoOf = (body: Buffer): number => -(isLittleEndian ? body.readInt32LE(0) : body.readInt32BE(0));

/** Attributes by type, each with its header, as they can be sent back. */
export function attributes(data: Buffer): Map<number, Buffer> {
  const out = new Map<number, Buffer>();
  for (let at = 0; at + attributeHeader <= data.length; ) {
    const length = u16(data, at);
    if (length < attributeHeader) break;
    out.set(u16(data, at + 2) & attributeType, data.subarray(at, at + length));
    at += aligned(length);
  }
  return out;
}

export interface MessageHead {
  /** The subsystem's number in the upper byte. */
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** nfgenmsg: `AF_…` or `NFPROTO_…`. */
  readonly family: number;
  /** nfgenmsg: of the beginning and the end of a batch the subsystem; else 0. */
  readonly resource?: number;
}

export function message(head: MessageHead, content: readonly Buffer[]): Buffer {
  const length = messageHeader + familyHeader + content.reduce((sum, part) => sum + aligned(part.length), 0);
  const data = Buffer.alloc(length);
  const view = new DataView(data.buffer, data.byteOffset);
  view.setUint32(0, length, isLittleEndian);
  view.setUint16(4, head.type, isLittleEndian);
  view.setUint16(6, head.flags, isLittleEndian);
  view.setUint32(8, head.sequence, isLittleEndian);
  view.setUint8(16, head.family);
  view.setUint16(18, head.resource ?? 0);
  fill(data, messageHeader + familyHeader, content);
  return data;
}

function fill(data: Buffer, start: number, parts: readonly Buffer[]): void {
  let at = start;
  for (const part of parts) {
    data.set(part, at);
    at += aligned(part.length);
  }
}

function header(type: number, length: number): Buffer {
  const data = Buffer.alloc(length);
  const view = new DataView(data.buffer, data.byteOffset);
  view.setUint16(0, length, isLittleEndian);
  view.setUint16(2, type, isLittleEndian);
  return data;
}

/** One attribute, without padding. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const data = header(type, attributeHeader + value.length);
  data.set(value, attributeHeader);
  return data;
}

/** The most bytes of attributes that one attribute has room for. */
export const mostNested = 0xffff - attributeHeader;

/** One attribute of attributes, together at most `mostNested` bytes with their padding. */
export function nested(type: number, ...parts: readonly Buffer[]): Buffer {
  const length = attributeHeader + parts.reduce((sum, part) => sum + aligned(part.length), 0);
  const data = header(type | nestedFlag, length);
  fill(data, attributeHeader, parts);
  return data;
}

/** A number in network byte order. */
export function number32(type: number, value: number): Buffer {
  const data = header(type, attributeHeader + 4);
  data.writeUInt32BE(value, attributeHeader);
  return data;
}

/** The bytes of a number in the machine's byte order. */
export const hostBytes32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** A number in the machine's byte order, as a few attributes of ctnetlink are. */
export const hostNumber32 = (type: number, value: number): Buffer => attribute(type, hostBytes32(value));
