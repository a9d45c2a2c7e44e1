/** Keys for maps: addresses as the bytes they are. */

/** 4 or 16 bytes as a string of as many characters. */
export const addressKey = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** One end of a connection; `protocol` is the IANA number. */
export const endKey = (protocol: number, address: Uint8Array, port: number): string =>
  `${protocol}|${port}|${addressKey(address)}`;
