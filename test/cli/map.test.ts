import { describe, expect, test } from "vitest";
import { bulkhead, here, shop } from "./run.ts";

const golden = (name: string): string => `./golden/${name}`;

describe("map", () => {
  test.each([
    ["table", "txt"],
    ["matrix", "matrix.txt"],
    ["json", "json"],
    ["yaml", "yaml"],
    ["csv", "csv"],
    ["md", "md"],
    ["dot", "dot"],
    ["mermaid", "mmd"],
    ["svg", "svg"],
    ["html", "html"],
  ])("-o %s", async (format, extension) => {
    const result = await bulkhead(["map", ...shop, "-o", format]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    // Style and script are the same on every page.
    const stdout = result.stdout.replace(/(<style>|<script>).*?(?=<\/style>|<\/script>)/gs, "$1");
    await expect(stdout).toMatchFileSnapshot(golden(`map.${extension}`));
  });

  test("-o csv: a class of addresses is all its CIDRs", async () => {
    const stdin = `apiVersion: v1
kind: Namespace
metadata: {name: default}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: []}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {}
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/30, except: [10.0.0.1/32]}}]}]`;
    const { stdout } = await bulkhead(["map", "-f", "-", "-o", "csv"], { stdin });
    expect(stdout).toContain("\n10.0.0.0/32 10.0.0.2/31,default/web,TCP,1,65535,\r\n");
  });

  test("policies without pods are no empty map", async () => {
    const stdin = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}";
    expect((await bulkhead(["map", "-f", "-"], { stdin })).stderr).toBe("No pods: there is nothing to connect.\n");
  });

  test("yaml says what json says", async () => {
    const { parse } = await import("yaml");
    const json = JSON.parse((await bulkhead(["map", ...shop, "-o", "json"])).stdout) as unknown;
    expect(parse((await bulkhead(["map", ...shop, "-o", "yaml"])).stdout)).toEqual(json);
  });

  test("--no-headers", async () => {
    const { stdout } = await bulkhead(["map", ...shop, "--no-headers"]);
    expect(stdout).not.toContain("FROM");
  });

  test("--focus keeps the connections of one reference", async () => {
    const { stdout } = await bulkhead(["map", ...shop, "--focus", "shop/sts/db", "--no-headers"]);
    expect(stdout).toBe("shop/deployment/api   shop/statefulset/db   5432/TCP\n");
  });

  test("-l keeps the connections of pods with labels", async () => {
    const { stdout } = await bulkhead(["map", ...shop, "-l", "app in (db)", "--no-headers"]);
    expect(stdout).toBe("shop/deployment/api   shop/statefulset/db   5432/TCP\n");
  });

  test("-n of a namespace that is not there is an error, not an empty map", async () => {
    const { code, stderr } = await bulkhead(["map", ...shop, "-n", "shp"]);
    expect(code).toBe(2);
    expect(stderr).toContain('no namespace "shp"');
  });

  test("-l that is no selector", async () => {
    const { code, stderr } = await bulkhead(["map", ...shop, "-l", "app=web=db"]);
    expect(code).toBe(2);
    expect(stderr).toContain("selector");
  });
});

describe("diff", () => {
  test.each([
    ["table", "txt"],
    ["json", "json"],
    ["md", "md"],
    ["mermaid", "mmd"],
  ])("-o %s", async (format, extension) => {
    const { code, stdout, stderr } = await bulkhead(["diff", ...shop, "--with", `${here}/extra.yaml`, "-o", format]);
    expect(code).toBe(1);
    await expect(stdout).toMatchFileSnapshot(golden(`diff.${extension}`));
    if (format === "table")
      expect(stderr).toBe("1 added, 0 removed, 1 changed: connectivity is widened and narrowed\n");
  });

  test("two folders that say the same: exit 0", async () => {
    const { code, stdout, stderr } = await bulkhead(["diff", `${here}/shop`, `${here}/shop`]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "no difference in connectivity\n" });
  });

  test("--fail-on", async () => {
    const widening = ["diff", ...shop, "--without", "NetworkPolicy/shop/db"];
    expect((await bulkhead([...widening, "--fail-on", "widened"])).code).toBe(1);
    expect((await bulkhead([...widening, "--fail-on", "narrowed"])).code).toBe(1);
    const narrowing = ["diff", ...shop, "--without", "NetworkPolicy/shop/web"];
    expect((await bulkhead([...narrowing, "--fail-on", "widened"])).code).toBe(0);
    expect((await bulkhead([...narrowing, "--fail-on", "narrowed"])).code).toBe(1);
  });

  test("nothing to compare with", async () => {
    const { code, stderr } = await bulkhead(["diff", ...shop]);
    expect(code).toBe(2);
    expect(stderr).toContain("nothing to compare with");
  });
});

describe("test", () => {
  test("all pass: exit 0", async () => {
    const { code, stdout } = await bulkhead(["test", `${here}/shop.test.yaml`]);
    expect(code).toBe(0);
    expect(stdout).toBe(
      "pass  shop: web calls the api\npass  shop: only the api reaches the database\n2 passed, 0 failed\n",
    );
  });

  test.each([
    ["table", "txt"],
    ["json", "json"],
    ["junit", "xml"],
    ["tap", "tap"],
    ["github", "github"],
  ])("-o %s", async (format, extension) => {
    const { code, stdout } = await bulkhead(["test", `${here}/failing.test.yaml`, "-o", format]);
    expect(code).toBe(1);
    await expect(stdout).toMatchFileSnapshot(golden(`test.${extension}`));
  });

  test("in a GitHub workflow the default is github", async () => {
    const env = { GITHUB_ACTIONS: "true" };
    const failing = ["test", `${here}/failing.test.yaml`];
    const { stdout } = await bulkhead(failing, { env });
    await expect(stdout).toMatchFileSnapshot(golden("test.github"));
    expect((await bulkhead([...failing, "-o", "table"], { env })).stdout).not.toContain("::error");
  });

  test("a reference that names nothing proves nothing: exit 2 with its line", async () => {
    const stdin = `apiVersion: bulkhead.dev/v1alpha1
kind: PolicyTest
metadata: {name: x, namespace: shop}
spec:
  cases:
  - {from: deploy/wbe, to: deploy/api, expect: allow}
`;
    const { code, stdout, stderr } = await bulkhead(["test", "-", ...shop], { stdin });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^-:6:\d+: .*wbe.*did you mean "web"/);
  });

  test("a misspelt field", async () => {
    const stdin = `apiVersion: bulkhead.dev/v1alpha1
kind: PolicyTest
metadata: {name: x}
spec:
  cases:
  - {from: a, to: b, expects: allow}
`;
    const { code, stderr } = await bulkhead(["test", "-", ...shop], { stdin });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^-:6:.*unknown field/m);
  });

  test("no tests in the file", async () => {
    const { code, stderr } = await bulkhead(["test", `${here}/shop/cluster.yaml`, ...shop]);
    expect(code).toBe(2);
    expect(stderr).toContain("no PolicyTest in");
  });
});

test("a map without connections says so, and prints no headers", async () => {
  const stdin = JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "x" } },
      { apiVersion: "v1", kind: "Pod", metadata: { name: "a", namespace: "x" }, spec: { containers: [] } },
      {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: "d", namespace: "x" },
        spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
      },
    ],
  });
  const found = await bulkhead(["map", "-f", "-"], { stdin });
  expect(found).toEqual({ code: 0, stdout: "", stderr: "No connections are allowed.\n" });
});
