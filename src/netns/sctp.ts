/**
 * As much SCTP (RFC 9260) as it takes to open an association from a raw socket: INIT and INIT ACK. Not every kernel has
 * SCTP sockets, but connection tracking knows the protocol in all of them.
 */

export interface SctpPacket {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly verificationTag: number;
  /** 1 INIT, 2 INIT ACK, 6 ABORT; others are not looked into. */
  readonly chunk: number;
  /** Of INIT and INIT ACK, else 0. */
  readonly initiateTag: number;
  /** The first four bytes of an INIT ACK's state cookie, or null. */
  readonly cookie: number | null;
}

export const sctpInit = 1;
export const sctpInitAck = 2;
export const sctpAbort = 6;

const commonHeader = 12;
const initLength = 20;
const stateCookie = 7;

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** CRC32c, reflected (RFC 9260 appendix A). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

function packet(
  ports: { readonly sourcePort: number; readonly destinationPort: number },
  verificationTag: number,
  chunk: number,
  initiateTag: number,
  cookie: number | null,
): Uint8Array {
  const chunkLength = initLength + (cookie === null ? 0 : 8);
  const out = new Uint8Array(commonHeader + chunkLength);
  const view = new DataView(out.buffer);
  view.setUint16(0, ports.sourcePort);
  view.setUint16(2, ports.destinationPort);
  view.setUint32(4, verificationTag);
  view.setUint8(12, chunk);
  view.setUint16(14, chunkLength);
  view.setUint32(16, initiateTag);
  view.setUint32(20, 65_536); // receiver window
  view.setUint16(24, 1); // streams out
  view.setUint16(26, 1); // streams in
  view.setUint32(28, 1); // first TSN
  if (cookie !== null) {
    view.setUint16(32, stateCookie);
    view.setUint16(34, 8);
    view.setUint32(36, cookie);
  }
  view.setUint32(8, crc32c(out), true);
  return out;
}

/** Asks for an association; `tag`, not 0, comes back as the answer's verification tag. */
export const initPacket = (sourcePort: number, destinationPort: number, tag: number): Uint8Array =>
  packet({ sourcePort, destinationPort }, 0, sctpInit, tag, null);

/** The answer to an INIT, with 32 bits of our own. */
export const initAckPacket = (init: SctpPacket, tag: number, cookie: number): Uint8Array =>
  packet(
    { sourcePort: init.destinationPort, destinationPort: init.sourcePort },
    init.initiateTag,
    sctpInitAck,
    tag,
    cookie,
  );

/** Reads the common header and first chunk; null when it is cut short. */
export function parseSctp(bytes: Uint8Array): SctpPacket | null {
  if (bytes.length < commonHeader + 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunk = view.getUint8(12);
  const length = view.getUint16(14);
  const init = chunk === sctpInit || chunk === sctpInitAck;
  if (init && bytes.length < commonHeader + initLength) return null;
  const hasCookie = init && length >= initLength + 8 && bytes.length >= 40 && view.getUint16(32) === stateCookie;
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    verificationTag: view.getUint32(4),
    chunk,
    initiateTag: init ? view.getUint32(16) : 0,
    cookie: hasCookie ? view.getUint32(36) : null,
  };
}
