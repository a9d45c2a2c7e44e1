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

/** The most bytes of attributes that one attribute has room for. */
export const mostNested = 0xffff - attributeHeader;

/**
 * Writes messages, one after another, into memory that is used again: a change of a policy takes hundreds of attributes.
 * What a message or an attribute holds is written while its `content` runs.
 */
export class MessageWriter {
  #data = Buffer.alloc(1 << 12);
  #length = 0;
  /** Where the message that was written last begins. */
  #latest = 0;

  /** Bytes that were written. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was written from there on. */
  rewind(length: number): void {
    this.#length = length;
  }

  /** A copy of what was written since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const written = new Uint8Array(this.#data.subarray(0, this.#length));
    this.#length = 0;
    return written;
  }

  message(head: MessageHead, content: () => void = () => undefined): void {
    const at = this.#more(messageHeader + familyHeader);
    content();
    const data = this.#data; // by now perhaps another
    setU32(data, this.#length - at, at);
    setU16(data, head.type, at + 4);
    setU16(data, head.flags, at + 6);
    setU32(data, head.sequence, at + 8);
    setU32(data, 0, at + 12); // the port: the kernel knows it
    this.#latest = at;
    data[at + 16] = head.family;
    data[at + 17] = 0; // NFNETLINK_V0
    data.writeUInt16BE(head.resource ?? 0, at + 18);
  }

  /** Asks for an answer to the message that was written last. */
  acknowledge(): void {
    const flagsAt = this.#latest + 6;
    setU16(this.#data, u16(this.#data, flagsAt) | flags.acknowledge, flagsAt);
  }

  /** An attribute of attributes, together at most `mostNested` bytes with their padding. */
  nested(type: number, content: () => void): void {
    const at = this.#more(attributeHeader);
    content();
    this.#head(at, type | nestedFlag, this.#length - at);
  }

  attribute(type: number, value: Uint8Array): void {
    const at = this.#attribute(type, value.length);
    this.#data.set(value, at);
  }

  /** With a zero at its end. */
  text(type: number, value: string): void {
    const at = this.#attribute(type, value.length + 1);
    this.#data.write(value, at, "latin1");
    this.#data[at + value.length] = 0;
  }

  /** A number in network byte order. */
  number32(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#data.writeUInt32BE(value, at);
  }

  /** A number in the machine's byte order. */
  hostNumber32(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    setU32(this.#data, value, at);
  }

  /** Attributes as they were received, each with its header. */
  copies(received: readonly Uint8Array[]): void {
    for (const one of received) {
      const at = this.#more(aligned(one.length));
      this.#data.fill(0, at + one.length, this.#length);
      this.#data.set(one, at);
    }
  }

  /** @returns where its value is to be written, `length` bytes */
  #attribute(type: number, length: number): number {
    const at = this.#more(aligned(attributeHeader + length));
    this.#head(at, type, attributeHeader + length);
    for (let i = at + attributeHeader + length; i < this.#length; i++) this.#data[i] = 0;
    return at + attributeHeader;
  }

  #head(at: number, type: number, length: number): void {
    setU16(this.#data, length, at);
    setU16(this.#data, type, at + 2);
  }

  /** @returns where `length` more bytes begin */
  #more(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#data.length) {
      const grown = Buffer.alloc(2 * this.#length);
      grown.set(this.#data.subarray(0, at));
      this.#data = grown;
    }
    return at;
  }
}

function setU16(data: Buffer, value: number, at: number): void {
  if (isLittleEndian) data.writeUInt16LE(value, at);
  else data.writeUInt16BE(value, at);
}

function setU32(data: Buffer, value: number, at: number): void {
  if (isLittleEndian) data.writeUInt32LE(value, at);
  else data.writeUInt32BE(value, at);
}

/** The bytes of a number in the machine's byte order. */
export const hostBytes32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

export function networkBytes32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
