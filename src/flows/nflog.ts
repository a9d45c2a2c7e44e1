/**
 * NFLOG: packets that a rule with `log group N` saw. Messages of linux/netfilter/nfnetlink_log.h; the socket itself is
 * the caller's, so that this can be tested without a kernel.
 */
import { type FlowTuple, parseFlowTuple } from "./packet.ts";

const subsystem = 4; // NFNL_SUBSYS_ULOG
const messagePacket = (subsystem << 8) | 0;
const messageConfig = (subsystem << 8) | 1;
const commandBind = 1;
const copyPacket = 2;
/** Bytes of each packet: IPv6 header, some extension headers, ports. */
const copyRange = 128;

const attributes = { packetHeader: 1, inDevice: 4, outDevice: 5, payload: 9, prefix: 10 } as const;
const configuration = { command: 1, mode: 2, bufferSize: 3, threshold: 5 } as const;
/** Of one message in the kernel; every message takes as much of the receive buffer, however short it is. */
const messageSize = 1024;

/** A logged packet. */
export interface LogRecord {
  /** The rule's `prefix`, without what nft appends. */
  readonly prefix: string;
  /** null: the packet could not be read. */
  readonly tuple: FlowTuple | null;
  /** Interface indexes; 0 when there is none. */
  readonly inDevice: number;
  readonly outDevice: number;
}

/** A netlink request's type and body, without header. */
export interface Request {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  readonly what: string;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function config(group: number, type: number, value: readonly number[], what: string): Request {
  const length = 4 + value.length;
  const body = new Uint8Array(4 + ((length + 3) & ~3)); // struct nfgenmsg, one attribute
  const view = new DataView(body.buffer);
  view.setUint16(2, group);
  view.setUint16(4, length, littleEndian);
  view.setUint16(6, type, littleEndian);
  body.set(value, 8);
  return { type: messageConfig, flags: 0, body, what: `${what} NFLOG group ${group}` };
}

/** Requests that make the socket they are sent on the reader of `group`: head of each packet, no waiting in the kernel. */
export const bindRequests = (group: number): Request[] => [
  config(group, configuration.command, [commandBind], "bind"),
  config(group, configuration.mode, [0, 0, 0, copyRange, copyPacket, 0], "configure"),
  config(group, configuration.bufferSize, [0, 0, messageSize >> 8, messageSize & 0xff], "configure"),
  config(group, configuration.threshold, [0, 0, 0, 1], "configure"),
];

/** The packets of one datagram. What does not parse is left out: the kernel wrote it, but a bound is a bound. */
export function parseLog(datagram: Uint8Array): LogRecord[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  const out: LogRecord[] = [];
  for (let at = 0; at + 16 <= datagram.length; ) {
    const length = view.getUint32(at, littleEndian);
    if (length < 16 || at + length > datagram.length) break;
    if (view.getUint16(at + 4, littleEndian) === messagePacket && length >= 20) {
      out.push(parseRecord(datagram, view, at + 20, at + length));
    }
    at += (length + 3) & ~3;
  }
  return out;
}

function parseRecord(bytes: Uint8Array, view: DataView, start: number, end: number): LogRecord {
  let prefix = "";
  let tuple: FlowTuple | null = null;
  let inDevice = 0;
  let outDevice = 0;
  for (let at = start; at + 4 <= end; ) {
    const length = view.getUint16(at, littleEndian);
    if (length < 4 || at + length > end) break;
    const value = bytes.subarray(at + 4, at + length);
    const type = view.getUint16(at + 2, littleEndian) & 0x3fff;
    if (type === attributes.prefix) prefix = new TextDecoder("latin1").decode(value).replace(/\0.*$/s, "").trimEnd();
    else if (type === attributes.payload) tuple = parseFlowTuple(value);
    else if (type === attributes.inDevice && value.length >= 4) inDevice = view.getUint32(at + 4);
    else if (type === attributes.outDevice && value.length >= 4) outDevice = view.getUint32(at + 4);
    at += (length + 3) & ~3;
  }
  return { prefix, tuple, inDevice, outDevice };
}
