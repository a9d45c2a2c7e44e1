/** ICMP echo (RFC 792) and ICMPv6 echo (RFC 4443) for raw sockets. */

export interface EchoPacket {
  readonly kind: "request" | "reply";
  readonly identifier: number;
  /** The first four bytes of the data, 0 when there are fewer. */
  readonly token: number;
}

const headerLength = 8;
/** By version of IP: protocol number and types. */
const numbers = {
  4: { protocol: 1, request: 8, reply: 0 },
  6: { protocol: 58, request: 128, reply: 129 },
} as const;
export type IpVersion = keyof typeof numbers;

export const icmpProtocol = (version: IpVersion): number => numbers[version].protocol;

/** An echo message that carries four bytes of data. */
export function echoPacket(version: IpVersion, { kind, identifier, token }: EchoPacket): Uint8Array {
  const out = new Uint8Array(headerLength + 4);
  const view = new DataView(out.buffer);
  view.setUint8(0, numbers[version][kind]);
  view.setUint16(4, identifier);
  view.setUint32(headerLength, token);
  // The kernel fills in the checksum of ICMPv6, which covers addresses as well; that of ICMP is ours.
  if (version === 4) view.setUint16(2, internetChecksum(view));
  return out;
}

/** Reads an echo message without its IP header; null for any other. */
export function parseEcho(version: IpVersion, bytes: Uint8Array): EchoPacket | null {
  if (bytes.length < headerLength) return null;
  const { request, reply } = numbers[version];
  const type = bytes[0];
  if ((type !== request && type !== reply) || bytes[1] !== 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    kind: type === request ? "request" : "reply",
    identifier: view.getUint16(4),
    token: bytes.length >= headerLength + 4 ? view.getUint32(headerLength) : 0,
  };
}

/** RFC 1071, over an even number of bytes. */
function internetChecksum(view: DataView): number {
  let sum = 0;
  for (let i = 0; i < view.byteLength; i += 2) sum += view.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
