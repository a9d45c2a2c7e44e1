import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { bulkhead, shop } from "./run.ts";

/** Values and directive for words that end in what is being typed. */
async function complete(...words: string[]): Promise<{ values: string[]; directive: string }> {
  const { code, stdout } = await bulkhead(["__completeNoDesc", ...words]);
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split("\n");
  return { values: lines.slice(0, -1), directive: lines.at(-1)! };
}

describe("__complete", () => {
  test("verbs, with what they are for", async () => {
    const { stdout } = await bulkhead(["__complete", ""]);
    expect(stdout).toContain("can\tMay FROM open a connection to TO?\n");
    expect(stdout.endsWith(":4\n")).toBe(true);
    expect((await complete("ex")).values).toEqual(["explain"]);
  });

  test("flags of the verb", async () => {
    expect((await complete("map", "--f")).values).toEqual(["--filename", "--focus"]);
    expect((await complete("diff", "--fail")).values).toEqual(["--fail-on"]);
  });

  test("values of flags, in both forms", async () => {
    expect((await complete("map", "-o", "m")).values).toEqual(["matrix", "md", "mermaid"]);
    expect((await complete("map", "--output=s")).values).toEqual(["--output=svg"]);
    expect((await complete("can", "--family", "")).values).toEqual(["IPv4", "IPv6"]);
  });

  test("files where files are due", async () => {
    expect(await complete("map", "-f", "")).toEqual({ values: [], directive: ":0" });
    expect(await complete("test", "")).toEqual({ values: [], directive: ":0" });
    expect(await complete("diff", "a")).toEqual({ values: [], directive: ":0" });
  });

  test("references out of the manifests", async () => {
    const { values, directive } = await complete("can", ...shop, "shop/d");
    expect(values).toEqual(["shop/deploy/api", "shop/deploy/web"]);
    expect(directive).toBe(":4");
    expect((await complete("can", ...shop, "shop/deploy/web", "shop/s")).values).toEqual([
      "shop/sts/db",
      "shop/svc/api",
    ]);
    expect((await complete("can", ...shop, "a", "b", "5")).values).toEqual(["5432"]);
    expect((await complete("map", ...shop, "--focus", "ext")).values).toEqual(["external"]);
  });

  test("namespaces and objects to leave out", async () => {
    expect((await complete("map", ...shop, "-n", "")).values).toEqual(["shop"]);
    expect((await complete("can", ...shop, "--without", "NetworkPolicy/shop/d")).values).toEqual([
      "NetworkPolicy/shop/db",
      "NetworkPolicy/shop/default-deny",
    ]);
  });

  test("broken manifests are no reason to fail", async () => {
    expect((await complete("can", "-f", "nowhere", "ext")).values).toEqual(["external"]);
  });
});

describe("completion", () => {
  test.each(["bash", "zsh", "fish", "powershell"])("%s", async (shell) => {
    const { code, stdout } = await bulkhead(["completion", shell]);
    expect(code).toBe(0);
    expect(stdout).toContain("__complete");
  });

  test("the bash script is bash, and completes", async () => {
    const { stdout } = await bulkhead(["completion", "bash"]);
    const script = `${stdout}
bulkhead() { printf 'explain\\n:4\\n'; }
COMP_LINE="bulkhead ex" COMP_POINT=11 COMP_WORDS=(bulkhead ex) COMP_CWORD=1
_bulkhead
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const result = spawnSync("bash", ["--norc", "-euc", script], { encoding: "utf8" });
    expect(result).toMatchObject({ stdout: "explain\n", stderr: "", status: 0 });
  });

  test("an unknown shell", async () => {
    const { code, stderr } = await bulkhead(["completion", "tcsh"]);
    expect(code).toBe(2);
    expect(stderr).toContain("Allowed choices are bash, zsh, fish, powershell");
  });
});
