import { expect, test } from "vitest";
import { subtestsOf } from "./cnp.ts";
import { casesOfJunit } from "./cyclonus.ts";
import { casesOf } from "./e2e.ts";
import { summary } from "./result.ts";

test("ginkgo's report: what was skipped for want of SCTP is named, what was not asked for is left out", () => {
  const spec = (LeafNodeText: string, State: string, more = {}) => ({
    LeafNodeType: "It",
    LeafNodeText,
    ContainerHierarchyTexts: ["Netpol"],
    State,
    RunTime: 2e9,
    ...more,
  });
  const report = [
    {
      SpecReports: [
        spec("allows", "passed"),
        spec("denies", "failed", { Failure: { Message: "first line\nsecond" } }),
        spec("SCTPConnectivity allows", "skipped"),
        spec("other", "skipped"),
        { ...spec("", "passed"), LeafNodeType: "BeforeSuite" },
      ],
    },
  ];
  const cases = casesOf(JSON.stringify(report));
  expect(cases.map(({ name, outcome, why }) => [name, outcome, why])).toEqual([
    ["Netpol allows", "pass", undefined],
    ["Netpol denies", "fail", "first line"],
    [
      "Netpol SCTPConnectivity allows",
      "skip",
      "no SCTP sockets in this kernel; raw INIT in test/conformance/netpol.test.ts",
    ],
  ]);
  expect(summary({ cases })).toBe("1 of 2 passed, 1 not run");
});

test("go test's output: subtests only", () => {
  const output = [
    "--- FAIL: TestConformanceProfiles (2.00s)",
    "    --- PASS: TestConformanceProfiles/EgressSCTP (0.00s)",
    "    --- FAIL: TestConformanceProfiles/Egress (2.00s)",
    "        --- PASS: TestConformanceProfiles/Egress/Should_allow (1.50s)",
    "        --- FAIL: TestConformanceProfiles/Egress/Should_deny (0.50s)",
  ].join("\n");
  expect(subtestsOf(output)).toEqual([
    { name: "Egress Should allow", outcome: "pass", seconds: 1.5 },
    { name: "Egress Should deny", outcome: "fail", seconds: 0.5 },
  ]);
});

test("cyclonus' JUnit file", () => {
  const xml = `<testsuite><testcase classname="" name="a &lt;b&gt; &#34;c&#34;" time=""></testcase>
    <testcase classname="" name="d" time=""><failure message="" type=""></failure></testcase><testcase name="d"/></testsuite>`;
  expect(casesOfJunit(xml).map(({ name, outcome }) => [name, outcome])).toEqual([
    ['a <b> "c"', "pass"],
    ["d", "fail"],
    ["d (2)", "pass"],
  ]);
});
