/** Native structures as bytes: netlink attributes and socket addresses. */
import { addressBytes as bytesOf, parseAddress } from "../net/address.ts";
import { AF_INET, AF_INET6, littleEndian } from "./libc.ts";

/** Appends numbers in the machine's byte order, as netlink wants them, and grows as needed. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Bytes that were written. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#view.setUint8(this.#length, value);
    this.#length += 1;
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, littleEndian);
    this.#length += 2;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, littleEndian);
    this.#length += 4;
    return this;
  }

  /** In network byte order, as `network32`. */
  network16(value: number): this {
    return this.u8(value >> 8).u8(value & 255);
  }

  network32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
    return this;
  }

  latin1(value: string): this {
    this.#reserve(value.length);
    for (let i = 0; i < value.length; i++) this.#bytes[this.#length + i] = value.charCodeAt(i);
    this.#length += value.length;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** Zeroes up to the next multiple of 4. */
  pad(): this {
    while (this.#length % 4 !== 0) this.u8(0);
    return this;
  }

  setU16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, littleEndian);
    return this;
  }

  setU32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, littleEndian);
    return this;
  }

  /** Forgets what was written from there on. */
  rewind(length: number): this {
    this.#length = length;
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * (this.#length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** 4 or 16 bytes in network order. @throws RangeError for a text that is no address */
export function addressBytes(text: string): Uint8Array {
  const parsed = parseAddress(text);
  if (parsed === null) throw new RangeError(`not an IP address: ${text}`);
  return bytesOf(parsed);
}

/** sockaddr_in or sockaddr_in6, by the length of the address. */
export function socketAddress(address: Uint8Array, port: number): Uint8Array {
  const v4 = address.length === 4;
  const out = new Uint8Array(v4 ? 16 : 28);
  const view = new DataView(out.buffer);
  view.setUint16(0, v4 ? AF_INET : AF_INET6, littleEndian);
  view.setUint16(2, port, false);
  out.set(address, v4 ? 4 : 8);
  return out;
}
