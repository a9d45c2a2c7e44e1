import { describe, expect, test } from "vitest";
import type { DirectionEntry } from "../policy/analyze/types.ts";
import { plain } from "../report/style.ts";
import { Progress } from "./progress.ts";
import { MatrixTally, mismatchText, summaryText } from "./render.ts";
import type { MismatchEntry, Verification } from "./verification.ts";

describe("the matrix", () => {
  test("has dots, crosses, counts and marks; workloads first, then nodes, then the outside", () => {
    const matrix = new MatrixTally();
    matrix.add("external", "shop/web", true, false);
    matrix.add("shop/web", "node/n1", false, false);
    matrix.add("shop/web", "shop/db", true, false);
    matrix.add("shop/web", "shop/db", false, false);
    matrix.add("shop/db", "shop/web", true, true);
    expect(matrix.render(plain)).toBe(
      [
        "   FROM \\ TO    1   2   3   4",
        "1  shop/db         .!",
        "2  shop/web   1/2       X",
        "3  node/n1",
        "4  external         .",
        "",
        ".  every connection was made   X  every connection was dropped   3/8  made 3 of 8",
        "!  not what the engine says",
        "",
      ].join("\n"),
    );
  });

  test("names from files cannot send escapes to the terminal", () => {
    const matrix = new MatrixTally();
    matrix.add("shop/\u001b[31mweb", "shop/db", true, false);
    expect(matrix.render(plain)).not.toContain("\u001b");
  });
});

const policy = { kind: "NetworkPolicy", namespace: "shop", name: "db" } as const;
const denied: DirectionEntry = {
  verdict: "deny",
  tier: "NetworkPolicy",
  exempt: null,
  reasons: [{ policy, rule: null, action: "Deny", file: "db.yaml", line: 3, column: 1 }],
};
const open: DirectionEntry = { verdict: "allow", tier: "Default", exempt: null, reasons: [] };
const mismatch: MismatchEntry = {
  from: "shop/web-0",
  to: "shop/db-0",
  address: "10.244.0.2",
  family: "IPv4",
  protocol: "TCP",
  port: 5432,
  service: { ref: "shop/service/db", port: 80 },
  engine: "deny",
  reference: "deny",
  kernel: "allow",
  differences: ["the engine says deny, the kernel says allow"],
  explanations: {
    engine: { egress: open, ingress: denied },
    reference: { egress: open, ingress: denied },
    kernel: null,
  },
};

test("a mismatch is told with both explanations", () => {
  expect(mismatchText(mismatch, plain)).toBe(
    [
      "shop/web-0 -> shop/db-0 (10.244.0.2) 5432/TCP IPv4 through shop/service/db port 80",
      "  differs: the engine says deny, the kernel says allow",
      "    engine    egress: allow, no policy limits egress",
      "    engine    ingress: deny, ingress isolated by NetworkPolicy shop/db (db.yaml:3), no rule allows it",
      "    reference egress: allow, no policy limits egress",
      "    reference ingress: deny, ingress isolated by NetworkPolicy shop/db (db.yaml:3), no rule allows it",
      "    kernel: the connection was answered",
      "",
    ].join("\n"),
  );
});

test("a drop is told with what its id stands for", () => {
  const kernel = {
    node: "n1",
    id: "1f",
    direction: "ingress",
    tier: "NetworkPolicy",
    reasons: denied.reasons,
  } as const;
  const text = mismatchText({ ...mismatch, kernel: "deny", explanations: { ...mismatch.explanations, kernel } }, plain);
  expect(text).toContain("kernel: dropped on n1: ingress, tier NetworkPolicy, NetworkPolicy shop/db (db.yaml:3)");
});

test("the summary counts, and says what is wrong", () => {
  const found: Verification = {
    apiVersion: "bulkhead.dev/v1alpha1",
    kind: "Verification",
    agree: false,
    complete: false,
    notes: [],
    cells: [],
    mismatches: [mismatch],
    evidence: {
      baseline: 1200,
      answered: 1000,
      dropped: 1,
      logged: 2,
      counted: 3,
      drops: [],
      strays: [{ node: "n1", id: "1f", packet: "protocol 6 10.0.0.1 port 80 to 10.0.0.2 port 20000" }],
      overruns: 0,
    },
    milliseconds: { build: 100, baseline: 200, program: 50, probe: 300 },
  };
  expect(summaryText(found, { pods: 2, nodes: 1, services: 1, policies: 3 }, plain)).toBe(
    [
      "2 pods, 1 node, 1 Service port, 3 policies",
      "1,200 connections without policies: all made",
      "1,001 connections with policies: 1,000 answers, 1 drop, each logged by the rule that decided",
      "built in 0.1 s, programmed in 0.1 s, probed in 0.5 s",
      "2 drops were logged, but 3 counted",
      "1 packet dropped that no probe sent:",
      "  n1: protocol 6 10.0.0.1 port 80 to 10.0.0.2 port 20000, id 1f",
      "1 mismatch (stopped early)",
      "",
    ].join("\n"),
  );
});

test("the progress bar is for terminals", () => {
  const written: string[] = [];
  const sink = { write: (text: string) => void written.push(text), isTTY: true, columns: 60 };
  const bar = new Progress(sink, false);
  bar.show("connecting", 5, 10);
  bar.show("connecting", 10, 10);
  bar.clear();
  expect(written).toEqual([
    "\r\u001b[Kconnecting [############            ] 5/10",
    "\r\u001b[Kconnecting [########################] 10/10",
    "\r\u001b[K",
  ]);
  written.length = 0;
  for (const silent of [new Progress({ ...sink, isTTY: false }, false), new Progress(sink, true)]) {
    silent.show("connecting", 10, 10);
    silent.clear();
  }
  expect(written).toEqual([]);
});
