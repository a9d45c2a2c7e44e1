/** UDP packets with their IP headers, as raw sockets send them. */

const udp = 17;
const hopLimit = 64;

/** Where a packet's changing parts are. */
export interface Layout {
  readonly sourcePort: number;
  readonly checksum: number;
  readonly payload: number;
  readonly length: number;
}

const payloadSize = 4;

export function layout(v4: boolean): Layout {
  const header = v4 ? 20 : 40;
  return { sourcePort: header, checksum: header + 6, payload: header + 8, length: header + 8 + payloadSize };
}

/** Without source port and payload. IPv4's checksum is the kernel's to fill in; UDP's is 0, none, in IPv4 (RFC 768). */
export function template(source: Uint8Array, destination: Uint8Array, port: number): Uint8Array {
  const v4 = source.length === 4;
  const { sourcePort, length } = layout(v4);
  const out = new Uint8Array(length);
  const view = new DataView(out.buffer);
  if (v4) {
    view.setUint8(0, 0x45);
    view.setUint16(2, length);
    view.setUint8(8, hopLimit);
    view.setUint8(9, udp);
  } else {
    view.setUint32(0, 0x6000_0000);
    view.setUint16(4, length - 40);
    view.setUint8(6, udp);
    view.setUint8(7, hopLimit);
  }
  out.set(source, v4 ? 12 : 8);
  out.set(destination, v4 ? 16 : 24);
  view.setUint16(sourcePort + 2, port);
  view.setUint16(sourcePort + 4, 8 + payloadSize);
  return out;
}

/** The 16-bit words that the UDP checksum of an IPv6 packet is over, summed up, but for source port and payload (RFC 8200 8.1). */
export function checksumBase(packet: Uint8Array): number {
  const view = new DataView(packet.buffer, packet.byteOffset);
  let sum = udp + 2 * (8 + payloadSize) + view.getUint16(42);
  for (let i = 8; i < 40; i += 2) sum += view.getUint16(i);
  return sum;
}

/** Never 0, which would mean that there is none. */
export function checksum(base: number, sourcePort: number, payload: number): number {
  let sum = base + sourcePort + (payload >>> 16) + (payload & 0xffff);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return 0xffff - sum || 0xffff;
}
