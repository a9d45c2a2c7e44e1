import { describe, expect, test } from "vitest";
import { bulkhead, shop } from "./run.ts";

const golden = (name: string): string => `./golden/explain-${name}.txt`;
const example = ["-f", "examples/shop"];

describe("explain", () => {
  test.each([
    ["denied", 1, ["shop/deploy/web", "shop/sts/db", "5432"]],
    ["allowed", 0, ["shop/deploy/web", "shop/deploy/api", "8080"]],
    ["any-port", 1, ["shop/deploy/web", "shop/deploy/api"]],
    ["set", 1, ["shop/*", "shop/sts/db", "5432"]],
    ["self", 0, ["shop/sts/db", "shop/sts/db", "5432"]],
    ["outside", 1, ["external", "shop/deploy/web", "8080"]],
    ["service", 0, ["shop/deploy/web", "shop/svc/api", "80"]],
  ])("%s", async (name, expected, words) => {
    const { code, stdout } = await bulkhead(["explain", ...words, ...shop]);
    expect(code).toBe(expected);
    await expect(stdout).toMatchFileSnapshot(golden(name));
  });

  test("exits as can does, and says in json what it says in yaml", async () => {
    const args = ["explain", "shop/deploy/web", "shop/sts/db", "5432", ...shop];
    const json = await bulkhead([...args, "-o", "json"]);
    expect(json.code).toBe(1);
    const parsed = JSON.parse(json.stdout) as { kind: string; change: unknown[] };
    expect(parsed.kind).toBe("Explanation");
    expect(parsed.change.length).toBeGreaterThan(0);
    const { parse } = await import("yaml");
    expect(parse((await bulkhead([...args, "-o", "yaml"])).stdout)).toEqual(parsed);
  });

  test("never more than 20 lines", async () => {
    const ends = [
      "shop/deploy/web",
      "shop/*",
      "*/*",
      "data/sts/orders-db",
      "payments/svc/payments",
      "external",
      "node/node-1",
    ];
    const ports = ["any", "443", "53/UDP"];
    let asked = 0;
    for (const from of ends)
      for (const to of ends)
        for (const port of ports) {
          const { code, stdout } = await bulkhead(["explain", from, to, port, ...example]);
          if (code === 2) continue; // a port that the Service does not have, two ends that are no pods
          asked++;
          expect(stdout.trimEnd().split("\n").length, `${from} ${to} ${port}`).toBeLessThanOrEqual(20);
        }
    expect(asked).toBeGreaterThan(30);
  });
});

test("edits that only help together say so", async () => {
  const { stdout } = await bulkhead(["explain", "shop/deploy/web", "data/sts/orders-db", "5432", ...example]);
  expect(stdout).toContain("\nSmallest change that would allow it, both together:\n  add an egress rule");
});
