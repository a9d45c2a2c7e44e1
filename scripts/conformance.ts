/**
 * Runs the conformance suites and writes docs/conformance.md: `npm run conformance`. With `--quick` the random runs are the
 * share that `npm test` has, and the page goes to stdout.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { conformancePage, suiteFiles, type TestResult } from "../test/conformance/page.ts";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
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

const { success, results } = run(Object.values(suiteFiles));
const page = conformancePage(results, {
  kernel: release(),
  nft: execFileSync("nft", ["--version"], { encoding: "utf8" }).trim(),
  node: process.version,
});
if (values.quick || !success) process.stdout.write(page);
else writeFileSync(join(root, "docs/conformance.md"), page);
if (!success) {
  process.stderr.write("Some suites failed: docs/conformance.md is left as it was.\n");
  process.exitCode = 1;
}
