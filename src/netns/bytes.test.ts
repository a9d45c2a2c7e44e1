import { describe, expect, test } from "vitest";
import { addressBytes, ByteWriter, socketAddress } from "./bytes.ts";

describe("addresses as bytes", () => {
  test.each([
    ["10.244.1.7", "0af40107"],
    ["::", "00000000000000000000000000000000"],
    ["fd00:10::a", "fd00001000000000000000000000000a"],
    ["::ffff:10.0.0.1", "0a000001"],
  ])("%s", (text, hex) => {
    expect(Buffer.from(addressBytes(text)).toString("hex")).toBe(hex);
  });

  test("what is no address is an error", () => {
    expect(() => addressBytes("db.shop.svc")).toThrow("not an IP address: db.shop.svc");
  });

  test("port and address of a socket address are in network order", () => {
    expect([...socketAddress(addressBytes("1.2.3.4"), 258).subarray(2, 8)]).toEqual([1, 2, 1, 2, 3, 4]);
    expect(socketAddress(addressBytes("fd00::1"), 80)).toHaveLength(28);
  });
});

test("a writer pads, patches and grows", () => {
  const writer = new ByteWriter().u8(1).pad().u16(2).u16(0).bytes(new Uint8Array(1000));
  writer.setU16(6, 3);
  const bytes = writer.finish();
  expect(bytes).toHaveLength(1008);
  expect([...new Uint16Array(bytes.buffer, 4, 2)]).toEqual([2, 3]);
  expect(writer.length).toBe(1008);
});
