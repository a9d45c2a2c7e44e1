import fc from "fast-check";
import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "../net/address.ts";
import { addresses, labels } from "./raw.ts";

const slowly = (text: string): string[] => {
  const address = parseAddress(text);
  return address === null ? [] : [formatAddress(address)];
};

const group = fc.oneof(
  fc.constantFrom("0", "00", "1", "ffff", "FFFF", "a00", "01"),
  fc.nat(65535).map((n) => n.toString(16)),
);
const v6 = fc
  .tuple(fc.array(group, { maxLength: 8 }), fc.option(fc.array(group, { maxLength: 8 })))
  .map(([left, right]) => left.join(":") + (right === null ? "" : `::${right.join(":")}`));
const v4 = fc.array(fc.oneof(fc.nat(300).map(String), fc.constantFrom("0", "010", "")), { minLength: 3, maxLength: 5 });

test("addresses are as the slow way has them", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        v6,
        v4.map((octets) => octets.join(".")),
        fc.ipV4(),
        fc.ipV6(),
      ),
      (text) => {
        expect(addresses([text])).toEqual(slowly(text));
      },
    ),
    { numRuns: 5000 },
  );
});

test.each([
  "10.0.0.1",
  "fd00:244:1::5",
  "::1",
  "::",
  "::ffff:10.0.0.1",
  "::ffff:a00:1",
  "fd00::ffff:0:1",
  "1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7::",
  "1::8:7:6:5:4:3",
])("%s", (text) => expect(addresses([text])).toEqual(slowly(text)));

test("labels that are no strings are left out", () => {
  expect(labels({ a: "1", b: 2, c: null })).toEqual({ a: "1" });
  expect(labels(null)).toEqual({});
  expect(labels([])).toEqual({});
});
