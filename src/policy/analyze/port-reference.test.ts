import { describe, expect, test } from "vitest";
import { PortSet } from "../../net/ports.ts";
import { formatPort, parsePort } from "./port-reference.ts";
import { isProblem } from "./types.ts";

describe("ports in questions", () => {
  test.each([
    ["5432", "TCP:5432", "5432/TCP"],
    ["53/UDP", "UDP:53", "53/UDP"],
    ["53/udp", "UDP:53", "53/UDP"],
    ["8000-8100", "TCP:8000-8100", "8000-8100/TCP"],
    ["any", PortSet.allPorts.key, "any"],
    ["any/SCTP", "SCTP:1-65535", "any/SCTP"],
    ["icmp", "other:0", "icmp"],
    ["other", "other:0", "icmp"],
  ])("%s", (text, key, canonical) => {
    const port = parsePort(text);
    if (isProblem(port) || port.kind !== "set") throw new Error("no set");
    expect(port.set.key).toBe(key);
    expect(formatPort(port)).toBe(canonical);
    expect(parsePort(canonical)).toEqual(port);
  });

  test("names bring their own protocol", () => {
    expect(parsePort("http")).toEqual({ kind: "name", name: "http", protocol: null });
    expect(parsePort("dns/UDP")).toEqual({ kind: "name", name: "dns", protocol: "UDP" });
    expect(formatPort({ kind: "name", name: "dns", protocol: "UDP" })).toBe("dns/UDP");
  });

  test.each(["", "0", "65536", "9000-8000", "80/ICMP", "80/TCP/x", "HTTP", "a--b", "sixteen-letters-", "-1", "80/"])(
    "%s is none",
    (text) => {
      expect(parsePort(text)).toMatchObject({ problem: "syntax" });
    },
  );
});
