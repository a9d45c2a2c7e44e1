import { expect, test } from "vitest";
import { conformancePage, suiteFiles, type TestResult } from "./page.ts";

const result = (file: string, titles: readonly string[], part: Partial<TestResult> = {}): TestResult => ({
  file,
  ancestorTitles: titles.slice(0, -1),
  title: titles.at(-1)!,
  status: "passed",
  meta: {},
  ...part,
});
const versions = { kernel: "6.1", nft: "1.0", node: "v24" };
const rowOf = (page: string, start: string): string | undefined =>
  page.split("\n").find((line) => line.startsWith(`| ${start}`));

test("counts what passed of what ran, by column", () => {
  const page = conformancePage(
    [
      result(suiteFiles.netpol, ["no scenario is missing"]),
      result(suiteFiles.netpol, ["netpol, engine", "N1"]),
      result(suiteFiles.netpol, ["netpol, engine", "N2"], { status: "failed" }),
      result(suiteFiles.netpol, ["netpol, reference", "N1"]),
      result(suiteFiles.netpol, ["netpol, kernel", "IPv6", "N1"]),
      result(suiteFiles.cyclonus, ["engine", "every cell, IPv4"]),
      result(suiteFiles.cyclonus, ["engine", "every cell, IPv6"]),
      result(suiteFiles.goldenKernel, ["golden cases in the kernel", "G001 no policy"]),
      result(suiteFiles.goldenKernel, ["golden cases in the kernel", "all of them are there"]),
    ],
    versions,
    [],
  );
  expect(rowOf(page, "Kubernetes e2e")).toContain("| 48 scenarios | 1 of 2 | 1 of 1 | not run | 1 of 1 |");
  expect(rowOf(page, "cyclonus")).toContain("| 230 cases | 230 of 230 | not run |");
  expect(rowOf(page, "the law's own cases")).toContain("| not run | not run | 1 of 1 | 1 of 1 |");
});

test("says what noticed a fault, and what random worlds held", () => {
  const counts = { verdicts: 200, denied: 80, allowed: 120, "kernel deny": 80, self: 1 };
  const page = conformancePage(
    [
      result(suiteFiles.faults, ["compiler", "except is ignored"], { meta: { noticedBy: "netpol" } }),
      result(suiteFiles.faults, ["reference", "except is ignored"], { status: "failed", meta: { noticedBy: null } }),
      result(suiteFiles.random, ["engine and reference"], {
        meta: { counted: { what: "engine = reference", worlds: 3, deltas: 1_000, counts } },
      }),
      result(suiteFiles.misreadings, ["notices: one"]),
    ],
    versions,
    [],
  );
  expect(page).toContain("| except is ignored | `src/policy/compile/policy.ts` | netpol |");
  expect(page).toContain("| except is ignored | `src/policy/evaluate/reference.ts` | nothing |");
  expect(page).toContain("| denied | 40.0 % |");
  expect(page).toContain("| differences applied | 1,000 |");
  expect(page).toContain("| self | 1 |");
  expect(page).not.toContain("kernel deny");
  expect(page).toContain("1 misreadings");
});

test("tells what suites said on a real cluster, and names what did not pass", () => {
  const passed = { name: "allows", outcome: "pass", seconds: 4 } as const;
  const skipped = { name: "SCTP", outcome: "skip", seconds: 0, why: "no SCTP sockets in this kernel" } as const;
  const cluster = { nodes: 2, families: "dual", cni: "bridge", bridgeNetfilter: true, proxy: "nftables" } as const;
  const page = conformancePage([], versions, [
    {
      suite: "e2e",
      version: "Kubernetes v1",
      commit: "abc",
      date: "2026-11-21T10:00:00Z",
      kernel: "6.1",
      cluster: { ...cluster, cniPlugin: false },
      focus: null,
      seconds: 61,
      cases: [passed, skipped],
    },
  ]);
  expect(page).toContain(
    "| Kubernetes v1 | kube-proxy nftables, bridge, dual-stack | 1 | 0 | 1 | 2 min | abc | 6.1 | 2026-11-21 |",
  );
  expect(page).toContain("| SCTP | not run | no SCTP sockets in this kernel |");
});
