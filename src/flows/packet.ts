/** The head of an IP packet, as far as a flow is named by it. */

import { protocolNumbers } from "../net/ports.ts";

export interface FlowTuple {
  /** IANA number. */
  readonly protocol: number;
  /** 4 or 16 bytes, network order. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Of an ICMP echo its identifier, as in connection tracking; 0 for other protocols without ports and for later fragments. */
  readonly sourcePort: number;
  /** 0 for protocols without ports and for later fragments. */
  readonly destinationPort: number;
}

const ported = new Set<number>(Object.values(protocolNumbers));

/** Protocol number → the types that are echo requests and replies. */
const echoTypes: ReadonlyMap<number, readonly number[]> = new Map([
  [1, [0, 8]],
  [58, [128, 129]],
]);

// RFC 8200 extension headers that stand between the fixed header and the transport's.
const hopByHop = 0;
const routing = 43;
const fragment = 44;
const destinationOptions = 60;

/** Node's Buffers share their memory when sliced; a tuple must outlive the buffer it was read from. */
const copy = (packet: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(packet.subarray(start, end));

/** Reads an IPv4 or IPv6 packet that may be cut short; null when its addresses cannot be read. */
export function parseFlowTuple(packet: Uint8Array): FlowTuple | null {
  if (packet.length < 1) return null;
  const version = packet[0]! >> 4;
  if (version === 4) return parseV4(packet);
  if (version === 6) return parseV6(packet);
  return null;
}

function parseV4(packet: Uint8Array): FlowTuple | null {
  const header = (packet[0]! & 0xf) * 4;
  if (header < 20 || packet.length < 20) return null;
  const laterFragment = (((packet[6]! & 0x1f) << 8) | packet[7]!) !== 0;
  const source = copy(packet, 12, 16);
  const destination = copy(packet, 16, 20);
  return withPorts(packet, laterFragment ? packet.length : header, packet[9]!, source, destination);
}

function parseV6(packet: Uint8Array): FlowTuple | null {
  if (packet.length < 40) return null;
  let next = packet[6]!;
  let at = 40;
  while (next === hopByHop || next === routing || next === destinationOptions || next === fragment) {
    if (at + 8 > packet.length)
      return withPorts(packet, packet.length, next, copy(packet, 8, 24), copy(packet, 24, 40));
    if (next === fragment) {
      const later = ((packet[at + 2]! << 8) | packet[at + 3]!) >> 3 !== 0;
      next = packet[at]!;
      at = later ? packet.length : at + 8;
      if (later) break;
    } else {
      next = packet[at]!;
      at += (packet[at + 1]! + 1) * 8;
    }
  }
  return withPorts(packet, at, next, copy(packet, 8, 24), copy(packet, 24, 40));
}

function withPorts(
  packet: Uint8Array,
  at: number,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
): FlowTuple {
  const readable = ported.has(protocol) && at + 4 <= packet.length;
  const echo = at + 6 <= packet.length && echoTypes.get(protocol)?.includes(packet[at]!) === true;
  const sourceAt = readable ? at : echo ? at + 4 : null;
  return {
    protocol,
    source,
    destination,
    sourcePort: sourceAt === null ? 0 : (packet[sourceAt]! << 8) | packet[sourceAt + 1]!,
    destinationPort: readable ? (packet[at + 2]! << 8) | packet[at + 3]! : 0,
  };
}
