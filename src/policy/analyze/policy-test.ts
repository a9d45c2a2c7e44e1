/** Policy unit tests: `PolicyTest` documents, read strictly, and run against a plan. */
import { type Family, families } from "../../net/address.ts";
import type { Plan } from "../compile/plan.ts";
import type { Path, Source } from "../model/source.ts";
import type { Outcome, Verdict } from "../model/verdict.ts";
import { type Asked, askInDetail, flowEntry, verdictOf } from "./ask.ts";
import { reasonEntry } from "./entries.ts";
import { anyPort, type PortReference, parsePort } from "./port-reference.ts";
import { parseReference, type Reference } from "./reference.ts";
import { apiVersion, isProblem, type Problem, type ReasonEntry, type TestResult, type TestResults } from "./types.ts";

/** A mistake at a field of a test file: exit 2. */
export interface TestProblem extends Problem {
  readonly path: Path;
}

/** @example {name: "web reaches db", from: shop/web, to: shop/db, except: [], port: 5432/TCP, family: null, expect: "allow", path: ["spec", "cases", 0]} */
export interface PolicyTestCase {
  readonly name: string;
  readonly from: Reference;
  readonly to: Reference;
  /** Left out of `from`. */
  readonly except: readonly Reference[];
  readonly port: PortReference;
  readonly family: Family | null;
  readonly expect: Outcome;
  readonly path: Path;
}

export interface PolicyTest {
  readonly name: string;
  /** Files and folders, relative to the test file; [] = what the command was given. */
  readonly resources: readonly string[];
  readonly cases: readonly PolicyTestCase[];
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Is this document a policy test at all? */
export const isPolicyTest = (value: unknown): boolean =>
  isObject(value) && value["kind"] === "PolicyTest" && String(value["apiVersion"]).startsWith("bulkhead.dev/");

/**
 * Reads a `PolicyTest` document. Unknown fields and references that can't be read are problems; names are looked up when
 * the test runs. References without a namespace are in `metadata.namespace`, or in `default`.
 */
export function decodePolicyTest(document: unknown): PolicyTest | readonly TestProblem[] {
  const reader = new Reader();
  const root = reader.object(document, [], ["apiVersion", "kind", "metadata", "spec"]);
  if (root["apiVersion"] !== apiVersion) reader.bad(["apiVersion"], `must be "${apiVersion}"`);
  if (root["kind"] !== "PolicyTest") reader.bad(["kind"], 'must be "PolicyTest"');
  const metadata = reader.object(root["metadata"] ?? {}, ["metadata"], ["name", "namespace", "labels", "annotations"]);
  const name = reader.text(metadata["name"] ?? "", ["metadata", "name"]);
  const defaultNamespace = reader.text(metadata["namespace"] ?? "default", ["metadata", "namespace"]);
  const spec = reader.object(root["spec"], ["spec"], ["resources", "cases"]);
  const resources = reader
    .list(spec["resources"] ?? [], ["spec", "resources"])
    .map((one, i) => reader.text(one, ["spec", "resources", i]));
  const cases = reader
    .list(spec["cases"], ["spec", "cases"])
    .map((one, i) => reader.case(one, ["spec", "cases", i], defaultNamespace));
  if (cases.length === 0) reader.bad(["spec", "cases"], "at least one case is required");
  return reader.problems.length > 0 ? reader.problems : { name, resources, cases };
}

const caseFields = ["name", "from", "to", "except", "port", "family", "expect"];

class Reader {
  readonly problems: TestProblem[] = [];

  bad(path: Path, message: string): void {
    this.problems.push({ problem: "bad-test", message, path });
  }

  object(value: unknown, path: Path, known: readonly string[]): Fields {
    if (!isObject(value)) {
      this.bad(path, value === undefined || value === null ? "required" : "must be an object");
      return {};
    }
    for (const field of Object.keys(value)) if (!known.includes(field)) this.bad([...path, field], "unknown field");
    return value;
  }

  list(value: unknown, path: Path): readonly unknown[] {
    if (Array.isArray(value)) return value;
    this.bad(path, value === undefined || value === null ? "required" : "must be a list");
    return [];
  }

  text(value: unknown, path: Path): string {
    if (typeof value === "string") return value;
    this.bad(path, value === undefined || value === null ? "required" : "must be a string");
    return "";
  }

