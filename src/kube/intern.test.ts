import { describe, expect, test } from "vitest";
import { Parts } from "./intern.ts";

describe("parts of JSON values", () => {
  const spec = () => ({
    podSelector: { matchLabels: { app: "web" } },
    ingress: [{ ports: [{ protocol: "TCP", port: 80 }], from: [{ podSelector: {} }] }],
    policyTypes: ["Ingress"],
    egress: null,
  });

  test("equal parts become one object, and nothing else changes", () => {
    const parts = new Parts();
    const one = parts.share(spec());
    const other = parts.share({ ...spec(), podSelector: { matchLabels: { app: "db" } } });
    expect(one).toEqual(spec());
    expect(other.podSelector).toEqual({ matchLabels: { app: "db" } });
    expect(other.ingress).toBe(one.ingress);
    expect(other.podSelector).not.toBe(one.podSelector);
    expect(parts.share(spec())).toBe(one);
  });

  test("what looks alike is not taken for equal", () => {
    const parts = new Parts();
    expect(parts.share([{ port: 80 }, { port: "80" }, {}, []])).toEqual([{ port: 80 }, { port: "80" }, {}, []]);
    expect(parts.share({ a: null, b: "null", __proto__: { c: 1 } })).toEqual({ a: null, b: "null" });
  });

  test("long texts are not kept", () => {
    const parts = new Parts();
    const long = () => ({ name: "x".repeat(300) });
    expect(parts.share(long())).toEqual(long());
    expect(parts.share(long())).not.toBe(parts.share(long()));
  });
});
