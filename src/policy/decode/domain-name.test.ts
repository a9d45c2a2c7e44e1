import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { domainNamePattern, isDomainNamePattern, matchesDomainName } from "./domain-name.ts";

describe("C8.7 patterns", () => {
  test.each(["kubernetes.io", "*.kubernetes.io", "a.b", "a.b.", "A.B", "a_b.c-d", "1.2", "_.x", "[.b", "^.b"])(
    "%s is one",
    (p) => {
      expect(isDomainNamePattern(p)).toBe(true);
    },
  );
  test.each([
    "",
    ".",
    "io",
    "*.io",
    "*",
    "a..b",
    ".a.b",
    "a.b..",
    "-a.b",
    "a-.b",
    "*a.b",
    "a.*.b",
    "*.*.a.b",
    "a b.c",
    "ä.de",
  ])("%s is none", (p) => {
    expect(isDomainNamePattern(p)).toBe(false);
  });

  test("the same as the CRD's regular expression", () => {
    const pattern = new RegExp(domainNamePattern);
    const text = fc.string({ unit: fc.constantFrom("a", "Z", "0", "-", "_", ".", "*", "[", "`", "é"), maxLength: 12 });
    fc.assert(
      fc.property(text, (t) => isDomainNamePattern(t) === pattern.test(t)),
      { numRuns: 2000 },
    );
  });

  test("hostile names are judged at once", () => {
    expect(isDomainNamePattern(`${"a.".repeat(200_000)}!`)).toBe(false);
    expect(isDomainNamePattern(`${"a-".repeat(200_000)}.b`)).toBe(false);
  });
});

describe("C8.7 matching", () => {
  test.each([
    ["kubernetes.io", "kubernetes.io", true],
    ["kubernetes.io", "www.kubernetes.io", false],
    ["kubernetes.io", "my-kubernetes.io", false],
    ["kubernetes.io", "KUBERNETES.IO.", true],
    ["Kubernetes.io.", "kubernetes.io", true],
    ["*.kubernetes.io", "www.kubernetes.io", true],
    ["*.kubernetes.io", "latest.blog.kubernetes.io", true],
    ["*.kubernetes.io", "kubernetes.io", false],
    ["*.kubernetes.io", ".kubernetes.io", false],
    ["*.kubernetes.io", "x..kubernetes.io", false],
    ["*.kubernetes.io", "wwwkubernetes.io", false],
    ["*.kubernetes.io", "kubernetes.io.evil.org", false],
    ["*.io", "kubernetes.io", false],
    ["a.b", "", false],
  ])("%s and %s: %s", (pattern, name, match) => {
    expect(matchesDomainName(pattern, name)).toBe(match);
  });
});
