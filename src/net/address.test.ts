import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Address,
  AddressSet,
  type Cidr,
  canonicalAddress,
  cidrContains,
  cidrRange,
  type Family,
  families,
  familyBits,
  formatAddress,
  formatCidr,
  hostCidr,
  network,
  parseAddress,
  parseCidr,
} from "./address.ts";

const random = (family: Family): fc.Arbitrary<Address> =>
  fc.bigInt({ min: 0n, max: (1n << BigInt(familyBits(family))) - 1n }).map((value) => ({ family, value }));
/** Few different values, so that networks overlap and meet. */
const near = (family: Family): fc.Arbitrary<Address> =>
  fc.tuple(fc.constantFrom(0n, 1n, 2n, 3n, 7n), fc.nat({ max: 7 })).map(([high, low]) => ({
    family,
    value: (high << BigInt(familyBits(family) - 3)) | BigInt(low),
  }));
const address = fc.oneof(...families.flatMap((family) => [random(family), near(family)]));
/** IPv6 but for ::ffff:0:0/96, whose addresses are IPv4. */
const notMapped = address.filter(({ family, value }) => family === "IPv4" || value >> 32n !== 0xffffn);
const cidr: fc.Arbitrary<Cidr> = address.chain((one) =>
  fc
    .oneof(fc.nat({ max: familyBits(one.family) }), fc.constantFrom(0, 1, 2, 3, familyBits(one.family)))
    .map((prefix) => network(one, prefix)),
);

