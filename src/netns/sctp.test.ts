import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32c, initAckPacket, initPacket, parseSctp, sctpInit, sctpInitAck } from "./sctp.ts";

describe("SCTP packets", () => {
  test("the checksum is that of RFC 3720 B.4's examples", () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  });

  test("an INIT carries its tag, and no verification tag", () => {
    expect(parseSctp(initPacket(20_000, 9, 7))).toEqual({
      sourcePort: 20_000,
      destinationPort: 9,
      verificationTag: 0,
      chunk: sctpInit,
      initiateTag: 7,
      cookie: null,
    });
  });

  test("an INIT ACK answers with the tag of the INIT, and carries 32 bits", () => {
    const init = parseSctp(initPacket(20_000, 9, 7))!;
    expect(parseSctp(initAckPacket(init, 3, 42))).toEqual({
      sourcePort: 9,
      destinationPort: 20_000,
      verificationTag: 7,
      chunk: sctpInitAck,
      initiateTag: 3,
      cookie: 42,
    });
  });

  test("any bytes can be read", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        parseSctp(bytes);
      }),
      { numRuns: 500 },
    );
  });
});
