import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type DecodeOptions, decodePolicy, formatFieldError } from "./index.ts";

/** See test/decode/README.md. */
interface Answer {
  readonly schema: string;
  readonly object: unknown;
  readonly decode?: string;
  readonly strict?: readonly string[];
  readonly errors?: readonly string[];
  readonly warnings?: readonly string[];
  readonly celSkipped?: boolean;
}

const file = new URL("../../../test/decode/apiserver-answers.jsonl.gz", import.meta.url);
const answers = gunzipSync(readFileSync(file))
  .toString("utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Answer);

function optionsOf(schema: string): DecodeOptions {
  if (schema.startsWith("NP/")) return { kubernetesVersion: schema === "NP/strict" ? "1.36" : "1.35" };
  return { crdChannel: schema.endsWith("standard") ? "standard" : "experimental" };
}

/** Rules that the server leaves out while other errors stand; ours are checked all the same. */
const celRules = ["C8.4", "C9.3", "C9.6", "C16.3"];
const sorted = (texts: readonly string[]): string[] => [...new Set(texts)].sort();

describe("answers of the API server's libraries", () => {
  const decoded = answers.filter((a) => a.decode === undefined);
  const rejected = answers.filter((a) => a.decode !== undefined);

  test("there are enough of them", () => {
    expect(rejected.length).toBeGreaterThan(20);
    expect(decoded.length).toBeGreaterThan(300);
  });

  test("decoding errors: theirs is among ours, word for word", () => {
    for (const { schema, object, decode } of rejected) {
      const { policy, errors } = decodePolicy(object, optionsOf(schema));
      expect(policy).toBeNull();
      expect(errors.filter((e) => e.kind === "TypeMismatch").map(formatFieldError)).toContain(decode);
    }
  });

  test("the same errors, word for word", () => {
    for (const { schema, object, strict = [], errors = [], warnings, celSkipped } of decoded) {
      const theirs = [...strict, ...errors];
      const result = decodePolicy(object, optionsOf(schema));
      // null rules are ours to reject; the old peer shape has a hint behind the server's words
      const ours = result.errors
        .filter((e) => e.code !== "A2.10")
        .filter((e) => celSkipped !== true || !celRules.includes(e.code))
        .map((e) => formatFieldError(e.code === "C16.8" ? { ...e, detail: "" } : e));
      expect(sorted(ours), JSON.stringify(object)).toEqual(sorted(theirs));
      if (warnings !== undefined && result.errors.length === 0) {
        expect(sorted(result.warnings.filter((w) => !w.includes("null is read as")))).toEqual(sorted(warnings));
      }
    }
  });
});