describe("parseAddress", () => {
  test("reads back what formatAddress writes, in the one canonical form", () => {
    fc.assert(
      fc.property(notMapped, (one) => {
        const text = formatAddress(one);
        expect(parseAddress(text)).toEqual(one);
        expect(isIP(text)).toBe(one.family === "IPv4" ? 4 : 6);
      }),
    );
  });

  test("accepts what node:net accepts, and leading zeros besides", () => {
    const piece = fc.constantFrom(
      "0",
      "1",
      "10",
      "255",
      "256",
      "00",
      "010",
      "ffff",
      "g",
      "",
      ":",
      "::",
      ".",
      "%eth0",
      " ",
      "fd00",
      "10000",
      "1.2.3.4",
      "/",
    );
    const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
    const v6 = fc
      .array(fc.constantFrom("0", "1", "fd00", "ABCD", "", "1.2.3.4", "00001"), { minLength: 2, maxLength: 9 })
      .map((groups) => groups.join(":"));
    const v4 = fc
      .array(fc.constantFrom("0", "1", "255", "256", "", "a"), { minLength: 3, maxLength: 5 })
      .map((octets) => octets.join("."));
    fc.assert(
      fc.property(fc.oneof(text, v6, v4), (one) => {
        const octets = /^(?:.*:)?(\d+\.\d+\.\d+\.\d+)$/.exec(one)?.[1];
        const plain = octets === undefined ? one : one.replace(octets, octets.replace(/(^|\.)0+(?=\d)/g, "$1"));
        const known = isIP(plain) !== 0 && !plain.includes("%");
        expect(parseAddress(one) !== null, one).toBe(known);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["10.0.0.1", 0x0a000001n],
    ["010.000.0.01", 0x0a000001n], // decimal: spec A11.6
    ["255.255.255.255", 0xffffffffn],
    ["::ffff:10.0.0.1", 0x0a000001n], // IPv4: spec A11.7
    ["::FFFF:a00:1", 0x0a000001n],
  ])("%s is IPv4", (text, value) => {
    expect(parseAddress(text)).toEqual({ family: "IPv4", value });
  });

  test.each([
    "",
    "10.1",
    "0x0a.0.0.1",
    "10.0.0.256",
    "10.0.0.1 ",
    "fe80::1%eth0",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7",
    "12345::",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1.2.3.4.5",
    "+1.2.3.4",
    "1e1.2.3.4",
  ])("%j is no address (spec B6.6)", (text) => expect(parseAddress(text)).toBe(null));
});

test.each([
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // the first of two equal runs: RFC 5952 section 4.2.3
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // one group is not compressed: 4.2.2
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["1:0:0:0:0:0:0:0", "1::"],
  ["2001:DB8::00AB", "2001:db8::ab"],
])("%s is written %s", (text, canonical) => expect(formatAddress(parseAddress(text)!)).toBe(canonical));

test("canonicalAddress writes as formatAddress does", () => {
  const written = fc.tuple(address, fc.constantFrom("", ":", "0", ".1", "%eth0")).map(([one, end]) => {
    return formatAddress(one) + end;
  });
  fc.assert(
    fc.property(written, fc.func(fc.boolean()), (text, isUpper) => {
      const mixed = Array.from(text, (letter, i) => (isUpper(i) ? letter.toUpperCase() : letter)).join("");
      const parsed = parseAddress(mixed);
      expect(canonicalAddress(mixed)).toBe(parsed === null ? null : formatAddress(parsed));
    }),
    { numRuns: 1000 },
  );
});

describe("parseCidr", () => {
  test("reads back what formatCidr writes", () => {
    const plain = cidr.filter(
      ({ family, value, prefix }) => family === "IPv4" || value >> 32n !== 0xffffn || prefix < 96,
    );
    fc.assert(
      fc.property(plain, (one) => {
        const parsed = parseCidr(formatCidr(one));
        expect(parsed?.cidr).toEqual(one);
        expect(parsed?.spelling).toEqual({ leadingZeros: false, ipv4Mapped: false, hostBits: false, canonical: true });
      }),
    );
  });

  test.each([
    ["10.1.2.3/16", "10.1.0.0/16", { hostBits: true }], // masked: spec A11.5
    ["010.0.0.0/8", "10.0.0.0/8", { leadingZeros: true }],
    ["10.0.0.0/08", "10.0.0.0/8", { leadingZeros: true }],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8", { ipv4Mapped: true }],
    ["::ffff:10.1.0.0/104", "10.0.0.0/8", { ipv4Mapped: true, hostBits: true }],
    ["::ffff:0:0/96", "0.0.0.0/0", { ipv4Mapped: true }],
    ["::ffff:010.0.0.0/104", "10.0.0.0/8", { ipv4Mapped: true, leadingZeros: true }],
    ["2001:DB8::/32", "2001:db8::/32", {}],
    ["2001:db8::1/32", "2001:db8::/32", { hostBits: true }],
    ["0.0.0.0/0", "0.0.0.0/0", { canonical: true }],
    ["::/0", "::/0", { canonical: true }],
  ])("%s is %s", (text, canonical, spelling) => {
    const none = { leadingZeros: false, ipv4Mapped: false, hostBits: false, canonical: false };
    expect(formatCidr(parseCidr(text)!.cidr)).toBe(canonical);
    expect(parseCidr(text)!.spelling).toEqual({ ...none, ...spelling });
  });

  test("a mapped network wider than the mapped range is IPv6 and holds no IPv4 address", () => {
    const { cidr: wide } = parseCidr("::ffff:0.0.0.0/90")!;
    expect(wide).toEqual({ family: "IPv6", value: 0xffc0_0000_0000n, prefix: 90 });
    expect(cidrContains(wide, parseAddress("10.0.0.1")!)).toBe(false);
  });

  test.each([
    "",
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/-1",
    "10.0.0.0/+8",
    "10.0.0.0/8/8",
    "10.0.0/8",
    " 10.0.0.0/8",
    "10.0.0.0/8 ",
    "10.0.0.0/0x8",
    "fe80::%eth0/64",
    "/8",
    "10.0.0.0/255.0.0.0",
  ])("%j is no CIDR (spec B6.6)", (text) => expect(parseCidr(text)).toBe(null));
});

test("cidrContains and cidrRange agree with node:net's BlockList", () => {
  fc.assert(
    fc.property(cidr, address, (net, one) => {
      const list = new BlockList();
      const kind = (family: Family) => (family === "IPv4" ? "ipv4" : "ipv6");
      list.addSubnet(formatAddress(net), net.prefix, kind(net.family));
      const { start, end } = cidrRange(net);
      for (const probe of [
        one,
        { ...one, family: net.family, value: start },
        { ...one, family: net.family, value: end },
      ]) {
        if (probe.family !== net.family)
          expect(cidrContains(net, probe)).toBe(false); // spec A11.3; BlockList maps IPv4
        else expect(cidrContains(net, probe)).toBe(list.check(formatAddress(probe), kind(probe.family)));
      }
      expect(cidrContains(hostCidr(one), one)).toBe(true);
    }),
  );
});

describe("AddressSet", () => {
  const cidrList = fc.array(cidr, { maxLength: 6 });
  const inAny = (list: readonly Cidr[], one: Address) => list.some((net) => cidrContains(net, one));
  /** Both ends of every network and their neighbours: membership changes nowhere else. */
  const edges = (list: readonly Cidr[]): Address[] =>
    list.flatMap((net) => {
      const { start, end } = cidrRange(net);
      const last = (1n << BigInt(familyBits(net.family))) - 1n;
      return [start - 1n, start, end, end + 1n]
        .filter((value) => value >= 0n && value <= last)
        .map((value) => ({ family: net.family, value }));
    });

  test("has, union, intersect, minus, contains, equals", () => {
    fc.assert(
      fc.property(cidrList, cidrList, address, (left, right, one) => {
        const [a, b] = [AddressSet.ofCidrs(left), AddressSet.ofCidrs(right)];
        const probes = [one, ...edges([...left, ...right])];
        for (const probe of probes) {
          const [inA, inB] = [inAny(left, probe), inAny(right, probe)];
          expect(a.has(probe)).toBe(inA);
          expect(a.union(b).has(probe)).toBe(inA || inB);
          expect(a.intersect(b).has(probe)).toBe(inA && inB);
          expect(a.minus(b).has(probe)).toBe(inA && !inB);
        }
        expect(a.contains(b)).toBe(probes.every((probe) => inAny(left, probe) || !inAny(right, probe)));
        expect(a.equals(b)).toBe(probes.every((probe) => inAny(left, probe) === inAny(right, probe)));
        expect(a.union(b).contains(a)).toBe(true);
        expect(a.minus(b).intersect(b).isEmpty).toBe(true);
      }),
    );
  });

  test("cidrs gives the set back, disjoint, ascending and in the fewest pieces", () => {
    fc.assert(
      fc.property(cidrList, (list) => {
        const set = AddressSet.ofCidrs(list);
        const pieces = set.cidrs();
        expect(AddressSet.ofCidrs(pieces).equals(set)).toBe(true);
        for (const [i, piece] of pieces.entries()) {
          expect(network(piece, piece.prefix)).toEqual(piece);
          const next = pieces[i + 1];
          if (next === undefined || next.family !== piece.family) continue;
          expect(cidrRange(piece).end < next.value).toBe(true);
          // Two halves of one network would be one piece.
          const parent = piece.prefix === next.prefix && piece.prefix > 0 && network(piece, piece.prefix - 1);
          if (parent) expect(network(next, next.prefix - 1)).not.toEqual(parent);
        }
      }),
    );
  });

  test("everything and nothing", () => {
    expect(AddressSet.all.cidrs().map(formatCidr)).toEqual(["0.0.0.0/0", "::/0"]);
    expect(families.every((family) => AddressSet.all.coversFamily(family))).toBe(true);
    expect(AddressSet.empty.isEmpty).toBe(true);
    expect(AddressSet.empty.key).toBe("");
    const halves = ["0.0.0.0/1", "128.0.0.0/1"].map((text) => parseCidr(text)!.cidr);
    expect(AddressSet.ofCidrs(halves).coversFamily("IPv4")).toBe(true);
    expect(AddressSet.ofCidrs(halves).coversFamily("IPv6")).toBe(false);
    expect(AddressSet.ofCidrs(halves.slice(1)).coversFamily("IPv4")).toBe(false);
  });

  test("ofRanges and ofAddresses", () => {
    const addresses = ["10.0.0.1", "10.0.0.2", "::1"].map((text) => parseAddress(text)!);
    const set = AddressSet.ofAddresses(addresses);
    expect(set.cidrs().map(formatCidr)).toEqual(["10.0.0.1/32", "10.0.0.2/32", "::1/128"]);
    const range = AddressSet.ofRanges("IPv4", [{ start: addresses[0]!.value, end: addresses[1]!.value }]);
    expect(range.equals(set.minus(AddressSet.ofRanges("IPv6", [{ start: 1n, end: 1n }])))).toBe(true);
  });
});
