import { expect, test } from "vitest";
import { cnpWorld } from "./cnp.ts";
import { type Sentence, statesOf } from "./scenario.ts";

const cellsOf = (...sentences: readonly Sentence[]) =>
  statesOf(cnpWorld, { id: "T", title: "test", steps: [{ expect: { "TCP 80": sentences } }] })[0]!.cells;

test("the last sentence that fits counts, and pairs that none fits are not asserted", () => {
  const cells = cellsOf("deny ravenclaw -> slytherin", "allow ravenclaw/luna-lovegood-0 -> slytherin");
  expect(cells.map(({ from, expect: outcome }) => `${from} ${outcome}`)).toEqual([
    "ravenclaw/luna-lovegood-0 allow",
    "ravenclaw/luna-lovegood-0 allow",
    "ravenclaw/luna-lovegood-1 deny",
    "ravenclaw/luna-lovegood-1 deny",
  ]);
});

test("everybody is every pod but hostNetwork ones, and not itself", () => {
  expect(cellsOf("allow * -> *").length).toBe(8 * 7);
  expect(cellsOf("allow gryffindor -> forbidden-forrest").length).toBe(2 * 2);
});

test("a sentence that cannot be read is an error", () => {
  expect(() => cellsOf("allow everybody" as Sentence)).toThrow("not a sentence: allow everybody");
});

test("labels come, stay and go, and policies stay until they are replaced", () => {
  const states = statesOf(cnpWorld, {
    id: "T",
    title: "test",
    steps: [
      { labels: { slytherin: { a: "1" } }, expect: {} },
      { labels: { slytherin: { b: "2" } }, expect: {} },
      { unlabel: { slytherin: "a" }, expect: {} },
    ],
  });
  const own = { "conformance-house": "slytherin", "kubernetes.io/metadata.name": "slytherin" };
  expect(states.map(({ world }) => world.namespaces.find(({ name }) => name === "slytherin")!.labels)).toEqual([
    { ...own, a: "1" },
    { ...own, a: "1", b: "2" },
    { ...own, b: "2" },
  ]);
});
