import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bindRequests, parseLog } from "./nflog.ts";
import { parseFlowTuple } from "./packet.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));

/** 10.244.1.10:20000 → 10.244.2.20:80, a TCP SYN's first bytes. */
const v4Syn = hex("45000028 00000000 40060000 0af4010a 0af40214 4e200050 00000000 00000000 50020000 00000000");

/** An attribute as the kernel of this machine writes it. */
function attribute(type: number, value: Uint8Array): Uint8Array {
  const out = Buffer.alloc((4 + value.length + 3) & ~3);
  new Uint16Array(out.buffer, out.byteOffset, 2).set([4 + value.length, type]);
  out.set(value, 4);
  return out;
}

function message(type: number, ...attributes: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(attributes);
  const out = Buffer.alloc(20 + body.length);
  new Uint32Array(out.buffer, out.byteOffset, 1)[0] = out.length;
  new Uint16Array(out.buffer, out.byteOffset + 4, 1)[0] = type;
  out.set(body, 20);
  return out;
}

const packetMessage = 0x400;

describe("drop records", () => {
  test("prefix, devices and 5-tuple are read", () => {
    const datagram = message(
      packetMessage,
      attribute(4, hex("0000000a")),
      attribute(5, hex("0000000b")),
      attribute(10, new TextEncoder().encode("bulkhead:1f\0")),
      attribute(9, v4Syn),
    );
    expect(parseLog(Buffer.concat([datagram, datagram]))).toEqual(
      Array(2).fill({
        prefix: "bulkhead:1f",
        inDevice: 10,
        outDevice: 11,
        tuple: {
          protocol: 6,
          source: hex("0af4010a"),
          destination: hex("0af40214"),
          sourcePort: 20_000,
          destinationPort: 80,
        },
      }),
    );
  });

  test("messages of another type are passed over", () => {
    expect(parseLog(message(2, attribute(9, v4Syn)))).toEqual([]);
  });

  test("any bytes can be read", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, framed) => {
        parseLog(framed ? message(packetMessage, bytes) : bytes);
      }),
      { numRuns: 500 },
    );
  });

  test("binding names the group in network order", () => {
    for (const { body } of bindRequests(4789)) expect([...body.subarray(2, 4)]).toEqual([0x12, 0xb5]);
  });
});

describe("packets", () => {
  const source = "fd00000a02440000 0000000000000001";
  const destination = "fd00000a02440000 0000000000000002";
  const v6 = (next: string, rest: string): Uint8Array =>
    hex(`60000000 0010 ${next} 40 ${source} ${destination} ${rest}`);

  test.each([
    ["no extension header", v6("11", "4e20 0035 0008 0000"), 17, 20_000, 53],
    ["destination options before UDP", v6("3c", "11 00 0000 00000000 4e20 0035 0008 0000"), 17, 20_000, 53],
    ["first fragment", v6("2c", "11 00 0001 00000000 4e20 0035 0008 0000"), 17, 20_000, 53],
    ["later fragment", v6("2c", "11 00 0010 00000000 4e20 0035 0008 0000"), 17, 0, 0],
    ["ICMPv6 echo: its identifier", v6("3a", "80 00 0000 4e20 0000"), 58, 20_000, 0],
    ["ICMPv6 error", v6("3a", "01 00 0000 4e20 0000"), 58, 0, 0],
    ["cut off behind the addresses", v6("06", ""), 6, 0, 0],
  ])("IPv6: %s", (_, packet, protocol, sourcePort, destinationPort) => {
    expect(parseFlowTuple(packet)).toEqual({
      protocol,
      source: hex(source),
      destination: hex(destination),
      sourcePort,
      destinationPort,
    });
  });

  test("IPv4: a later fragment has no ports", () => {
    const packet = Uint8Array.from(v4Syn);
    packet[7] = 1;
    expect(parseFlowTuple(packet)).toMatchObject({ protocol: 6, sourcePort: 0, destinationPort: 0 });
  });

  test("any bytes can be read", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.constantFrom(0x45, 0x4f, 0x60), (bytes, first) => {
        parseFlowTuple(bytes);
        parseFlowTuple(Uint8Array.of(first, ...bytes));
      }),
      { numRuns: 500 },
    );
  });
});
