import { expect, test } from "vitest";
import { batchOf } from "../nftables/batch.ts";
import { rehearse } from "./rehearsal.ts";

test("each of its 80 changes goes the whole way to a batch", async () => {
  const lengths: number[] = [];
  await rehearse(async (commands, table) => {
    const batch = batchOf(commands, table);
    if (batch !== null) lengths.push(batch.bytes.length);
  });
  expect(lengths.length).toBeGreaterThan(80);
  expect(Math.min(...lengths)).toBeGreaterThan(0);
});