  case(value: unknown, path: Path, defaultNamespace: string): PolicyTestCase {
    const fields = this.object(value, path, caseFields);
    const reference = (one: unknown, at: Path): Reference => {
      const text = typeof one === "string" ? one : null;
      if (text === null) this.bad(at, one === undefined || one === null ? "required" : "must be a string; quote it");
      const parsed = text === null ? null : this.parsed(parseReference(text, { defaultNamespace }), at);
      return parsed ?? { kind: "external" };
    };
    const from = reference(fields["from"], [...path, "from"]);
    const to = reference(fields["to"], [...path, "to"]);
    const except = this.list(fields["except"] ?? [], [...path, "except"]);
    return {
      name:
        fields["name"] === undefined
          ? `${fields["from"]} to ${fields["to"]}`
          : this.text(fields["name"], [...path, "name"]),
      from,
      to,
      except: except.map((one, i) => reference(one, [...path, "except", i])),
      port: this.#port(fields["port"], [...path, "port"]),
      family: this.#choice(fields["family"] ?? null, [null, ...families], [...path, "family"], "IPv4 or IPv6"),
      expect: this.#choice<Outcome>(fields["expect"], ["allow", "deny"], [...path, "expect"], "allow or deny"),
      path,
    };
  }

  parsed<T extends object>(result: T | Problem, path: Path): T | null {
    if (!isProblem(result)) return result;
    this.problems.push({ ...result, path });
    return null;
  }

  #port(value: unknown, path: Path): PortReference {
    if (value === undefined || value === null) return anyPort;
    if (typeof value === "string" || typeof value === "number")
      return this.parsed(parsePort(String(value)), path) ?? anyPort;
    this.bad(path, "must be a number or a string");
    return anyPort;
  }

  #choice<T>(value: unknown, allowed: readonly T[], path: Path, words: string): T {
    const found = allowed.find((one) => one === value);
    if (found !== undefined) return found;
    this.bad(path, value === undefined ? `required: ${words}` : `must be ${words}`);
    return allowed[0]!;
  }
}

/** The results of one test file; cases that could not be asked are problems, not failures. */
export interface PolicyTestRun {
  readonly results: readonly TestResult[];
  readonly problems: readonly TestProblem[];
}

/** Runs every case. `source` gives the file's name and lines. */
export function runPolicyTest(plan: Plan, test: PolicyTest, source: Source): PolicyTestRun {
  const results: TestResult[] = [];
  const problems: TestProblem[] = [];
  for (const one of test.cases) {
    const { family, ...question } = one;
    const asked = askInDetail(plan, { ...question, ...(family === null ? {} : { family }) });
    if (isProblem(asked)) problems.push({ ...asked, path: one.path });
    else results.push(resultOf(test, one, asked, source));
  }
  return { results, problems };
}

function resultOf(test: PolicyTest, { name, expect, path }: PolicyTestCase, asked: Asked, source: Source): TestResult {
  const { allowed, partly, notes } = asked.answer;
  const actual = allowed ? "allow" : partly ? "partly" : "deny";
  const passed = actual === expect;
  const told = passed ? asked.told : expect === "allow" ? asked.found.counterexample : asked.found.example;
  const verdict = verdictOf(asked.plan, told ?? asked.told, asked.question.viaService);
  return {
    file: source.file,
    line: source.position(path).line,
    suite: test.name,
    name,
    passed,
    expected: expect,
    actual,
    ...(passed || told === null ? {} : { counterexample: flowEntry(told) }),
    reasons: decidingReasons(verdict),
    notes,
  };
}

/** Of a denied flow: what denies it; of an allowed one: what allows it in either direction. */
function decidingReasons({ allowed, egress, ingress }: Verdict): readonly ReasonEntry[] {
  return [egress, ingress]
    .filter(({ verdict }) => allowed || verdict === "deny")
    .flatMap(({ reasons }) => reasons.map(reasonEntry));
}

/** All results of a run, in the shape of `test -o json`. */
export function testResults(results: readonly TestResult[]): TestResults {
  const passed = results.filter((result) => result.passed).length;
  return { apiVersion, kind: "TestResults", passed, failed: results.length - passed, results };
}
