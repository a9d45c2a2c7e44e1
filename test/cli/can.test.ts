import { describe, expect, test } from "vitest";
import { bulkhead, shop } from "./run.ts";

describe("can", () => {
  test("allowed: exit 0, one line that names the rule and its line", async () => {
    const { code, stdout, stderr } = await bulkhead(["can", "shop/deploy/web", "shop/deploy/api", "8080", ...shop]);
    expect(code).toBe(0);
    expect(stdout).toBe(
      "allowed  shop/deployment/web → shop/deployment/api  8080/TCP · NetworkPolicy shop/api ingress[0] (test/cli/shop/policies.yaml:21)\n",
    );
    expect(stderr).toBe("");
  });

  test("denied: exit 1", async () => {
    const { code, stdout } = await bulkhead(["can", "shop/deploy/web", "shop/sts/db", "5432", ...shop]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^denied {3}shop\/deployment\/web → shop\/statefulset\/db {2}5432\/TCP · ingress isolated by /,
    );
    expect(stdout.split("\n")).toHaveLength(2);
  });

  test("a kind and a name may be two words, and -n gives the namespace", async () => {
    const { code } = await bulkhead(["can", "-n", "shop", "deploy", "web", "svc", "api", "80", ...shop]);
    expect(code).toBe(0);
  });

  test("flags may stand before the verb", async () => {
    const { code } = await bulkhead(["-n", "shop", ...shop, "can", "deploy/web", "deploy/api", "8080"]);
    expect(code).toBe(0);
  });

  test("a set that is not allowed shows a counterexample, and what is allowed", async () => {
    const { code, stdout } = await bulkhead(["can", "shop/*", "shop/deploy/api", ...shop]);
    expect(code).toBe(1);
    expect(stdout).toContain("shop/web → shop/api 1/TCP");
    expect(stdout).toContain("allowed for some: shop/web → shop/api 8080/TCP");
  });

  test("-o json is the contract, -o yaml says the same", async () => {
    const args = ["can", "shop/deploy/web", "shop/deploy/api", "8080", ...shop];
    const json = JSON.parse((await bulkhead([...args, "-o", "json"])).stdout) as Record<string, unknown>;
    expect(json).toMatchObject({
      apiVersion: "bulkhead.dev/v1alpha1",
      kind: "Verdict",
      from: "shop/deployment/web",
      to: "shop/deployment/api",
      protocol: "TCP",
      port: 8080,
      allowed: true,
    });
    const { parse } = await import("yaml");
    expect(parse((await bulkhead([...args, "-o", "yaml"])).stdout)).toEqual(json);
  });

  test("-q prints nothing", async () => {
    const { code, stdout, stderr } = await bulkhead(["can", "shop/deploy/web", "shop/sts/db", "-q", ...shop]);
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: "", stderr: "" });
  });

  test("manifests can come from stdin", async () => {
    const manifests = JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a", namespace: "default" },
      spec: { containers: [] },
    });
    const { code } = await bulkhead(["can", "a", "external", "443", "-f", "-"], { stdin: manifests });
    expect(code).toBe(0);
  });

  test("what if: --with and --without", async () => {
    const question = ["can", "shop/deploy/web", "shop/sts/db", "9187", ...shop];
    expect((await bulkhead(question)).code).toBe(1);
    expect((await bulkhead([...question, "--with", "test/cli/extra.yaml"])).code).toBe(0);
    const gone = ["--without", "NetworkPolicy/shop/db", "--without", "netpol/shop/default-deny"];
    expect((await bulkhead([...question, ...gone])).code).toBe(0);
  });

  test.each([
    ["a name that is not there", ["shop/deploy/wbe", "shop/deploy/api"], /did you mean "web"/],
    ["a reference that is none", ["shop/deploy/web", "a/b/c/d"], /"a\/b\/c\/d" is no endpoint reference/],
    ["a port that is none", ["shop/deploy/web", "shop/deploy/api", "99999"], /99999/],
    ["a port that the Service lacks", ["shop/deploy/web", "shop/svc/api", "81"], /81/],
    ["a word too many", ["shop/deploy/web", "shop/deploy/api", "80", "81"], /unexpected argument "81"/],
  ])("%s: exit 2", async (_, words, message) => {
    const { code, stdout, stderr } = await bulkhead(["can", ...words, ...shop]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toMatch(message);
  });
});

