/** cyclonus, unchanged, over TCP and UDP. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { assetPath, images } from "../lib/assets.ts";
import type { Cluster } from "../lib/cluster.ts";
import { versions } from "../parts/versions.ts";
import type { SuiteRun } from "./e2e.ts";
import { runLogged } from "./logged.ts";
import type { Case, SuiteResult } from "./result.ts";

/** The registry part of the image's name; the rest of the name is cyclonus' own. */
export const registry = images.agnhost.split("/")[0]!;
export const agnhostName = `${registry}/e2e-test-images/agnhost:2.43`;

/**
 * Cases whose expectation is not what the API says, by their description, with the rule of docs/semantics.md.
 * A case is here only when nothing else differs in it.
 */
export const differences: Readonly<Record<string, string>> = {};

/** `usual`: the 112 cases that cyclonus runs by default; `more`: the 118 others. */
export type Selection = "usual" | "more";

/** What makes cyclonus leave out a case by default. */
const usuallyLeftOut = ["multi-peer", "upstream-e2e", "example", "end-port", "namespaces-by-default-label"];
/** Cases in which pods come or change their labels: cyclonus then forgets the addresses of their Services, and dials none. */
const renewing = ["create-namespace", "create-pod", "set-pod-labels"];

const byService = "--destination-type=service-ip"; // by default names, and no DNS server runs in the cluster
const byPod = "--destination-type=pod-ip";

const selected: Readonly<Record<Selection, readonly (readonly string[])[]>> = {
  usual: [
    [byService, `--exclude=${[...usuallyLeftOut, ...renewing].join(",")}`],
    [byPod, `--exclude=${usuallyLeftOut.join(",")}`, `--include=${renewing.join(",")}`],
  ],
  more: [[byService, `--exclude=${renewing.join(",")}`, `--include=${usuallyLeftOut.join(",")}`]],
};

/** `focus`: comma-separated tags of cyclonus, of all cases, by the pods' addresses. */
export async function runCyclonus(
  cluster: Cluster,
  { focus }: SuiteRun,
  selection: Selection,
): Promise<Pick<SuiteResult, "version" | "cases">> {
  const runs = focus === null ? selected[selection] : [[byPod, "--exclude=", `--include=${focus}`]];
  const cases: Case[] = [];
  for (const [i, one] of runs.entries()) cases.push(...(await runCases(cluster, `cyclonus-${i + 1}`, one)));
  return { version: `cyclonus ${versions.cyclonus}`, cases };
}

/** @param selection flags that choose cases and what they dial */
async function runCases(cluster: Cluster, name: string, selection: readonly string[]): Promise<readonly Case[]> {
  const report = join(cluster.folder, `${name}.xml`);
  rmSync(report, { force: true });
  const command = [
    assetPath("cyclonus"),
    "generate",
    "--ignore-loopback",
    "--server-protocol=TCP,UDP",
    ...selection,
    "--perturbation-wait-seconds=1",
    "--job-timeout-seconds=1",
    "--pod-creation-timeout-seconds=120",
    "--cleanup-namespaces",
    `--image-registry=${registry}`,
    `--junit-results-file=${report}`,
  ];
  await runLogged(cluster, name, command, 8);
  return casesOfJunit(readFileSync(report, "utf8"));
}

/** It tells no times. Descriptions that occur several times are numbered. */
export function casesOfJunit(xml: string): readonly Case[] {
  const seen = new Map<string, number>();
  return [...xml.matchAll(/<testcase\b([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)].map(([, attributes, , body]): Case => {
    const description = unescaped(/\bname="([^"]*)"/.exec(attributes!)?.[1] ?? "");
    const times = (seen.get(description) ?? 0) + 1;
    seen.set(description, times);
    const name = times === 1 ? description : `${description} (${times})`;
    if (body === undefined || !body.includes("<failure")) return { name, outcome: "pass", seconds: 0 };
    return { name, outcome: "fail", seconds: 0, why: differences[name] ?? "differs from cyclonus' expectation" };
  });
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

const unescaped = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) =>
    decimal !== undefined || hex !== undefined
      ? String.fromCodePoint(decimal !== undefined ? Number(decimal) : Number.parseInt(hex, 16))
      : (entities[name] ?? whole),
  );
