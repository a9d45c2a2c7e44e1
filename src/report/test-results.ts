/** `test` as table, JUnit XML, TAP 14 and GitHub workflow annotations. */
import type { TestResult, TestResults } from "../policy/analyze/types.ts";
import { githubData, githubProperty, oneLine, xml } from "./escape.ts";
import { formatNote } from "./note.ts";
import { place, reasonText } from "./reason.ts";
import { plain, type Style } from "./style.ts";
import { flowText } from "./verdict.ts";

const words = { allow: "allowed", deny: "denied", partly: "allowed only in part" } as const;

/** `expected denied, but is allowed: shop/api → shop/db 5432/TCP, by NetworkPolicy shop/db (db.yaml:12)` */
function failureText(result: TestResult): string {
  const flow = result.counterexample === undefined ? "" : `: ${flowText(result.counterexample)}`;
  const why = result.reasons.slice(0, 2).map((reason) => {
    const where = place(reason);
    return `${oneLine(reasonText(reason))}${where === "" ? "" : ` (${where})`}`;
  });
  const by =
    why.length > 0 ? `, by ${why.join(" and ")}` : result.counterexample === undefined ? "" : ", no policy decides it";
  return `expected ${words[result.expected]}, but is ${words[result.actual]}${flow}${by}`;
}

const location = ({ file, line }: TestResult): string => place({ file, line });

const summary = ({ passed, failed }: TestResults): string => `${passed} passed, ${failed} failed`;

/** One line a passed case, two a failed one; then the count. */
export function testTable(results: TestResults, style: Style = plain): string {
  const lines = results.results.flatMap((result) => {
    const name = `${oneLine(result.suite)}: ${oneLine(result.name)}`;
    const notes = result.notes.map((note) => `      ${style.faint(`note: ${formatNote(note)}`)}`);
    return result.passed
      ? [`${style.good("pass")}  ${name}`]
      : [`${style.bad("FAIL")}  ${name}  ${style.faint(location(result))}`, `      ${failureText(result)}`, ...notes];
  });
  const count = results.failed > 0 ? style.bad(summary(results)) : style.good(summary(results));
  return `${[...lines, count].join("\n")}\n`;
}

export function testTap({ results }: TestResults): string {
  // A `#` would start a directive, a backslash an escape.
  const name = (result: TestResult): string =>
    `${oneLine(result.suite)}: ${oneLine(result.name)}`.replace(/[\\#]/g, (c) => `\\${c}`);
  const lines = results.flatMap((result, i) => {
    const point = `${result.passed ? "ok" : "not ok"} ${i + 1} - ${name(result)}`;
    if (result.passed) return [point];
    return [
      point,
      "  ---",
      `  message: ${JSON.stringify(failureText(result))}`,
      `  at: ${JSON.stringify(location(result))}`,
      `  expected: ${result.expected}`,
      `  actual: ${result.actual}`,
      "  ...",
    ];
  });
  return `${["TAP version 14", `1..${results.length}`, ...lines].join("\n")}\n`;
}

export function testJunit(results: TestResults): string {
  const suites = new Map<string, TestResult[]>();
  for (const result of results.results) {
    const key = `${result.file}\u0000${result.suite}`;
    suites.set(key, [...(suites.get(key) ?? []), result]);
  }
  const body = [...suites.values()].flatMap((list) => {
    const { suite, file } = list[0]!;
    const failures = list.filter(({ passed }) => !passed).length;
    return [
      `  <testsuite name="${xml(suite)}" file="${xml(file)}" tests="${list.length}" failures="${failures}" errors="0" skipped="0">`,
      ...list.map((result) => {
        const line = result.line === null ? "" : ` line="${result.line}"`;
        const open = `    <testcase classname="${xml(suite)}" name="${xml(result.name)}" file="${xml(file)}"${line}`;
        if (result.passed) return `${open}/>`;
        const text = xml(failureText(result));
        return `${open}><failure message="${text}">${xml(location(result))}: ${text}</failure></testcase>`;
      }),
      "  </testsuite>",
    ];
  });
  const total = results.passed + results.failed;
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="bulkhead" tests="${total}" failures="${results.failed}" errors="0">`,
    ...body,
    "</testsuites>",
  ].join("\n")}\n`;
}

/** Annotations at the failed cases, which GitHub shows in the pull request. */
export function testGithub(results: TestResults): string {
  const annotations = results.results.flatMap((result) => {
    if (result.passed) return [];
    const line = result.line === null ? "" : `,line=${result.line}`;
    const title = githubProperty(`${result.suite}: ${result.name}`);
    return [`::error file=${githubProperty(result.file)}${line},title=${title}::${githubData(failureText(result))}`];
  });
  return `${[...annotations, summary(results)].join("\n")}\n`;
}
