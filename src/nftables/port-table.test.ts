import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PortSet } from "../net/ports.ts";
import { protocolPorts } from "../policy/world.arbitrary.ts";
import {
  allow,
  allowAll,
  answerAt,
  both,
  closes,
  elementsOf,
  type PortTable,
  tableFromElements,
  tableOf,
  uniformTable,
} from "./port-table.ts";

const portSet = fc
  .array(
    fc.record({
      protocol: fc.constantFrom("TCP", "UDP", "SCTP", "other"),
      start: fc.constantFrom(1, 53, 79, 80, 443, 8000, 65535),
      length: fc.constantFrom(0, 1, 15, 16, 17, 1000, 65534),
    }),
    { maxLength: 4 },
  )
  .map((ranges) => PortSet.of(ranges.map(({ length, ...range }) => ({ ...range, end: range.start + length }))));

const table: fc.Arbitrary<PortTable> = fc.tuple(portSet, portSet).map(([allowed, first]) => {
  const decision = (verdict: "allow" | "deny", rule: number | null) =>
    ({
      verdict,
      tier: "Admin",
      exempt: null,
      reasons: [{ policy: { kind: "NetworkPolicy", namespace: "n", name: "p" }, rule, action: "Deny", position: null }],
    }) as const;
  const denied = PortSet.all.minus(allowed);
  return tableOf(
    [
      { ports: allowed, decision: decision("allow", 0) },
      { ports: denied.intersect(first), decision: decision("deny", 1) },
      { ports: denied.minus(first), decision: decision("deny", null) },
    ],
    ({ reasons }) => `drop-${reasons[0]!.rule}`,
  );
});

describe("port tables", () => {
  test("come back from their elements", () => {
    fc.assert(
      fc.property(table, (one) => {
        expect(tableFromElements(elementsOf(one))).toEqual(one);
      }),
    );
  });

  test("both allows what both allow, and closes knows what ends", () => {
    fc.assert(
      fc.property(table, table, (a, b) => {
        const together = both(a, b);
        let ends = false;
        for (const { protocol, port } of protocolPorts) {
          const [x, y] = [answerAt(a, protocol, port), answerAt(b, protocol, port)];
          expect(answerAt(together, protocol, port)).toBe(x === allow ? y : x);
          if (x === allow && y !== allow) ends = true;
        }
        if (ends) expect(closes(a, b)).toBe(true);
        expect(closes(together, a)).toBe(false);
        expect(closes(a, together)).toBe(closes(a, b));
      }),
    );
  });

  test("a uniform table is one element", () => {
    expect(elementsOf(allowAll)).toEqual({ ports: [], ranges: [], protocols: [], rest: allow });
    expect(elementsOf(uniformTable("0123456789ab")).rest).toBe("0123456789ab");
  });

  test("short ranges become ports, long ones stay", () => {
    const some = PortSet.of([
      { protocol: "TCP", start: 80, end: 82 },
      { protocol: "TCP", start: 8000, end: 9000 },
      { protocol: "UDP", start: 1, end: 65535 },
    ]);
    const decision = { tier: "Default", exempt: null, reasons: [] } as const;
    const one = tableOf(
      [
        { ports: some, decision: { verdict: "allow", ...decision } },
        { ports: PortSet.all.minus(some), decision: { verdict: "deny", ...decision } },
      ],
      () => "drop",
    );
    expect(elementsOf(one)).toEqual({
      ports: [80, 81, 82].map((port) => ({ protocol: "TCP", port, answer: allow })),
      ranges: [{ protocol: "TCP", start: 8000, end: 9000, answer: allow }],
      protocols: [{ protocol: "UDP", answer: allow }],
      rest: "drop",
    });
  });
});
