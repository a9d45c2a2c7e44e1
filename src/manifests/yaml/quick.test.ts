import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { toYaml } from "../../report/yaml.ts";
import { SyntaxProblem } from "../document.ts";
import { arbitraryLayout } from "./layout.arbitrary.ts";
import { readQuickly } from "./quick.ts";
import { readThoroughly } from "./yaml.ts";

/** Whatever the quick reader takes, the thorough one takes too, and finds the same in it. @returns whether it was taken */
function check(text: string): boolean {
  const quick = readQuickly(text);
  if (quick === null) return false;
  let thorough: unknown;
  try {
    thorough = readThoroughly(text, 0);
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    expect.fail(`${error.message}: ${JSON.stringify(text)}`);
  }
  // toEqual does not see the order of keys.
  expect(JSON.stringify(quick), text).toBe(JSON.stringify(thorough));
  return true;
}

const file = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

const manifest = `# a comment
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web # another
  labels: {app: web, tier: x}
  annotations:
    a.b/c: |
      text:
        - more

    script: |-
      if true; then
      \techo 1
    long: a text that goes
      on in the next line
    quoted: "with \\"escapes\\" and
      a break"
    single: 'it''s'
    empty:
    seconds: 1e3
  managedFields:
  - fieldsV1:
      .: {}
      f:metadata:
        f:labels: {}
spec:
  replicas: 2
  list:
    - - 1
      - -2
    -
      a: ~
    - b: yes
      c: "yes"
  ports: [80, "443", {name: http}]

  args: ['--a=b', --c, -d]
  time: 2024-01-01T00:00:00Z
`;

test("common manifests are read quickly", () => {
  for (const text of [
    manifest,
    ...file("test/manifests/dump.yaml").split(/^---$/m),
    ...file("examples/shop/policies.yaml").split(/^---$/m),
  ]) {
    expect(check(text), text).toBe(true);
  }
});

test("the recorded texts", () => {
  const texts = file("test/manifests/kubectl-yaml.jsonl")
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as [string, unknown])[0]);
  const taken = texts.filter(check).length;
  expect(taken).toBeGreaterThan(texts.length / 10);
});

const json = fc.jsonValue({ maxDepth: 4 });

test("what writers write", () => {
  fc.assert(
    fc.property(json, arbitraryLayout, (data, options) => {
      check(stringify(data, { ...options, version: "1.1" }));
      check(toYaml(data));
    }),
    { numRuns: 500 },
  );
});

/** Lines that fit together more often than not. */
const value = fc.constantFrom(
  ..."a,ab c,1,-1,1.5,0x1F,on,~,null,-,- a,- b: c,a: b,a:b,a:,: a,? a,{},[],{a: b},[a, b],{a: [b, c], d: 'e'},[a, b,{".split(
    /,(?! |b)/,
  ),
  ..."[a|]|}|{a|b}|{a: }|{a:b}|[a b]|[-]|[-1]|[a: b]|[ a , b ]|[a#b]|[a #b]|['a' , \"b\"]".split("|"),
  ..."'a'|'a''b'|'a|\"a\"|\"a\\nb\"|\"a|'a' # c|'a'# c|'a' b|'a': b|\"a\": b|a # c|a# c|# c|a  |&x a|*x|!t a|<<: a".split(
    "|",
  ),
  ...[
    "|",
    "|-",
    ">",
    ">+",
    "|2",
    "| # c",
    "|x",
    "---",
    "--- a",
    "...",
    "%a",
    "@a",
    "`a",
    "<<",
    ".inf",
    ".nan",
    ".: {}",
  ],
  ...'é|\u00a0a|=|==|__proto__: a|y: a|12: a|a b: c|a  : c|f:a: b|k:{"a":"b"}: c|- - a|-  a: b|- - a: b|\ta|a\tb'.split(
    "|",
  ),
);
const line = fc
  .tuple(
    fc.constantFrom(0, 0, 1, 2, 2, 3, 4, 4, 6),
    fc.constantFrom("", "a: ", "b: ", "- ", "- a: ", "- - ", "c:"),
    value,
  )
  .map(([indent, head, rest]) => `${" ".repeat(indent)}${head}${rest}`);

test("any lines", () => {
  let taken = 0;
  const text = fc.tuple(fc.array(line, { minLength: 1, maxLength: 6 }), fc.constantFrom("\n", "\n", "\n\n", "\n#\n"));
  fc.assert(
    fc.property(text, ([lines, end]) => {
      if (check(lines.join(end) + (lines.length % 2 === 0 ? end : ""))) taken++;
    }),
    { numRuns: 10_000 },
  );
  // Else the property says nothing.
  expect(taken).toBeGreaterThan(200);
});

test("manifests with damage", () => {
  const lines = manifest.split("\n");
  const piece = fc.constantFrom(
    "",
    " ",
    "  ",
    "\n",
    "- ",
    ": ",
    "a",
    "#",
    " #",
    "'",
    '"',
    "|",
    "{",
    "]",
    ",",
    "\t",
    "é",
    "\\",
  );
  const edit = fc.tuple(fc.nat(manifest.length), fc.nat(3), piece);
  let taken = 0;
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 3 }), fc.nat(lines.length), fc.nat(lines.length), (edits, from, to) => {
      let text = manifest;
      for (const [at, length, inserted] of edits) text = text.slice(0, at) + inserted + text.slice(at + length);
      if (check(text)) taken++;
      check(text.split("\n").slice(from, to).join("\n"));
    }),
    { numRuns: 2_000 },
  );
  expect(taken).toBeGreaterThan(200);
});
