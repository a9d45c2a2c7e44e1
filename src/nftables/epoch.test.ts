import { expect, test } from "vitest";
import { nextEpoch, untrusted } from "./epoch.ts";

test("before a half is entered again, its numbers are cleared", () => {
  const steps: string[] = [];
  for (let current = untrusted, i = 0; i < 9; i++) {
    const { epoch, clear } = nextEpoch(current, 3);
    steps.push(clear === null ? `${epoch}` : `${epoch} clears ${clear.first}-${clear.last}`);
    current = epoch;
  }
  expect(steps).toEqual(["1 clears 1-7", "2", "3", "4 clears 4-7", "5", "6", "7", "1 clears 1-3", "2"]);
});

test("the current number is never among those that are cleared", () => {
  for (const bits of [2, 3, 8]) {
    for (let current = 1; current < 2 ** bits; current++) {
      const { epoch, clear } = nextEpoch(current, bits);
      expect(epoch).not.toBe(current);
      expect(epoch).toBeGreaterThan(0);
      expect(epoch).toBeLessThan(2 ** bits);
      if (clear !== null) expect(current < clear.first || current > clear.last).toBe(true);
    }
  }
});