describe("input", () => {
  test("without -f, and without a cluster", async () => {
    const { code, stderr } = await bulkhead(["can", "a", "b"], { env: { KUBECONFIG: "nowhere" } });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: no manifests given \(-f FILE\|DIR\|-\) and no cluster to read: no current context in KUBECONFIG \(.*\)\n/,
    );
  });

  test("a file that is not there", async () => {
    const { code, stderr } = await bulkhead(["map", "-f", "nowhere.yaml"]);
    expect(code).toBe(2);
    expect(stderr).toContain('the path "nowhere.yaml" does not exist');
  });

  test("an empty input", async () => {
    const { code, stderr } = await bulkhead(["map", "-f", "-"], { stdin: "" });
    expect(code).toBe(2);
    expect(stderr).toContain("no objects");
  });

  const broken =
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: x}\nspec:\n  podSelector: {}\n  ingres: []\n";

  test("errors have their place, and no answer is given", async () => {
    const { code, stdout, stderr } = await bulkhead(["map", "-f", "-"], { stdin: broken });
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^-:6:\d+: .*ingres/);
    expect(stderr).toContain("--allow-partial");
  });

  test("--allow-partial answers, and still says what is wrong", async () => {
    const { code, stderr } = await bulkhead(["map", "-f", "-", "--allow-partial"], { stdin: broken });
    expect(code).toBe(0);
    expect(stderr).toMatch(/^-:6:\d+: warning: .*ingres/);
  });

  test("nothing that manifests or arguments say drives the terminal", async () => {
    const object = (apiVersion: string): string =>
      `apiVersion: ${apiVersion}\nkind: "A\\e[31m\\nerror: none"\nmetadata: {name: a}\n---\n`;
    const manifests = await bulkhead(["map", "-f", "-", "-v", "--allow-partial"], {
      stdin: object("v1") + object("example.com/v1"),
    });
    expect(manifests.stderr).toContain('no matches for kind "A\\u001b[31m\\nerror: none"');
    expect(manifests.stderr).toContain("ignored 1 example.com/v1/A\\u001b[31m\\nerror: none");
    const reference = await bulkhead(["can", "a\u001b[31m", "b", ...shop]);
    expect(reference.stderr).toContain('"a\\u001b[31m" is');
    for (const { stderr } of [manifests, reference]) expect(stderr).not.toContain("\u001b");
  });

  test("two readers of stdin", async () => {
    const { code, stderr } = await bulkhead(["can", "a", "b", "-f", "-", "--with", "-"]);
    expect(code).toBe(2);
    expect(stderr).toContain("stdin");
  });

  test("-v says what was read", async () => {
    const { stderr } = await bulkhead(["map", "-v", ...shop]);
    expect(stderr).toContain("read 9 objects from 2 files");
  });
});

describe("usage", () => {
  test("an unknown command is a suggestion away", async () => {
    const { code, stderr } = await bulkhead(["expalin"]);
    expect(code).toBe(2);
    expect(stderr).toBe("error: unknown command 'expalin'\n(Did you mean explain?)\nSee 'bulkhead --help'.\n");
  });

  test("an unknown flag as well", async () => {
    const { code, stderr } = await bulkhead(["map", "--ouput", "json"]);
    expect(code).toBe(2);
    expect(stderr).toContain("(Did you mean --output?)");
    expect(stderr).toContain("See 'bulkhead map --help'.");
  });

  test("a format that is none", async () => {
    const { code, stderr } = await bulkhead(["map", ...shop, "-o", "pdf"]);
    expect(code).toBe(2);
    expect(stderr).toContain("Allowed choices are table, matrix, json, yaml, csv, md, dot, mermaid, svg, html");
  });

  test("no words at all: help, on stdout", async () => {
    const { code, stdout } = await bulkhead([]);
    expect(code).toBe(0);
    expect(stdout).toContain("Examples:");
  });

  test.each(["can", "explain", "map", "diff", "test", "verify", "completion"])(
    "%s --help has examples",
    async (verb) => {
      const { code, stdout, stderr } = await bulkhead([verb, "--help"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/Examples:\n {2}\S/);
    },
  );
});

describe("colour", () => {
  const question = ["can", "shop/deploy/web", "shop/deploy/api", "8080", ...shop];
  const isColoured = async (args: readonly string[], around: Parameters<typeof bulkhead>[1]): Promise<boolean> =>
    (await bulkhead([...question, ...args], around)).stdout.includes("\u001b[");

  test("only on a terminal", async () => {
    expect(await isColoured([], { isTTY: true })).toBe(true);
    expect(await isColoured([], {})).toBe(false);
  });

  test("NO_COLOR, FORCE_COLOR and --color", async () => {
    expect(await isColoured([], { isTTY: true, env: { NO_COLOR: "1" } })).toBe(false);
    expect(await isColoured([], { env: { FORCE_COLOR: "1" } })).toBe(true);
    expect(await isColoured(["--color=always"], { env: { NO_COLOR: "1" } })).toBe(true);
    expect(await isColoured(["--color", "never"], { isTTY: true })).toBe(false);
    expect(await isColoured([], { isTTY: true, env: { TERM: "dumb" } })).toBe(false);
  });
});

describe("-n", () => {
  const manifest = JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec: { containers: [] } });

  test("is also the namespace of objects that name none, as for kubectl apply", async () => {
    const asked = await bulkhead(["can", "a", "external", "443", "-n", "shop", "-f", "-"], { stdin: manifest });
    expect(asked.stdout).toMatch(/^allowed {2}shop\/a → external/);
    const map = await bulkhead(["map", "-n", "shop", "-f", "-", "--no-headers"], { stdin: manifest });
    expect(map.stdout).toMatch(/^shop\/pod\/a|^shop\/a/);
  });
});
