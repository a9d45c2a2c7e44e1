import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { PortSet, portProtocols } from "../net/ports.ts";
import { formatPorts } from "./ports.ts";
import { ansi, visibleWidth } from "./style.ts";
import { table } from "./table.ts";
import { toYaml, yamlLines } from "./yaml.ts";

describe("ports", () => {
  const of = (...ranges: ["TCP" | "UDP" | "SCTP" | "other", number, number][]): PortSet =>
    PortSet.of(ranges.map(([protocol, start, end]) => ({ protocol, start, end })));

  test.each([
    [of(["TCP", 5432, 5432]), "5432/TCP"],
    [of(["TCP", 80, 80], ["TCP", 8000, 8100], ["UDP", 53, 53]), "80,8000-8100/TCP 53/UDP"],
    [PortSet.all, "any"],
    [PortSet.allPorts, "any"],
    [PortSet.protocol("UDP"), "all UDP"],
    [PortSet.all.minus(of(["UDP", 53, 53])), "any but 53/UDP"],
    [PortSet.protocol("other"), "other protocols"],
    [PortSet.empty, "none"],
  ])("%#: %s", (ports, text) => expect(formatPorts(ports.ranges())).toBe(text));

  test("different sets of ports have different texts", () => {
    const set = fc
      .array(fc.tuple(fc.constantFrom(...portProtocols), fc.integer({ min: 1, max: 12 }), fc.nat(70_000)))
      .map((list) => PortSet.of(list.map(([protocol, start, end]) => ({ protocol, start, end }))));
    fc.assert(
      fc.property(set, set, (a, b) => {
        expect(formatPorts(a.ranges()) === formatPorts(b.ranges())).toBe(a.equals(b));
      }),
    );
  });
});

describe("yaml", () => {
  const options = { noNullPrototype: true, maxDepth: 4 };

  test.each([["1.1"], ["1.2"]] as const)("is read back alike by YAML %s", (version) => {
    fc.assert(
      fc.property(fc.jsonValue(options), (value) => {
        expect(parse(toYaml(value), { version, merge: false })).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 300 },
    );
  });

  test("words that YAML 1.1 takes for something else are quoted", () => {
    const value = { y: "no", on: "0777", n: "1e3", date: "2024-01-01", empty: "", merge: "<<", port: "http" };
    expect(parse(toYaml(value), { version: "1.1" })).toEqual(value);
    expect(toYaml({ port: "http" })).toBe("port: http\n");
  });

  test("small collections in one line, lists under their key as kubectl has them", () => {
    expect(
      yamlLines({ ports: [{ port: 80 }], from: [{ podSelector: { matchLabels: { app: "a-long-name" } } }] }, 24),
    ).toEqual(["ports: [{port: 80}]", "from:", "- podSelector:", "    matchLabels: {app: a-long-name}"]);
  });
});

describe("table", () => {
  test("as kubectl prints it: colour has no width, empty cells say so", () => {
    expect(
      table(
        ["name", "ports"],
        [
          [ansi.good("a"), ""],
          ["longer", "80/TCP"],
        ],
      ),
    ).toBe(`NAME     PORTS\n${ansi.good("a")}        <none>\nlonger   80/TCP\n`);
    expect(visibleWidth(ansi.bad("abc"))).toBe(3);
    expect(table(["name"], [["a"]], { headers: false })).toBe("a\n");
  });
});
