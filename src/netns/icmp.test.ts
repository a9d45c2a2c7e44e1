import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { echoPacket, parseEcho } from "./icmp.ts";

describe("ICMP echo", () => {
  test("the checksum makes all words add up to ffff (RFC 1071)", () => {
    const bytes = echoPacket(4, { kind: "request", identifier: 0x4e20, token: 0x1234_5678 });
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
    expect((sum & 0xffff) + (sum >>> 16)).toBe(0xffff);
  });

  test("what is written is read, in both versions; other messages are none", () => {
    for (const version of [4, 6] as const) {
      for (const kind of ["request", "reply"] as const) {
        const echo = { kind, identifier: 7, token: 0xffff_ffff };
        expect(parseEcho(version, echoPacket(version, echo))).toEqual(echo);
      }
      expect(parseEcho(version, Uint8Array.of(3, 1, 0, 0, 0, 0, 0, 0))).toBeNull();
    }
  });

  test("any bytes can be read", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), fc.constantFrom(4 as const, 6 as const), (bytes, version) => {
        parseEcho(version, bytes);
      }),
      { numRuns: 300 },
    );
  });
});
