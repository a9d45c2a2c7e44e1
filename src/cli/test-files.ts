/** Reads `PolicyTest` documents out of files and folders, with the places of their mistakes. */
import { dirname, isAbsolute, join } from "node:path";
import { parseFile } from "../manifests/documents.ts";
import { readInputs } from "../manifests/input.ts";
import { objectsOf } from "../manifests/objects.ts";
import { formatProblem } from "../manifests/problem.ts";
import type { TextFile } from "../manifests/text.ts";
import { decodePolicyTest, isPolicyTest, type PolicyTest } from "../policy/analyze/policy-test.ts";
import { formatPath, type Path, type Source } from "../policy/model/source.ts";

export interface TestFile {
  readonly test: PolicyTest;
  readonly source: Source;
  /** Paths of the manifests, from the working directory; [] = those of the command line. */
  readonly resources: readonly string[];
}

export interface TestFiles {
  readonly tests: readonly TestFile[];
  /** `file:line:col: message` */
  readonly errors: readonly string[];
}

/** `file:line:col: path: message` */
export function mistake(source: Source, path: Path, message: string): string {
  const { file, line, column } = source.position(path);
  return `${file}:${line}:${column}: ${path.length === 0 ? "" : `${formatPath(path)}: `}${message}`;
}

/** Other documents in the same files are left to whoever reads manifests. */
export async function readTestFiles(
  names: readonly string[],
  options: { readonly recursive: boolean; readonly stdin: () => Promise<string> },
): Promise<TestFiles> {
  const { files, problems } = await readInputs(names, options);
  const errors = problems.map(formatProblem);
  const tests = files.flatMap((file) => testsOf(file, errors));
  if (tests.length === 0 && errors.length === 0) {
    const hint = options.recursive ? "" : " (-R reads the folders in it too)";
    errors.push(`no PolicyTest in ${names.join(", ")}${hint}`);
  }
  return { tests, errors };
}

function testsOf(file: TextFile, errors: string[]): TestFile[] {
  const parsed = parseFile(file);
  for (const { message, offset } of parsed.errors)
    errors.push(
      formatProblem({ severity: "error", code: "syntax", message, position: file.position(offset), path: [] }),
    );
  return parsed.documents
    .flatMap((document) => objectsOf(file, document, (problem) => errors.push(formatProblem(problem))))
    .filter(({ value }) => isPolicyTest(value))
    .flatMap(({ value, source, duplicates }): TestFile[] => {
      for (const path of duplicates) errors.push(mistake(source, path, "the key is there twice"));
      const test = decodePolicyTest(value);
      if ("cases" in test) return [{ test, source, resources: test.resources.map((path) => beside(file.name, path)) }];
      for (const { path, message } of test) errors.push(mistake(source, path, message));
      return [];
    });
}

/** A path that a test file gives relative to itself. */
const beside = (file: string, path: string): string =>
  file === "-" || isAbsolute(path) ? path : join(dirname(file), path);
