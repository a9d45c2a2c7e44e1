import fc from "fast-check";
import { expect, test } from "vitest";
import { lines } from "./lines.ts";
import { readList } from "./list-body.ts";

async function* chunks(text: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const cut of [...new Set(cuts.map((n) => n % (text.length + 1)))].sort((a, b) => a - b)) {
    yield Buffer.from(text.subarray(from, cut)); // a copy: what a chunk shares must not matter
    from = cut;
  }
  yield Buffer.from(text.subarray(from));
}

const cuts = fc.array(fc.nat(), { maxLength: 20 });

async function allLines(text: string, at: readonly number[], limit?: number): Promise<string[]> {
  const found: string[] = [];
  for await (const some of lines(chunks(Buffer.from(text), at), limit)) found.push(...some.map(String));
  return found;
}

test("lines are whole wherever the stream is cut; half a line at the end is dropped", async () => {
  const line = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\n", ""));
  await fc.assert(
    fc.asyncProperty(fc.array(line), line, cuts, async (whole, half, at) => {
      const text = [...whole, half].join("\n");
      expect(await allLines(text, at)).toEqual(whole.filter((one) => one !== ""));
    }),
  );
});

test("a line that is too long is an error, complete or not", async () => {
  await expect(allLines("abc\nabcdef\n", [], 5)).rejects.toThrow("longer than 5 bytes");
  await expect(allLines("abc\nabcdef", [3, 6, 8], 5)).rejects.toThrow("longer than 5 bytes");
  expect(await allLines("abcde\n", [2], 5)).toEqual(["abcde"]);
});

const item = fc.dictionary(
  fc.constantFrom("items", "a", "]"),
  fc.oneof(fc.string(), fc.constant([{ items: [] }]), fc.constant(null)),
);
const spaces = fc.constantFrom(undefined, 1);

test("a list is read item by item wherever it is cut, and whatever comes first", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(item), fc.boolean(), spaces, cuts, async (items, isFirst, indent, at) => {
      const rest = { kind: "items", metadata: { items: [1], resourceVersion: "7" }, more: ["items"] };
      const list = isFirst ? { items, ...rest } : { ...rest, items };
      const found: unknown[] = [];
      const read = await readList(chunks(Buffer.from(JSON.stringify(list, null, indent)), at), (text) => {
        found.push(JSON.parse(text.toString()));
      });
      expect(found).toEqual(items);
      expect(read).toEqual({ ...list, items: [] });
    }),
    { numRuns: 500 },
  );
});

test("a list that is cut off, or has an item that is too long, is an error", async () => {
  const list = Buffer.from(JSON.stringify({ metadata: {}, items: [{ a: 1 }, { a: "x".repeat(50) }] }));
  const read = (text: Buffer, limit?: number): Promise<unknown> =>
    readList(chunks(text, [30, 40]), () => undefined, limit);
  for (const end of [0, 1, 20, 30, list.length - 1]) {
    await expect(read(list.subarray(0, end))).rejects.toThrow("ended in the middle of a list");
  }
  await expect(read(list, 40)).rejects.toThrow("an object is longer than 40 bytes");
  await expect(read(Buffer.from('{"items": [}'))).rejects.toThrow();
});
