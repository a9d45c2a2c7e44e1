/** What only a real process shows: exit codes, pipes that close, signals, the launcher's way in. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { here } from "./run.ts";

const main = ["--disable-warning=ExperimentalWarning", "src/cli/main.ts"];
const run = (args: readonly string[], options: Parameters<typeof spawnSync>[2] = {}) =>
  spawnSync(process.execPath, [...main, ...args], {
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "" },
    ...options,
  });

describe("the process", () => {
  test("--version", () => {
    const { status, stdout, stderr } = run(["--version"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^bulkhead \d+\.\d+\.\d+\n$/);
  });

  test("answers on stdout, exit code from the verdict", () => {
    const ask = (to: string) => run(["can", "shop/deploy/web", to, "8080", "-f", `${here}/shop`]);
    expect(ask("shop/deploy/api")).toMatchObject({ status: 0, stderr: "" });
    expect(ask("shop/sts/db")).toMatchObject({ status: 1, stderr: "" });
  });

  test("a wrong flag: exit 2, nothing on stdout, no stack trace", () => {
    const { status, stdout, stderr } = run(["can", "a", "b", "--nonsense"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^error: unknown option '--nonsense'\n/);
    expect(stderr).not.toMatch(/ at .*\.ts:/);
  });

  test("no input on stdin", () => {
    const { status, stderr } = run(["map", "-f", "-"], { input: "" });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error: |no objects/);
  });

  test("stdin that is no text", () => {
    const { status, stderr } = run(["map", "-f", "-"], { input: Buffer.from([0xff, 0xfe, 0x00]) });
    expect(status).toBe(2);
    expect(stderr).toContain("-: not a text in UTF-8\n");
  });

  test("a reader that goes away ends it quietly", () => {
    const pipeline = `"$0" ${main.join(" ")} map -f ${here}/shop -o html | head -n 1`;
    const { stdout, stderr } = spawnSync("sh", ["-c", pipeline, process.execPath], { encoding: "utf8" });
    expect(stdout).toBe("<!DOCTYPE html>\n");
    expect(stderr).toBe("");
  });

  test("Ctrl-C while it waits for stdin", async () => {
    const child = spawn(process.execPath, [...main, "map", "-f", "-"], { stdio: ["pipe", "pipe", "pipe"] });
    await isReading(child);
    child.kill("SIGINT");
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    // A shell sees 130 for either.
    expect(code === 130 || signal === "SIGINT").toBe(true);
  });
});

/** The process has loaded its program and waits: enough that it takes what is written to it. */
async function isReading(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => child.stdin!.write("# a comment\n".repeat(10_000), () => resolve()));
}
