/** Kubernetes' own end-to-end tests of NetworkPolicy ("Netpol"), unchanged. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { assetPath, kubernetesVersion } from "../lib/assets.ts";
import type { Cluster } from "../lib/cluster.ts";
import { runLogged } from "./logged.ts";
import type { Case, SuiteResult } from "./result.ts";

/** `focus`: a part of the specs' names, as a regular expression. */
export interface SuiteRun {
  readonly focus: string | null;
  /** Specs that run at the same time, where the suite can. */
  readonly parallel: number;
  /** Whether this kernel has SCTP sockets. */
  readonly sctp: boolean;
}

interface Spec {
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly State: string;
  /** ns */
  readonly RunTime: number;
  readonly Failure?: { readonly Message: string };
}

const needsSctp = "SCTPConnectivity";
const noSctp = "no SCTP sockets in this kernel; raw INIT in test/conformance/netpol.test.ts";

export async function runE2e(
  cluster: Cluster,
  { focus, parallel, sctp }: SuiteRun,
): Promise<Pick<SuiteResult, "version" | "cases">> {
  const report = join(cluster.folder, "e2e.json");
  rmSync(report, { force: true });
  const ginkgo = [
    assetPath("ginkgo"),
    "--no-color",
    `--procs=${parallel}`,
    `--focus=Netpol.*${focus ?? ""}`,
    ...(sctp ? [] : [`--skip=${needsSctp}`]),
    "--json-report=e2e.json",
    `--output-dir=${cluster.folder}`,
    "--timeout=2h",
  ];
  const suite = [
    "--provider=local",
    `--kubeconfig=${cluster.kubeconfig}`,
    "--delete-namespace-on-failure=true",
    // pods of a namespace that is being deleted take 30 s to end; nothing waits for them
    "--allowed-not-ready-nodes=-1",
  ];
  await runLogged(cluster, "e2e", [...ginkgo, assetPath("e2e.test"), "--", ...suite], 3);
  return { version: `Kubernetes v${kubernetesVersion}`, cases: casesOf(readFileSync(report, "utf8")) };
}

/** From ginkgo's JSON report. Specs that the focus left out are not cases; those that need SCTP sockets are. */
export function casesOf(report: string): readonly Case[] {
  const suites = JSON.parse(report) as readonly { readonly SpecReports: readonly Spec[] | null }[];
  return suites
    .flatMap(({ SpecReports }) => SpecReports ?? [])
    .filter(({ LeafNodeType }) => LeafNodeType === "It")
    .map((spec) => ({ spec, name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" ") }))
    .filter(({ spec, name }) => spec.State !== "skipped" || name.includes(needsSctp))
    .filter(({ name }) => name.includes("Netpol"))
    .map(({ spec, name }): Case => {
      const seconds = spec.RunTime / 1e9;
      if (spec.State === "passed") return { name, outcome: "pass", seconds };
      if (spec.State === "skipped") return { name, outcome: "skip", seconds, why: noSctp };
      return { name, outcome: "fail", seconds, why: spec.Failure?.Message.split("\n")[0]?.slice(0, 300) ?? spec.State };
    })
    .sort((a, b) => a.name.localeCompare(b.name));
}
