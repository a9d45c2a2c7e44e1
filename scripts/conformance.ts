/**
 * Runs the conformance suites and writes docs/conformance.md: `npm run conformance`. With `--quick` the random runs are the
 * share that `npm test` has, and the page goes to stdout. With `--cluster-only` nothing is run: the part that tells of the real
 * cluster is written anew, from what `npm run test:cluster` kept.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { keptResults } from "../test/cluster/suites/result.ts";
import { clusterSection } from "../test/conformance/cluster-section.ts";
import { conformancePage, suiteFiles, type TestResult } from "../test/conformance/page.ts";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, "cluster-only": { type: "boolean", default: false } },
});
const root = new URL("..", import.meta.url).pathname;

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly Omit<TestResult, "file">[];
  }[];
}

/** Runs the files; progress goes to stderr. */
function run(files: readonly string[]): { readonly success: boolean; readonly results: readonly TestResult[] } {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-conformance-"));
  try {
    const output = join(folder, "report.json");
    const { status } = spawnSync(
      process.execPath,
      [
        "node_modules/vitest/vitest.mjs",
        "run",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${output}`,
        ...files.map((file) => `test/${file}`),
      ],
      {
        cwd: root,
        stdio: ["ignore", 2, 2],
        env: { ...process.env, BULKHEAD_LONG: values.quick ? "0" : "1", BULKHEAD_SKIP_KERNEL: "0" },
      },
    );
    const { testResults } = JSON.parse(readFileSync(output, "utf8")) as Report;
    const results = testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.map((result) => ({ ...result, file: relative(join(root, "test"), name) })),
    );
    return { success: status === 0, results };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const pagePath = join(root, "docs/conformance.md");

function writeClusterSection(): void {
  const page = readFileSync(pagePath, "utf8");
  const [before, after] = [page.indexOf("## On a real cluster"), page.indexOf("## Random worlds")];
  if (after < 0) throw new Error("docs/conformance.md is not as this program writes it: run it without --cluster-only");
  const start = before < 0 ? after : before;
  writeFileSync(pagePath, `${page.slice(0, start)}${clusterSection(keptResults())}\n${page.slice(after)}`);
}

function writePage(): void {
  const { success, results } = run(Object.values(suiteFiles));
  const versions = {
    kernel: release(),
    nft: execFileSync("nft", ["--version"], { encoding: "utf8" }).trim(),
    node: process.version,
  };
  const page = conformancePage(results, versions, keptResults());
  if (values.quick || !success) process.stdout.write(page);
  else writeFileSync(pagePath, page);
  if (!success) {
    process.stderr.write("Some suites failed: docs/conformance.md is left as it was.\n");
    process.exitCode = 1;
  }
}

if (values["cluster-only"]) writeClusterSection();
else writePage();
