/** The text of docs/conformance.md, from what a run of the suites reported. */

import type { SuiteResult } from "../cluster/suites/result.ts";
import { assertedCases, queriesOfBothFamilies, worldOf } from "../spec/cases.ts";
import { clusterSection } from "./cluster-section.ts";
import { faults } from "./faults.ts";
import type { Fault } from "./mutant.ts";
import type { Counted } from "./random.ts";
import { table } from "./table.ts";

/** One test of a run, as vitest's JSON reporter has it. */
export interface TestResult {
  /** Below `test/`. */
  readonly file: string;
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly status: string;
  readonly meta: { readonly noticedBy?: string | null; readonly counted?: Counted };
}

export interface Versions {
  readonly kernel: string;
  readonly nft: string;
  readonly node: string;
}

/** The suites' files, below `test/`. */
export const suiteFiles = {
  netpol: "conformance/netpol.test.ts",
  cnp: "conformance/cnp.test.ts",
  anp: "conformance/anp.test.ts",
  faults: "conformance/faults.test.ts",
  random: "conformance/random.test.ts",
  golden: "engine/golden.test.ts",
  cyclonus: "engine/cyclonus.test.ts",
  misreadings: "engine/faults.test.ts",
  goldenKernel: "kernel/golden.test.ts",
  cyclonusKernel: "kernel/cyclonus.test.ts",
} as const;

/** The tests of one cell of the table: those under these titles of `describe`, the outermost first. */
interface Column {
  readonly file: string;
  readonly under: readonly string[];
  readonly counts?: (title: string) => boolean;
  /** How many cases one test is; default 1. */
  readonly casesEach?: number;
}

interface Suite {
  readonly name: string;
  readonly cases: number;
  readonly unit: string;
  readonly engine: Column;
  readonly reference: Column;
  /** null: not asked there; `leftOut` says why. */
  readonly IPv4: Column | null;
  readonly IPv6: Column | null;
  readonly leftOut: string;
}

const evaluators = (file: string, name: string) => ({
  engine: { file, under: [`${name}, engine`] },
  reference: { file, under: [`${name}, reference`] },
});
const kernel = (file: string, name: string) => ({
  IPv4: { file, under: [`${name}, kernel`, "IPv4"] },
  IPv6: { file, under: [`${name}, kernel`, "IPv6"] },
});

const reachability = assertedCases("Reachability");
const asking = (about: 4 | 6) =>
  reachability.filter((one) =>
    queriesOfBothFamilies(worldOf(one.fixture, one.policies, one.extraPods), one).some(({ v = 4 }) => v === about),
  );
const isAbout = (some: typeof reachability) => {
  const ids = new Set(some.map(({ id }) => id));
  return (title: string): boolean => ids.has(title.split(" ")[0]!);
};
const goldenEngine = (under: string): Column => ({
  file: suiteFiles.golden,
  under: [under],
  counts: isAbout(reachability),
});
const cyclonusEngine = (under: string): Column => ({
  file: suiteFiles.cyclonus,
  under: [under],
  counts: (title) => title === "every cell, IPv4",
  casesEach: 230,
});

const suites: readonly Suite[] = [
  {
    name: "Kubernetes e2e, Netpol (D1)",
    cases: 48,
    unit: "scenarios",
    ...evaluators(suiteFiles.netpol, "netpol"),
    ...kernel(suiteFiles.netpol, "netpol"),
    leftOut: "N49 and N50 test operations of the API server and have no data path.",
  },
  {
    name: "network-policy-api conformance, v1alpha2 (D2)",
    cases: 92,
    unit: "subtests",
    ...evaluators(suiteFiles.cnp, "cnp"),
    ...kernel(suiteFiles.cnp, "cnp"),
    leftOut: "Nothing. SCTP is INIT and INIT ACK from raw sockets, since not every kernel has SCTP sockets.",
  },
  {
    name: "the same, v1alpha1 (D3)",
    cases: 92,
    unit: "subtests",
    ...evaluators(suiteFiles.anp, "anp"),
    IPv4: null,
    IPv6: null,
    leftOut: "Not in the kernel: there the older kinds are the same rules as in D2.",
  },
  {
    name: "cyclonus",
    cases: 230,
    unit: "cases",
    engine: cyclonusEngine("engine"),
    reference: cyclonusEngine("reference"),
    IPv4: { file: suiteFiles.cyclonusKernel, under: ["cyclonus in the kernel, IPv4"] },
    IPv6: { file: suiteFiles.cyclonusKernel, under: ["cyclonus in the kernel, IPv6"] },
    leftOut:
      "A pod to its own address: the cases deny it, Kubernetes does not (A7.1). The cases are of IPv4; for IPv6 all addresses are moved.",
  },
  {
    name: "the law's own cases (golden.yaml), reachability",
    cases: reachability.length,
    unit: "cases",
    engine: goldenEngine("engine"),
    reference: goldenEngine("reference"),
    IPv4: {
      file: suiteFiles.goldenKernel,
      under: ["golden cases in the kernel"],
      counts: isAbout(asking(4)),
    },
    IPv6: {
      file: suiteFiles.goldenKernel,
      under: ["golden cases in the kernel"],
      counts: isAbout(asking(6)),
    },
    leftOut:
      "Three cases that the law calls ambiguous. Over IPv6: cases whose addresses, in policies or at both ends, are of IPv4 only.",
  },
];

