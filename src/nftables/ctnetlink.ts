/**
 * Netlink to connection tracking: dumps, and one request after another. Calls block their thread: used in
 * `kernel-worker.ts` only.
 *
 * Message layout: linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_conntrack.h. Headers are in the
 * machine's byte order, attribute contents in network byte order where nothing else is said.
 */
import koffi from "koffi";

const libc = koffi.load(null);
const socketCall = libc.func("int socket(int domain, int type, int protocol)") as (
  domain: number,
  type: number,
  protocol: number,
) => number;
const sendCall = libc.func("intptr_t send(int fd, void *data, size_t length, int flags)") as (
  fd: number,
  data: Uint8Array,
  length: number,
  flags: number,
) => number;
const recvCall = libc.func("intptr_t recv(int fd, void *data, size_t length, int flags)") as (
  fd: number,
  data: Uint8Array,
  length: number,
  flags: number,
) => number;
const optionCall = libc.func("int setsockopt(int fd, int level, int name, void *value, uint32_t length)") as (
  fd: number,
  level: number,
  name: number,
  value: Uint8Array,
  length: number,
) => number;
const bindCall = libc.func("int bind(int fd, void *address, uint32_t length)") as (
  fd: number,
  address: Uint8Array,
  length: number,
) => number;
const closeCall = libc.func("int close(int fd)") as (fd: number) => number;
const sigmaskCall = libc.func("int pthread_sigmask(int how, const uint8_t *set, uint8_t *old)") as (
  how: number,
  set: Uint8Array,
  old: null,
) => number;
const setnsCall = libc.func("int setns(int fd, int type)") as (fd: number, type: number) => number;

const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function failed(what: string): Error {
  const number = koffi.errno();
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
  return new Error(`${what}: ${name}`);
}

/** Signals go to other threads: one that comes between a transaction and its answer would make it look refused. */
export function blockSignals(): void {
  sigmaskCall(0, new Uint8Array(128).fill(0xff), null); // SIG_BLOCK, sigset_t
}

/** Moves the calling thread into a network namespace. */
export function enterNetwork(fd: number): void {
  if (setnsCall(fd, 0x4000_0000) !== 0) throw failed("setns"); // CLONE_NEWNET
}

/** A socket to netfilter, in the thread's network namespace. */
export function netfilterSocket(): number {
  const fd = socketCall(16, 3 | 0x80000, 12); // AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER
  if (fd < 0) throw failed("netlink: socket");
  const address = new Uint8Array(12); // struct sockaddr_nl: the kernel chooses the port
  new DataView(address.buffer).setUint16(0, 16, little); // AF_NETLINK
  if (bindCall(fd, address, address.length) === 0) return fd;
  const error = failed("netlink: bind");
  closeCall(fd);
  throw error;
}

export const closeSocket = (fd: number): void => void closeCall(fd);

/** Sets an option that is a C `int`. */
export function setOption(fd: number, level: number, name: number, value: number): void {
  if (optionCall(fd, level, name, new Uint8Array(Int32Array.of(value).buffer), 4) !== 0) throw failed("setsockopt");
}

/** Length of the next datagram, 0 when there is none; `overrun`: the kernel had to throw some away. */
export function receiveNow(fd: number, buffer: Buffer): number | "overrun" {
  const length = recvCall(fd, buffer, buffer.length, 0x40); // MSG_DONTWAIT
  if (length >= 0) return length;
  const error = koffi.errno();
  if (error === koffi.os.errno["ENOBUFS"]) return "overrun";
  if (error === koffi.os.errno["EAGAIN"] || error === koffi.os.errno["EINTR"]) return 0;
  throw failed("netlink: recv");
}

const headerLength = 20; // nlmsghdr and nfgenmsg
const request = 0x1;
const acknowledge = 0x4;
const dump = 0x300;
const interrupted = 0x10; // NLM_F_DUMP_INTR
const errorType = 2;
const doneType = 3;
const nestedFlag = 0x8000; // NLA_F_NESTED
const attributeType = 0x3fff;

interface Message {
  readonly type: number;
  readonly flags: number;
  /** Of the socket that asked for what this tells. */
  readonly port: number;
  readonly body: Buffer;
}

const u16 = (data: Buffer, at: number): number => (little ? data.readUInt16LE(at) : data.readUInt16BE(at));
const u32 = (data: Buffer, at: number): number => (little ? data.readUInt32LE(at) : data.readUInt32BE(at));

export function* messages(data: Buffer): Generator<Message> {
  for (let at = 0; at + 16 <= data.length; ) {
    const length = u32(data, at);
    if (length < 16 || at + length > data.length) throw new Error("ctnetlink: truncated message");
    const body = data.subarray(at + 16, at + length);
    yield { type: u16(data, at + 4), flags: u16(data, at + 6), port: u32(data, at + 12), body };
    at += (length + 3) & ~3;
  }
}

