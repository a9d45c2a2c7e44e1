import { describe, expect, test } from "vitest";
import { apiVersion, type Connectivity, type TestResults } from "../policy/analyze/types.ts";
import {
  connectivityCsv,
  connectivityDot,
  connectivityMarkdown,
  connectivityMatrix,
  connectivityMermaid,
  connectivityTable,
} from "./connectivity.ts";
import { csvField, dotString, markdownCode, mermaidLabel, oneLine, scriptJson, xml } from "./escape.ts";
import { connectivityHtml } from "./html.ts";
import { connectivitySvg } from "./svg.ts";
import { testGithub, testJunit, testTable, testTap } from "./test-results.ts";

const nasty = '</title></script><script>alert(1)</script>"]};|`\n::error::x\u001b[31m\u0000&=';

const endpoint = (ref: string) =>
  ({ ref, kind: "workload", namespace: nasty, name: ref, ips: [], labels: { a: nasty } }) as const;
const map: Connectivity = {
  apiVersion,
  kind: "Connectivity",
  level: "workload",
  endpoints: [endpoint(`${nasty}/a`), endpoint(`=${nasty}/b`), { ...endpoint("10.0.0.0/8"), kind: "cidr" }],
  connections: [
    { from: `${nasty}/a`, to: `=${nasty}/b`, ports: [{ protocol: "TCP", start: 80, end: 80 }] },
    { from: "10.0.0.0/8", to: `${nasty}/a`, ports: [{ protocol: "TCP", start: 80, end: 80 }] },
  ],
  notes: [],
};

const results: TestResults = {
  apiVersion,
  kind: "TestResults",
  passed: 0,
  failed: 1,
  results: [
    {
      file: nasty,
      line: 3,
      suite: nasty,
      name: nasty,
      passed: false,
      expected: "allow",
      actual: "deny",
      counterexample: { from: nasty, to: nasty, protocol: "TCP", port: 80, family: "IPv4" },
      reasons: [],
      notes: [],
    },
  ],
};

describe("names that are no names", () => {
  test.each([
    ["html", connectivityHtml(map)],
    ["svg", connectivitySvg(map)],
    ["junit", testJunit(results)],
  ])("%s: no markup of their own, no characters that XML can't hold", (_, text) => {
    expect(text).not.toContain("<script>alert");
    expect(text).not.toContain("\u0000");
    expect(text).not.toContain("\u001b");
  });

  test.each([
    ["table", connectivityTable(map)],
    ["matrix", connectivityMatrix(map)],
    ["md", connectivityMarkdown(map)],
    ["dot", connectivityDot(map)],
    ["mermaid", connectivityMermaid(map)],
    ["test table", testTable(results)],
    ["tap", testTap(results)],
    ["github", testGithub(results)],
  ])("%s: no lines and no control characters of their own", (_, text) => {
    expect(text).not.toMatch(/^::error::x/m);
    expect(text).not.toContain("\u0000");
    expect(text).not.toContain("\u001b");
  });

  test("csv: fields stay fields, and no formula runs", () => {
    expect(connectivityCsv(map).split("\r\n")).toHaveLength(4);
    expect(csvField("=1+1")).toBe("'=1+1");
    expect(csvField('a"b')).toBe('"a""b"');
  });

  test("each language's own way", () => {
    expect(xml("<a b='c'>&\u0001")).toBe("&lt;a b=&#39;c&#39;&gt;&amp;\ufffd");
    expect(scriptJson("</script>")).toBe('"\\u003c/script\\u003e"');
    expect(dotString('a"b\\')).toBe('"a\\"b\\\\"');
    expect(mermaidLabel('a"[b]')).toBe('"a#34;#91;b#93;"');
    expect(markdownCode("a`b|c")).toBe("`` a`b\\|c ``");
    expect(oneLine("a\nb\u001b")).toBe("a\\nb\\u001b");
  });
});