/** `cluster`: what upstream suites said on a real cluster, see test/cluster/suites. */
export function conformancePage(
  results: readonly TestResult[],
  versions: Versions,
  cluster: readonly SuiteResult[],
): string {
  return `# Conformance

Written by \`npm run conformance\`; do not edit. Numbers in brackets are parts of [semantics.md](semantics.md).

Every case runs through the **engine** (what \`can\`, \`map\` and the nftables writer use), through the **reference** (a second
evaluator, written from the law sentence by sentence, which shares no code with the engine) and, over each family by itself, in
the **kernel**: a sandbox of network namespaces in which every node is programmed and every connection of a case's table is
really opened. There a connection must be answered by the right pod, or be dropped by the right node under the id of the rule
that decides; and one sandbox follows all cases of a suite by differences, so that each case also tests the change to it.
In cases of several steps, connections are open while policies and labels change: each must go on or be cut, in both
directions, as the new policies say.

## Suites

${table(
  ["suite", "cases", "engine", "reference", "kernel, IPv4", "kernel, IPv6", "left out, and why"],
  suites.map((suite) => [
    suite.name,
    `${suite.cases} ${suite.unit}`,
    passed(results, suite.engine),
    passed(results, suite.reference),
    passed(results, suite.IPv4),
    passed(results, suite.IPv6),
    suite.leftOut,
  ]),
)}

${clusterSection(cluster)}

## Random worlds

Worlds of every kind of policy, selector, peer, port and pod, broken and absent forms included, and their histories: pods,
labels, namespaces, policies and nodes that come, change and go, each applied as a difference. Engine and reference must agree on
verdict, tier, exemption and every reason; the kernel on what becomes of each packet, and which rule dropped it.

${randomTable(results.flatMap(({ meta }) => meta.counted ?? []))}

## Seeded faults

A suite that cannot fail proves nothing. Each of these faults was put into the source text of its layer, alone, while it was
loaded, and the suites were run until one of them turned red.

${(["compiler", "reference", "nftables"] as const).map((layer) => faultTable(layer, results)).join("\n\n")}

Besides, ${count(results, { file: suiteFiles.misreadings, under: [] })} misreadings of policies, of the world and of verdicts are noticed by the saved worlds alone (\`test/engine/faults.test.ts\`).

## Beside these

\`test/engine/laws.test.ts\` holds laws of any world, \`test/kernel\` what the enforcer keeps, cuts and adopts, and \`test/fire\` judges
every packet of traffic that runs while policies, labels and pods change: each must get what the plan before or the plan after says.

## Where it ran

${table(
  ["what", "version"],
  [
    ["kernel", versions.kernel],
    ["nft", versions.nft],
    ["Node", versions.node],
  ],
)}
`;
}

function of(results: readonly TestResult[], { file, under, counts = () => true }: Column): readonly TestResult[] {
  return results.filter(
    (result) =>
      result.file === file &&
      under.every((title, depth) => result.ancestorTitles[depth] === title) &&
      (under.length > 0 || result.ancestorTitles.length === 0) &&
      counts(result.title),
  );
}

function count(results: readonly TestResult[], column: Column): number {
  return of(results, column).filter(({ status }) => status === "passed").length;
}

/** `48 of 48` */
function passed(results: readonly TestResult[], column: Column | null): string {
  if (column === null) return "–";
  const { casesEach = 1 } = column;
  const all = of(results, column).length * casesEach;
  return all === 0 ? "not run" : `${count(results, column) * casesEach} of ${all}`;
}

const number = (value: number): string => value.toLocaleString("en-US");

function randomTable(columns: readonly Counted[]): string {
  const row = (name: string, cell: (one: Counted) => string): string[] => [name, ...columns.map(cell)];
  const share = ({ counts }: Counted, key: string): string =>
    `${((100 * (counts[key] ?? 0)) / counts["verdicts"]!).toFixed(1)} %`;
  const kinds = [...new Set(columns.flatMap(({ counts }) => Object.keys(counts)))]
    .filter((kind) => kind !== "verdicts" && kind !== "denied" && !kind.startsWith("kernel "))
    .sort();
  return table(
    row("", ({ what }) => what),
    [
      row("worlds", ({ worlds }) => number(worlds)),
      row("differences applied", ({ deltas }) => number(deltas)),
      row("verdicts compared", ({ counts }) => number(counts["verdicts"]!)),
      row("denied", (one) => share(one, "denied")),
      ...kinds.map((kind) => row(kind, ({ counts }) => number(counts[kind] ?? 0))),
    ],
  );
}

function faultTable(layer: Fault["layer"], results: readonly TestResult[]): string {
  const tests = of(results, { file: suiteFiles.faults, under: [layer] });
  const rows = faults
    .filter((fault) => fault.layer === layer)
    .map(({ title, place }) => {
      const noticedBy = tests.find((test) => test.title === title)?.meta.noticedBy;
      return [title, `\`src/${place}\``, noticedBy === undefined ? "not run" : (noticedBy ?? "nothing")];
    });
  return table([`${layer}: fault`, "in", "first noticed by"], rows);
}
