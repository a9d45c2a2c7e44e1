/** Packets of every kind that a policy may deny, as raw sockets send them, and how they are known again where they arrive. */

export type PacketKind = "syn" | "syn-ack" | "ack" | "udp" | "echo";

/** `syn-ack` and `ack` belong to no connection: they look like the middle of one. */
export const packetKinds: readonly PacketKind[] = ["syn", "syn-ack", "ack", "udp", "echo"];

const tcp = 6;
const udp = 17;
const [icmp, icmpv6] = [1, 58];

/** The IP protocol of a packet, by the length of its addresses. */
export const protocolOf = (kind: PacketKind, addressLength: number): number =>
  kind === "udp" ? udp : kind !== "echo" ? tcp : addressLength === 4 ? icmp : icmpv6;

const headerLengths: Readonly<Record<number, number>> = { [tcp]: 20, [udp]: 8, [icmp]: 8, [icmpv6]: 8 };
const tcpFlags: Readonly<Partial<Record<PacketKind, number>>> = { syn: 0x02, "syn-ack": 0x12, ack: 0x18 };

/** Bytes that say whose packet it is: "bulk", stream, number. */
const magic = 0x62756c6b;
const payloadLength = 12;

/** A packet of a stream, whose source port and number change; the memory is used again by the next call. */
export class PacketWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #transport: number;
  readonly #protocol: number;
  readonly #payload: number;

  constructor(kind: PacketKind, source: Uint8Array, destination: Uint8Array, port: number, stream: number) {
    const v4 = source.length === 4;
    const protocol = protocolOf(kind, source.length);
    this.#protocol = protocol;
    this.#transport = v4 ? 20 : 40;
    this.#payload = this.#transport + headerLengths[protocol]!;
    const length = this.#payload + payloadLength;
    this.#bytes = new Uint8Array(length);
    const view = new DataView(this.#bytes.buffer);
    this.#view = view;
    if (v4) {
      view.setUint8(0, 0x45);
      view.setUint16(2, length);
      view.setUint8(8, 64);
      view.setUint8(9, protocol);
    } else {
      view.setUint32(0, 0x6000_0000);
      view.setUint16(4, length - 40);
      view.setUint8(6, protocol);
      view.setUint8(7, 64);
    }
    this.#bytes.set(source, v4 ? 12 : 8);
    this.#bytes.set(destination, v4 ? 16 : 24);
    const at = this.#transport;
    if (protocol === tcp) {
      view.setUint16(at + 2, port);
      view.setUint32(at + 4, 1_000_000);
      view.setUint32(at + 8, kind === "syn" ? 0 : 2_000_000);
      view.setUint8(at + 12, 0x50);
      view.setUint8(at + 13, tcpFlags[kind]!);
      view.setUint16(at + 14, 0xffff);
    } else if (protocol === udp) {
      view.setUint16(at + 2, port);
      view.setUint16(at + 4, 8 + payloadLength);
    } else {
      view.setUint8(at, v4 ? 8 : 128); // echo request
    }
    view.setUint32(this.#payload, magic);
    view.setUint32(this.#payload + 4, stream);
  }

  /** @param sourcePort of an echo request: its identifier */
  write(sourcePort: number, number: number): Uint8Array {
    const [view, at] = [this.#view, this.#transport];
    const isEcho = this.#protocol === icmp || this.#protocol === icmpv6;
    view.setUint16(at + (isEcho ? 4 : 0), sourcePort);
    view.setUint32(this.#payload + 8, number);
    const checksumAt = at + (isEcho ? 2 : this.#protocol === udp ? 6 : 16);
    view.setUint16(checksumAt, 0);
    view.setUint16(checksumAt, this.#checksum() || 0xffff);
    return this.#bytes;
  }

  /** RFC 1071, over the pseudo header (not for ICMP over IPv4), the transport's header and the payload. */
  #checksum(): number {
    const { length } = this.#bytes;
    let sum = 0;
    if (this.#protocol !== icmp) {
      sum += this.#protocol + length - this.#transport;
      for (let i = this.#transport === 20 ? 12 : 8; i < this.#transport; i += 2) sum += this.#view.getUint16(i);
    }
    for (let i = this.#transport; i < length; i += 2) sum += this.#view.getUint16(i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    return 0xffff - sum;
  }
}

export interface Arrival {
  readonly stream: number;
  readonly number: number;
}

/**
 * Whose packet a raw socket received; null: nobody's of ours.
 * @param bytes with the IP header in IPv4, without it in IPv6, as raw sockets give them
 */
export function readPacket(bytes: DataView, length: number, protocol: number, addressLength: number): Arrival | null {
  const at = (addressLength === 4 ? (bytes.getUint8(0) & 15) * 4 : 0) + headerLengths[protocol]!;
  if (length < at + payloadLength || bytes.getUint32(at) !== magic) return null;
  return { stream: bytes.getUint32(at + 4), number: bytes.getUint32(at + 8) };
}

/** What flows over ordinary sockets carries: not to be taken for a packet of a raw stream. */
export const flowMagic = 0x666c6f77;