/** Attributes by type, each with its header, as they can be sent back. */
export function attributes(data: Buffer): Map<number, Buffer> {
  const out = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= data.length; ) {
    const length = u16(data, at);
    if (length < 4) break;
    out.set(u16(data, at + 2) & attributeType, data.subarray(at, at + length));
    at += (length + 3) & ~3;
  }
  return out;
}

function message(type: number, flags: number, sequence: number, family: number, content: readonly Buffer[]): Buffer {
  const padded = content.map((part) => Buffer.concat([part, Buffer.alloc(-part.length & 3)]));
  const data = Buffer.concat([Buffer.alloc(headerLength), ...padded]);
  const view = new DataView(data.buffer, data.byteOffset);
  view.setUint32(0, data.length, little);
  view.setUint16(4, type, little);
  view.setUint16(6, flags, little);
  view.setUint32(8, sequence, little);
  view.setUint8(16, family);
  return data;
}

/** One attribute, without padding. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const data = Buffer.alloc(4 + value.length);
  const view = new DataView(data.buffer, data.byteOffset);
  view.setUint16(0, data.length, little);
  view.setUint16(2, type, little);
  data.set(value, 4);
  return data;
}

/** One attribute of attributes, each of a multiple of 4 bytes. */
export const nested = (type: number, ...parts: readonly Buffer[]): Buffer =>
  attribute(type | nestedFlag, Buffer.concat(parts));

/** A number in network byte order. */
export function number32(type: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(value);
  return attribute(type, data);
}

/** A number in the machine's byte order, as a few attributes of ctnetlink are. */
export const hostNumber32 = (type: number, value: number): Buffer =>
  attribute(type, new Uint8Array(Uint32Array.of(value).buffer));

/** Messages up to the end of a dump or to one answer. */
function* receive(fd: number, buffer: Buffer): Generator<Message> {
  for (;;) {
    const length = recvCall(fd, buffer, buffer.length, 0);
    if (length <= 0) throw failed("ctnetlink: recv");
    for (const part of messages(buffer.subarray(0, length))) {
      if (part.type === doneType) return;
      if (part.type === errorType) {
        yield part;
        return;
      }
      yield part;
    }
  }
}

/** A request: message type of ctnetlink and family, then attributes. */
export interface Ask {
  readonly type: number;
  readonly family: number;
  readonly content: readonly Buffer[];
}

const noEntry = -2; // -ENOENT

/** A socket to connection tracking of the network namespace that the thread was in when it was opened. */
export class Ctnetlink {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(1 << 17);

  /** @throws where there is none */
  static use<T>(work: (socket: Ctnetlink) => T): T {
    const socket = new Ctnetlink();
    try {
      return work(socket);
    } finally {
      closeCall(socket.#fd);
    }
  }

  private constructor() {
    this.#fd = netfilterSocket();
    const timeout = new Uint8Array(new BigInt64Array([5n, 0n]).buffer); // struct timeval: 5 s
    optionCall(this.#fd, 1, 20, timeout, timeout.length); // SOL_SOCKET, SO_RCVTIMEO
  }

  /**
   * Every entry that a dump shows: its family, and its attributes, valid until the next.
   * @returns whether the dump saw the whole table
   */
  dump({ type, family, content }: Ask, each: (family: number, entry: ReadonlyMap<number, Buffer>) => void): boolean {
    let whole = true;
    this.#send(message(type, request | dump, 1, family, content));
    for (const { type: kind, flags, body } of receive(this.#fd, this.#buffer)) {
      if (kind === errorType) throw new Error(`ctnetlink: dump refused (${codeOf(body)})`);
      if ((flags & interrupted) !== 0) whole = false;
      each(body[0]!, attributes(body.subarray(4)));
    }
    return whole;
  }

  /** Asks for a change of one entry; one that is gone needs none. */
  change({ type, family, content }: Ask): void {
    this.#send(message(type, request | acknowledge, 2, family, content));
    for (const { type: kind, body } of receive(this.#fd, this.#buffer)) {
      const code = kind === errorType ? codeOf(body) : 0;
      if (code !== 0 && code !== noEntry) throw new Error(`ctnetlink: change refused (${code})`);
    }
  }

  #send(data: Buffer): void {
    if (sendCall(this.#fd, data, data.length, 0) < 0) throw failed("ctnetlink: send");
  }
}

const codeOf = (body: Buffer): number => (little ? body.readInt32LE(0) : body.readInt32BE(0));
