import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Projection, projector } from "./project.ts";

/** What is left of a parsed value: the slow way. */
function cut(value: unknown, shape: Projection | true): unknown {
  if (shape === true || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => cut(item, shape));
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (Object.hasOwn(shape, key) ? [[key, cut(item, shape[key]!)]] : [])),
  );
}

const key = fc.constantFrom("a", "b", "ab", "metadata", "", "ü");
const { shape } = fc.letrec<{ shape: Projection }>((tie) => ({
  shape: fc.dictionary(key, fc.oneof({ maxDepth: 3 }, fc.constant<true>(true), tie("shape"))),
}));
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: "binary" }),
    fc.constantFrom(null, true, false, 0, -1.5e-7, 12, '"', "\\", "]}"),
    fc.array(tie("json"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(key, fc.string()), tie("json"), { maxKeys: 5 }),
  ),
}));

describe("projecting", () => {
  test("keeps exactly what is wanted", () => {
    fc.assert(
      fc.property(json, shape, fc.constantFrom(undefined, 1, "\t"), (value, wanted, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(projector(wanted)(Buffer.from(text))).toEqual(cut(JSON.parse(text), wanted));
      }),
      { numRuns: 2000 },
    );
  });

  test("a text that is cut off is an error", () => {
    fc.assert(
      fc.property(fc.dictionary(key, json, { minKeys: 1 }), shape, fc.nat(), (value, wanted, at) => {
        const text = Buffer.from(JSON.stringify(value));
        expect(() => projector(wanted)(text.subarray(0, at % text.length))).toThrow(SyntaxError);
      }),
    );
  });

  test.each(["{} {}", "{a: 1}", '{"a" 1}', '{"a": 1 "b": 2}', '{"a": tru}', "[1 2]", "", '{"a":}'])("%s", (text) => {
    expect(() => projector({ a: true })(Buffer.from(text))).toThrow(SyntaxError);
  });
});
