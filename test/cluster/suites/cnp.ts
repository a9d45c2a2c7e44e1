/** The conformance suite of network-policy-api, unchanged: ClusterNetworkPolicy, standard and experimental features. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assetPath } from "../lib/assets.ts";
import type { Cluster } from "../lib/cluster.ts";
import type { SctpSubtest } from "../parts/list.ts";
import { versions } from "../parts/versions.ts";
import type { SuiteRun } from "./e2e.ts";
import { runLogged } from "./logged.ts";
import { type Case, resultsFolder, type SuiteResult } from "./result.ts";

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../../package.json"), "utf8")) as {
  readonly version: string;
};

/** What the suite writes for the project's list of conformant implementations. */
export const reportPath = join(resultsFolder, "network-policy-api-report.yaml");

export async function runCnp(
  cluster: Cluster,
  { focus, sctp }: SuiteRun,
): Promise<Pick<SuiteResult, "version" | "cases">> {
  const notRun = sctp
    ? []
    : (JSON.parse(readFileSync(assetPath("suites/sctp-subtests.json"), "utf8")) as SctpSubtest[]);
  const command = [
    assetPath("cnp-conformance.test"),
    "-test.v",
    "-test.timeout=2h",
    `-test.run=^TestConformanceProfiles$${focus === null ? "" : `/${focus}`}`,
    ...(notRun.length === 0 ? [] : [`-test.skip=${notRun.map(pattern).join("|")}`]),
    "-all-features",
    "-conformance-profiles=ClusterNetworkPolicy",
    "-organization=bulkhead",
    "-project=bulkhead",
    "-url=https://bulkhead.dev",
    `-version=${version}`,
    "-contact=maintainers@bulkhead.dev",
    "-additional-info=test/cluster/README.md",
    `-report-output=${focus === null ? reportPath : join(cluster.folder, "cnp-report.yaml")}`,
  ];
  const output = await runLogged(cluster, "cnp", command, 3);
  return {
    version: `network-policy-api ${versions.networkPolicyApi}`,
    cases: [...subtestsOf(output), ...notRun.map(skipped)],
  };
}

/** Of one subtest, for -test.run and -test.skip: a regular expression for each level, blanks as `go test` writes them. */
const pattern = ({ test, title }: SctpSubtest): string =>
  `^TestConformanceProfiles$/^${test}$/^${title.replaceAll(" ", "_").replace(/[.*+?()[\]{}^$|\\]/g, "\\$&")}$`;

const skipped = ({ test, title }: SctpSubtest): Case => ({
  name: `${test} ${title}`,
  outcome: "skip",
  seconds: 0,
  why: "no SCTP sockets in this kernel; raw INIT in test/conformance/cnp.test.ts",
});

/** The subtests of `go test -v`. */
export function subtestsOf(output: string): readonly Case[] {
  const lines = [...output.matchAll(/^\s*--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)/gm)];
  return lines
    .filter(([, , name]) => name!.split("/").length === 3) // a test of which everything is left out has no subtests
    .map(([, state, name, seconds]): Case => {
      const outcome = state === "PASS" ? "pass" : state === "FAIL" ? "fail" : "skip";
      return { name: name!.split("/").slice(1).join(" ").replaceAll("_", " "), outcome, seconds: Number(seconds) };
    });
}
