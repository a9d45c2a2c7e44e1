import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { SyntaxProblem } from "../document.ts";
import { arbitraryLayout } from "./layout.arbitrary.ts";
import { parseYaml } from "./yaml.ts";

const value = (text: string): unknown => parseYaml(text, 0)?.value ?? null;

function failure(text: string): SyntaxProblem {
  try {
    parseYaml(text, 0);
  } catch (error) {
    if (error instanceof SyntaxProblem) return error;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(text)}`);
}

/**
 * `[text, what kubectl makes of it as JSON, null where it refuses]`, one a line: recorded from sigs.k8s.io/yaml 1.6.0.
 * Words of every spelling, corners of the grammar by hand, and manifests with random damage.
 */
const recorded = readFileSync(new URL("../../../test/manifests/kubectl-yaml.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as [text: string, json: string | null]);

/** What Go drops silently behind the end of the first document is an error here. */
const isStricter = (error: SyntaxProblem): boolean => error.code === "unread-text";

test("reads every text as kubectl reads it", () => {
  expect(recorded).toHaveLength(731);
  const different: unknown[] = [];
  let stricter = 0;
  for (const [text, json] of recorded) {
    try {
      const got = value(text);
      if (json === null) different.push({ text, got, want: "an error" });
      else expect(got, JSON.stringify(text)).toEqual(JSON.parse(json));
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      if (json !== null && isStricter(error)) stricter++;
      else if (json !== null) different.push({ text, got: error.message, want: json });
    }
  }
  expect(different).toEqual([]);
  expect(stricter).toBeLessThan(10);
});

describe("positions", () => {
  const at = (text: string, path: (string | number)[]): string =>
    text.slice(parseYaml(text, 0)!.offsetOf(path)).slice(0, 3);

  test("of keys that stand twice, of aliases, of merged keys", () => {
    const text = "x: &x {a: one, b: two}\nw:\n  <<: *x\n  b: tri\nz: [*x, fiv]\na: old\na: new\n";
    expect(at(text, ["w", "a"])).toBe("one");
    expect(at(text, ["w", "b"])).toBe("tri");
    expect(at(text, ["z", 0])).toBe("*x,");
    expect(at(text, ["z", 0, "b"])).toBe("two");
    expect(at(text, ["z", 1])).toBe("fiv");
    expect(at(text, ["a"])).toBe("new");
  });

  test("of what is not there: the nearest ancestor", () => {
    expect(at("a:\n  bcd: 1\n", ["a", "nope", 3])).toBe("bcd");
    expect(at("a:\n  bcd: 1\n", ["a", "bcd", 3])).toBe("1\n");
    expect(at("abc: 1\n", [])).toBe("abc");
  });

  test("duplicates are told with their path", () => {
    const text = "a: 1\nb: [{c: 1, c: 2}]\na: 2\nd: {<<: {e: 1}, e: 2}\n";
    expect(parseYaml(text, 0)?.duplicates).toEqual([["b", 0, "c"], ["a"]]);
  });

  test("count from the beginning of the file", () => {
    expect(parseYaml("a: b", 100)?.offsetOf(["a"])).toBe(103);
    expect(() => parseYaml("a: 'b", 100)).toThrow(expect.objectContaining({ offset: 103 }));
  });
});

describe("limits", () => {
  test("an alias bomb is refused", () => {
    const names = "abcdefghi";
    const lines = [...names].map((name, i) => {
      const item = i === 0 ? "x" : `*${names[i - 1]}`;
      return `${name}: &${name} [${Array.from({ length: 9 }, () => item).join(", ")}]\n`;
    });
    expect(failure(lines.join("")).code).toBe("excessive-aliasing");
  });

  test("an alias of what it is in", () => {
    expect(failure("a: &a [*a]").message).toContain("contains itself");
  });

  test("depth", () => {
    for (const text of [
      "[".repeat(1e5),
      "{a: ".repeat(1e5),
      "- ".repeat(1e5),
      "? ".repeat(1e5),
      `${"[".repeat(600)}${"]".repeat(600)}`,
    ]) {
      expect(failure(text).code, text.slice(0, 5)).toMatch(/too-deep|syntax/);
    }
    expect(value(`${"[".repeat(400)}${"]".repeat(400)}`)).toBeInstanceOf(Array);
  });

  test("long texts take linear time", () => {
    const long = "x".repeat(1e6);
    expect(value(`a: ${long}`)).toEqual({ a: long });
    expect(value(`a: "${"\\n".repeat(1e5)}"`)).toEqual({ a: "\n".repeat(1e5) });
    expect(value(`a: ${":x".repeat(1e5)}`)).toEqual({ a: ":x".repeat(1e5) });
    expect(value(`a:\n${"  - b\n".repeat(1e5)}`)).toEqual({ a: Array.from({ length: 1e5 }, () => "b") });
    expect(value(`a: ${"&".repeat(10)}x`.replace(/&+/, "&y "))).toEqual({ a: "x" });
  });
});

const json = fc.jsonValue({ maxDepth: 5 }).filter((v) => !JSON.stringify(v).includes("-0"));

test("what another writer writes comes back", () => {
  fc.assert(
    fc.property(json, arbitraryLayout, (data, options) => {
      const text = stringify(data, { ...options, version: "1.1" });
      // The writer does not quote what only Go takes for a number, and splits keys that Go wants on one line.
      let got: unknown;
      try {
        got = value(text);
      } catch (error) {
        if (error instanceof SyntaxProblem) return;
        throw error;
      }
      const strings = JSON.stringify(data);
      if (!/[^\\"{}[\],:a-zA-Z ]/.test(strings)) expect(got).toEqual(data);
    }),
    { numRuns: 300 },
  );
});

test("JSON is YAML", () => {
  fc.assert(
    fc.property(json, (data) => {
      const text = JSON.stringify(data, null, 1);
      // Keys of more than 1024 characters and the escapes \\b, \\f of controls are the same in both.
      expect(value(text)).toEqual(JSON.parse(text));
    }),
    { numRuns: 300 },
  );
});

test("any text is read or refused", () => {
  const alphabet = fc.constantFrom(
    ..."{}[]:,-?&*!|>'\"#%@`\\ \t\n\r~<=ab01.\u0085\u2028é".split(""),
    "- ",
    ": ",
    "\n  ",
    "---\n",
    "&a ",
    "*a",
    "<<: ",
    "|\n",
    "\\x41",
    "😀",
  );
  const check = (text: string): void => {
    try {
      const document = parseYaml(text, 0);
      if (document !== null) JSON.stringify(document.value);
      document?.offsetOf(["a", 0, "b"]);
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      expect(error.offset).toBeGreaterThanOrEqual(0);
      expect(error.offset).toBeLessThanOrEqual(text.length);
    }
  };
  fc.assert(
    fc.property(
      fc.array(alphabet, { maxLength: 60 }).map((parts) => parts.join("")),
      check,
    ),
    { numRuns: 1500 },
  );
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), check), { numRuns: 500 });
});
