/**
 * Clearing bits of conntrack marks through ctnetlink: a dump of the table, and one request for each flow that is hit.
 * Calls block their thread: used in `kernel-worker.ts` only.
 *
 * Message layout: linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_conntrack.h. Headers are in the
 * machine's byte order, attribute contents in network byte order.
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
const closeCall = libc.func("int close(int fd)") as (fd: number) => number;
const setnsCall = libc.func("int setns(int fd, int type)") as (fd: number, type: number) => number;

const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function failed(what: string): Error {
  const number = koffi.errno();
  const name = Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
  return new Error(`${what}: ${name}`);
}

/** Moves the calling thread into a network namespace. */
export function enterNetwork(fd: number): void {
  if (setnsCall(fd, 0x4000_0000) !== 0) throw failed("setns"); // CLONE_NEWNET
}

const headerLength = 20; // nlmsghdr and nfgenmsg
const get = 0x101; // NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
const change = 0x100; // IPCTNL_MSG_CT_NEW, without NLM_F_CREATE
const request = 0x1;
const acknowledge = 0x4;
const dump = 0x300;
const interrupted = 0x10; // NLM_F_DUMP_INTR
const errorType = 2;
const doneType = 3;
const tupleAttribute = 1; // CTA_TUPLE_ORIG
const markAttribute = 8; // CTA_MARK
const zoneAttribute = 18; // CTA_ZONE
const maskAttribute = 21; // CTA_MARK_MASK
const attributeType = 0x3fff;

interface Message {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

const u16 = (data: Buffer, at: number): number => (little ? data.readUInt16LE(at) : data.readUInt16BE(at));
const u32 = (data: Buffer, at: number): number => (little ? data.readUInt32LE(at) : data.readUInt32BE(at));

function* messages(data: Buffer): Generator<Message> {
  for (let at = 0; at + 16 <= data.length; ) {
    const length = u32(data, at);
    if (length < 16 || at + length > data.length) throw new Error("ctnetlink: truncated message");
    yield { type: u16(data, at + 4), flags: u16(data, at + 6), body: data.subarray(at + 16, at + length) };
    at += (length + 3) & ~3;
  }
}

/** Attributes by type, each with its header, as they can be sent back. */
function attributes(data: Buffer): Map<number, Buffer> {
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

function number32(type: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  const view = new DataView(data.buffer, data.byteOffset);
  view.setUint16(0, 8, little);
  view.setUint16(2, type, little);
  view.setUint32(4, value, false);
  return data;
}

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

const noEntry = -2; // -ENOENT

/** One walk. @returns flows changed, and whether the dump saw the whole table. */
function walk(fd: number, mask: number, first: number, last: number): { changed: number; whole: boolean } {
  const buffer = Buffer.alloc(1 << 17);
  const found: Buffer[] = [];
  let whole = true;
  const ask = message(get, request | dump, 1, 0, []);
  if (sendCall(fd, ask, ask.length, 0) < 0) throw failed("ctnetlink: send");
  for (const { type, flags, body } of receive(fd, buffer)) {
    if (type === errorType) throw new Error(`ctnetlink: dump refused (${body.readInt32LE(0)})`);
    if ((flags & interrupted) !== 0) whole = false;
    const all = attributes(body.subarray(4));
    const mark = all.get(markAttribute)?.readUInt32BE(4) ?? 0;
    const masked = (mark & mask) >>> 0;
    const tuple = all.get(tupleAttribute);
    if (tuple === undefined || masked < first || masked > last) continue;
    const zone = all.get(zoneAttribute);
    const content = [
      tuple,
      ...(zone === undefined ? [] : [zone]),
      number32(markAttribute, 0),
      number32(maskAttribute, mask),
    ];
    found.push(message(change, request | acknowledge, 2, body[0]!, content));
  }
  for (const one of found) {
    if (sendCall(fd, one, one.length, 0) < 0) throw failed("ctnetlink: send");
    for (const { type, body } of receive(fd, buffer)) {
      const code = type === errorType ? (little ? body.readInt32LE(0) : body.readInt32BE(0)) : 0;
      if (code !== 0 && code !== noEntry) throw new Error(`ctnetlink: change refused (${code})`);
    }
  }
  return { changed: found.length, whole };
}

const walks = 8;

/**
 * Sets the bits of `mask` to 0 on every flow of the thread's network namespace whose masked mark is in `first..last`.
 * @returns how many flows were changed
 * @throws where ctnetlink is missing or refuses, and when the table never holds still
 */
export function clearMarks(mask: number, first: number, last: number): number {
  const fd = socketCall(16, 3 | 0x80000, 12); // AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER
  if (fd < 0) throw failed("ctnetlink: socket");
  try {
    const timeout = new Uint8Array(new BigInt64Array([5n, 0n]).buffer); // struct timeval: 5 s
    optionCall(fd, 1, 20, timeout, timeout.length); // SOL_SOCKET, SO_RCVTIMEO
    let total = 0;
    for (let i = 0; i < walks; i++) {
      const { changed, whole } = walk(fd, mask, first, last);
      total += changed;
      if (changed === 0 && whole) return total;
    }
    throw new Error("ctnetlink: flows with old marks kept appearing");
  } finally {
    closeCall(fd);
  }
}
