/** `bulkhead test FILE…` */
import type { Command } from "commander";
import type { TestResult, TestResults } from "../../policy/analyze/types.ts";
import type { Plan } from "../../policy/compile/plan.ts";
import { CliError, type ExitCode, type Io, type Shell, writeLines } from "../io.ts";
import {
  addColorOption,
  addManifestOptions,
  addOutputOption,
  type ManifestOptions,
  type OutputOptions,
  objectsNamespaceHelp,
  styleFor,
} from "../options.ts";
import { readPlan } from "../world.ts";

const formats = ["table", "json", "yaml", "junit", "tap", "github"] as const;

export interface TestOptions extends ManifestOptions, OutputOptions {
  readonly files: readonly string[];
  readonly output: (typeof formats)[number];
}

export function register(program: Command, shell: Shell): void {
  const command = program
    .command("test")
    .summary("Do the policies do what they are for?")
    .description(
      "Run the cases of policy test files. A case that fails is shown with one connection that is not as expected, and " +
        "the rules that decided it. Exits with 1 when a case fails.",
    )
    .usage("FILE|DIR... [flags]")
    .argument("<files...>", "files or folders with PolicyTest documents, or - for stdin");
  addManifestOptions(addOutputOption(command, formats), { namespace: objectsNamespaceHelp });
  addColorOption(command)
    .addHelpText(
      "after",
      `
A test file:
  apiVersion: bulkhead.dev/v1alpha1
  kind: PolicyTest
  metadata: {name: shop}
  spec:
    resources: [../k8s/]        # relative to this file; without it, what -f names, or the current kube context
    cases:
    - {name: web reaches db, from: shop/deploy/web, to: shop/deploy/db, port: 5432, expect: allow}
    - {name: nobody else does, from: "*/*", except: [shop/deploy/web], to: shop/deploy/db, port: any, expect: deny}

Examples:
  bulkhead test policies_test.yaml
  bulkhead test tests/ -f k8s/ -R
  bulkhead test tests/ --with new-policy.yaml -o junit > report.xml

In a GitHub workflow (GITHUB_ACTIONS=true) the default of -o is github.`,
    )
    .action(async (files: string[], options: Omit<TestOptions, "files">) => {
      // In a workflow failed cases are shown where they are written.
      const isChosen = command.getOptionValueSource("output") !== "default";
      const isWorkflow = !isChosen && shell.io.env["GITHUB_ACTIONS"] === "true";
      shell.exitCode = await run({ ...options, files, ...(isWorkflow ? { output: "github" } : {}) }, shell.io);
    });
}

export async function run(options: TestOptions, io: Io): Promise<ExitCode> {
  const { readTestFiles, mistake } = await import("../test-files.ts");
  const { runPolicyTest, testResults } = await import("../../policy/analyze/policy-test.ts");
  const { tests, errors } = await readTestFiles(options.files, {
    recursive: options.recursive === true,
    stdin: io.stdin.read,
  });
  stopAt(errors, io);

  // Files that test the same manifests share a plan.
  const plans = new Map<string, Plan>();
  const results: TestResult[] = [];
  const problems: string[] = [];
  for (const { test, source, resources } of tests) {
    const filename = resources.length > 0 ? resources : (options.filename ?? []);
    const key = JSON.stringify(filename);
    const plan = plans.get(key) ?? (await readPlan({ ...options, filename }, io));
    plans.set(key, plan);
    const run = runPolicyTest(plan, test, source);
    results.push(...run.results);
    problems.push(...run.problems.map(({ path, message }) => mistake(source, path, message)));
  }
  stopAt(problems, io);
  const all = testResults(results);
  io.stdout.write(await render(all, options, io));
  return all.failed > 0 ? 1 : 0;
}

/** A test that can't be read, or asks about what is not there, proves nothing: no results at all. */
function stopAt(errors: readonly string[], io: Io): void {
  if (errors.length === 0) return;
  writeLines(io, ...errors);
  throw new CliError(`${errors.length} ${errors.length === 1 ? "error" : "errors"} in the test files`);
}

async function render(results: TestResults, options: TestOptions, io: Io): Promise<string> {
  const text = await import("../../report/test-results.ts");
  switch (options.output) {
    case "table":
      return text.testTable(results, styleFor(io.stdout, options, io.env));
    case "junit":
      return text.testJunit(results);
    case "tap":
      return text.testTap(results);
    case "github":
      return text.testGithub(results);
    case "json":
    case "yaml":
      return (await import("../../report/yaml.ts")).toData(options.output, results);
  }
}
