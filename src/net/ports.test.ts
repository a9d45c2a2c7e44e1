import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maxPort, minPort, type PortRange, PortSet, type Protocol, protocols } from "./ports.ts";

const portRange: fc.Arbitrary<PortRange> = fc
  .record({
    protocol: fc.constantFrom(...protocols),
    start: fc.constantFrom(0, 1, 2, 79, 80, 81, 443, 65534, 65535),
    end: fc.constantFrom(0, 1, 2, 79, 80, 81, 443, 65534, 65535, 70000),
  })
  .map((range) => (range.protocol === "other" ? { protocol: "other", start: 0, end: 0 } : range));
const portRanges = fc.array(portRange, { maxLength: 6 });

/** Every point at which membership can change. */
const points: readonly (readonly [Protocol, number])[] = [
  ...[1, 2, 3, 78, 79, 80, 81, 82, 442, 443, 444, 65533, 65534, 65535].flatMap((port) =>
    (["TCP", "UDP", "SCTP"] as const).map((protocol) => [protocol, port] as const),
  ),
  ["other", 0],
];

const listed = (ranges: readonly PortRange[], protocol: Protocol, port: number): boolean =>
  ranges.some((range) => range.protocol === protocol && range.start <= port && port <= range.end);

const expectSet = (actual: PortSet, expected: (protocol: Protocol, port: number) => boolean): void => {
  for (const [protocol, port] of points)
    expect(actual.has(protocol, port), `${protocol} ${port}`).toBe(expected(protocol, port));
};

describe("against lists of ranges", () => {
  test("of, has, ranges", () => {
    fc.assert(
      fc.property(portRanges, (list) => {
        const set = PortSet.of(list);
        expectSet(set, (protocol, port) => listed(list, protocol, port));
        expect(PortSet.of(set.ranges()).key).toBe(set.key);
      }),
    );
  });

  test("union, intersect, minus", () => {
    fc.assert(
      fc.property(portRanges, portRanges, (left, right) => {
        const [a, b] = [PortSet.of(left), PortSet.of(right)];
        expectSet(a.union(b), (...at) => listed(left, ...at) || listed(right, ...at));
        expectSet(a.intersect(b), (...at) => listed(left, ...at) && listed(right, ...at));
        expectSet(a.minus(b), (...at) => listed(left, ...at) && !listed(right, ...at));
      }),
    );
  });

  test("equal sets have equal keys, different sets different ones", () => {
    fc.assert(
      fc.property(portRanges, portRanges, (left, right) => {
        const [a, b] = [PortSet.of(left), PortSet.of(right)];
        const same = points.every(([protocol, port]) => a.has(protocol, port) === b.has(protocol, port));
        expect(a.equals(b)).toBe(same);
        expect(a.key === b.key).toBe(same);
        expect(a.isEmpty).toBe(a.key === "");
      }),
    );
  });
});

test("port 0 and ports above 65535 are no ports", () => {
  const set = PortSet.of([{ protocol: "TCP", start: 0, end: 99_999 }]);
  expect([...set.ranges()]).toEqual([{ protocol: "TCP", start: minPort, end: maxPort }]);
  expect(set.has("TCP", 0)).toBe(false);
  expect(PortSet.single("UDP", 0).isEmpty).toBe(true);
  expect(PortSet.single("UDP", 65536).isEmpty).toBe(true);
});

test("an inverted range is empty", () => {
  expect(PortSet.of([{ protocol: "TCP", start: 81, end: 80 }]).isEmpty).toBe(true);
});

test("all, allPorts, protocol and other", () => {
  expect(PortSet.all.isAll).toBe(true);
  expect(PortSet.allPorts.isAll).toBe(false);
  expect(PortSet.allPorts.union(PortSet.protocol("other")).equals(PortSet.all)).toBe(true);
  expect(PortSet.all.minus(PortSet.allPorts).key).toBe("other:0");
  expect(PortSet.protocol("other").has("other", 0)).toBe(true);
  expect(PortSet.protocol("TCP").key).toBe("TCP:1-65535");
  expect(PortSet.empty.key).toBe("");
  expect(PortSet.single("SCTP", 9).key).toBe("SCTP:9");
});
