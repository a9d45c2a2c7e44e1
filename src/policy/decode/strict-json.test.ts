import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodePolicy, formatFieldError, parseStrictJson } from "./index.ts";

const parsed = (text: string): { value: unknown; duplicates: unknown } => {
  const result = parseStrictJson(text);
  if ("error" in result) throw new Error(result.error.message);
  return result;
};

describe("values", () => {
  test("are what JSON.parse gives", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parsed(text)).toEqual({ value: JSON.parse(text), duplicates: [] });
      }),
      { numRuns: 500 },
    );
  });

  test("escapes, numbers and prototype keys", () => {
    const text = '{"a\\u00e9\\n\\"\\\\/":[-0.5e+3,1E2,""],"__proto__":{"constructor":1}}';
    const { value } = parsed(text);
    expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(text)));
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  test.each([
    "",
    " ",
    "{",
    "[1,]",
    '{"a":}',
    '{"a" 1}',
    "{a:1}",
    "[1 2]",
    '"x',
    '"\\x"',
    '"\n"',
    "01",
    "1.",
    "-",
    "tru",
    "nul",
    "1 2",
    "[}",
    "{]",
    "NaN",
    "'a'",
  ])("%j is refused, as by JSON.parse", (text) => {
    expect(() => JSON.parse(text)).toThrow();
    expect(parseStrictJson(text)).toHaveProperty("error");
  });

  test("any text: the same judgement as JSON.parse", () => {
    const text = fc.string({ unit: fc.constantFrom(...'{}[],:"ab\\u0 1-.e\ntrufals'.split("")), maxLength: 14 });
    fc.assert(
      fc.property(text, (t) => {
        let ok = true;
        try {
          JSON.parse(t);
        } catch {
          ok = false;
        }
        expect("error" in parseStrictJson(t)).toBe(!ok);
      }),
      { numRuns: 3000 },
    );
  });

  test("errors have a place", () => {
    expect(parseStrictJson('{\n  "a": 1,\n  "b" 2\n}')).toEqual({
      error: { message: "expected a colon after the field name", offset: 18, line: 3, column: 7 },
    });
  });
});

describe("limits", () => {
  test("nesting as deep as the server reads, and not deeper", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(parseStrictJson(nested(10_000))).toHaveProperty("value");
    expect(parseStrictJson(nested(20_000))).toMatchObject({ error: { message: "nested deeper than 10000 levels" } });
  });

  test("long strings and many repeated fields", () => {
    expect(parsed(`"${"\\n".repeat(500_000)}"`).value).toHaveLength(500_000);
    const fields = Array.from({ length: 50_000 }, (_, i) => `"k${i % 1000}":${i}`).join(",");
    expect(parsed(`{${fields}}`).duplicates).toHaveLength(100);
  });
});

describe("B9 duplicates", () => {
  const head = '"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy"';
  const meta = '"metadata":{"name":"p","namespace":"x"}';
  const findings = (text: string): string[] => {
    const result = parseStrictJson(text);
    if ("error" in result) throw new Error(result.error.message);
    return decodePolicy(result.value, { duplicates: result.duplicates })
      .errors.filter((e) => e.kind !== "Invalid")
      .map(formatFieldError);
  };

  test("the last one wins, the path is where it stands", () => {
    expect(parsed('{"a":[{"b":1,"b":2}],"a":3,"a":4}')).toEqual({
      value: { a: 4 },
      duplicates: [["a", 0, "b"], ["a"]],
    });
  });

  // the findings are what kubernetes-sigs/json says to the same texts
  test.each([
    [
      `{${head},${meta},"spec":{"podSelector":{},"ingres":[],"podSelector":{},"ingress":[{"frm":[],"ports":[{"port":80,"port":81,"prot":"x"}]}]},"status":{},"status":{}}`,
      [
        'unknown field "spec.ingres"',
        'duplicate field "spec.podSelector"',
        'unknown field "spec.ingress[0].frm"',
        'duplicate field "spec.ingress[0].ports[0].port"',
        'unknown field "spec.ingress[0].ports[0].prot"',
        'unknown field "status"',
      ],
    ],
    [
      `{${head},${meta},"metadata":{"name":"q","namespace":"x","lables":{}},"spec":{"policytypes":[]}}`,
      ['duplicate field "metadata"', 'unknown field "metadata.lables"', 'unknown field "spec.policytypes"'],
    ],
    [
      `{${head},${meta},"spec":{"x":1,"x":2,"podSelector":{"a.b":1,"matchLabels":{"__proto__":"1","__proto__":"2"}}}}`,
      [
        'unknown field "spec.x"',
        'unknown field "spec.podSelector.a.b"',
        'duplicate field "spec.podSelector.matchLabels.__proto__"',
      ],
    ],
  ])("%s", (text, expected) => {
    expect(findings(text)).toEqual(expected);
  });

  test("of custom resources come first", () => {
    const text =
      '{"apiVersion":"policy.networking.k8s.io/v1alpha2","kind":"ClusterNetworkPolicy","metadata":{"name":"a","x":1},' +
      '"spec":{"y":1,"y":2,"tier":"Admin","priority":1,"priority":2,"subject":{"namespaces":{}}}}';
    expect(findings(text)).toEqual([
      'duplicate field "spec.y"',
      'duplicate field "spec.priority"',
      'unknown field "metadata.x"',
      'unknown field "spec.y"',
    ]);
  });
});
