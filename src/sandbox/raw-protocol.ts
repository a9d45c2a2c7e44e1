/** Probes over raw sockets: SCTP, which not every kernel has sockets for, and ICMP echo, which stands for what has no ports. */
import type { Protocol } from "../net/ports.ts";
import { echoPacket, type IpVersion, icmpProtocol, parseEcho } from "../netns/icmp.ts";
import { initAckPacket, initPacket, parseSctp, sctpAbort, sctpInit, sctpInitAck } from "../netns/sctp.ts";
import { ipprotoSctp } from "../netns/sockets.ts";

/** What a packet that came is. */
export type RawMessage =
  | {
      readonly kind: "request";
      readonly port: number;
      /** The packet that answers it, signed where there is room. */
      answer(listener: number): Uint8Array;
    }
  | {
      readonly kind: "answer";
      /** The probe's source port. */
      readonly port: number;
      readonly token: number;
      /** null: unsigned; its source address says who it is from. */
      readonly listener: number | null;
    };

export interface RawProtocol {
  /** IANA number. */
  readonly number: number;
  /** Does a kernel answer at its own addresses by itself? */
  readonly kernelAnswers: boolean;
  /** A packet that asks; `token`, not 0, comes back in the answer. */
  request(sourcePort: number, port: number, token: number): Uint8Array;
  /** Reads a packet without its IP header; null when it is neither. */
  read(packet: Uint8Array): RawMessage | null;
}

const sctp: RawProtocol = {
  number: ipprotoSctp,
  kernelAnswers: false,
  request: initPacket,
  read(bytes) {
    const packet = parseSctp(bytes);
    if (packet === null) return null;
    const { chunk, destinationPort: port, verificationTag: token, cookie } = packet;
    if (chunk === sctpInit)
      return { kind: "request", port, answer: (listener) => initAckPacket(packet, 1 + listener, listener) };
    // An ABORT is the answer of a kernel that has SCTP itself: it was reached.
    return chunk === sctpInitAck || chunk === sctpAbort ? { kind: "answer", port, token, listener: cookie } : null;
  },
};

const icmp = (version: IpVersion): RawProtocol => ({
  number: icmpProtocol(version),
  kernelAnswers: true,
  request: (sourcePort, _port, token) => echoPacket(version, { kind: "request", identifier: sourcePort, token }),
  read(bytes) {
    const packet = parseEcho(version, bytes);
    if (packet === null) return null;
    const { kind, identifier, token } = packet;
    if (kind === "reply") return { kind: "answer", port: identifier, token, listener: null };
    return { kind: "request", port: 0, answer: () => echoPacket(version, { ...packet, kind: "reply" }) };
  },
});

const icmps = { 4: icmp(4), 6: icmp(6) };

/** How a protocol is probed at addresses of a length (4 or 16 bytes); null: with sockets of its own. */
export function rawProtocol(protocol: Protocol, addressLength: number): RawProtocol | null {
  if (protocol === "SCTP") return sctp;
  return protocol === "other" ? icmps[addressLength === 4 ? 4 : 6] : null;
}
