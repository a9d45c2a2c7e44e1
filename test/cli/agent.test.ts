/** What someone meets who runs `agent` or `cni` by hand, and something is wrong or missing. Nothing here touches a kernel. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bulkhead } from "./run.ts";

const isLinux = process.platform === "linux";
let folder: string;
/** Names an API server that is not there: an agent that only got as far as asking it would say so. */
let kubeconfig: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-"));
  kubeconfig = join(folder, "config");
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      "current-context": "away",
      contexts: [{ name: "away", context: { cluster: "away" } }],
      clusters: [{ name: "away", cluster: { server: "https://127.0.0.1:1" } }],
    }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.runIf(isLinux)("agent", () => {
  const own = ["--node-name", "n1"];
  test.each([
    ["no node", [], /^error: --node-name \(or NODE_NAME\) is needed\nThe name of this machine's Node object: /],
    [
      "no cluster",
      own,
      /^error: no current context in KUBECONFIG \(.*\)\nOutside a pod the agent needs a kubeconfig: /,
    ],
    ["a kubeconfig that is not there", [...own, "--kubeconfig", "/none"], /^error: kubeconfig \/none: no such file\n/],
    [
      "a flag that is none",
      ["--node-nam", "n1"],
      /^error: unknown option '--node-nam'\n\(Did you mean --node-name\?\)\n/,
    ],
    ["a word too many", [...own, "x"], /^error: too many arguments for 'agent'/],
    ["a range that is none", [...own, "--pod-cidr", "10.0.0.0/33"], /^error: --pod-cidr 10\.0\.0\.0\/33: not a CIDR\n/],
    ["an interface that is none", [...own, "--pod-interface", "a b"], /^error: pod interface "a b": not a name\n/],
    ["an address that is none", [...own, "--health-address", "x"], /^error: --health-address x: must be ADDRESS:PORT/],
    ["a mask in two pieces", [...own, "--mark-mask", "0xf0f0"], /^error: .*two or more bits in one piece/],
    ["two orders at once", ["--check", "--uninstall"], /^error: --check or --uninstall, not both\n/],
    // They go into a script of nft: not even those who only look, or take away, may say anything else with them.
    ["a table to look for", ["--check", "--table", "x; flush ruleset"], /^error: --table x; flush ruleset: not a name/],
    [
      "a table to remove",
      ["--uninstall", "--table", "x; flush ruleset"],
      /^error: --table x; flush ruleset: not a name/,
    ],
    ["a range to look at", ["--check", "--pod-cidr", "x"], /^error: --pod-cidr x: not a CIDR\n/],
  ])("%s: exit 2, in words", async (_, args, message) => {
    const { code, stdout, stderr } = await bulkhead(["agent", ...args], { env: { KUBECONFIG: "/nowhere" } });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/ at .*:\d+/);
  });

  /** As root of a container that was not given NET_ADMIN, or as a user. */
  const unable = (...args: readonly string[]): { status: number | null; stdout: string; stderr: string } => {
    const drop = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
    const main = ["--disable-warning=ExperimentalWarning", "src/cli/main.ts", "agent", ...args];
    const [program, ...words] = [...drop, process.execPath, ...main];
    return spawnSync(program!, words, { encoding: "utf8", env: { ...process.env, KUBECONFIG: kubeconfig } });
  };

  test.each([
    ["enforcing", ["--node-name", "n1"]],
    ["removing", ["--uninstall"]],
  ])("%s without the right to: what is missing, at once", (_, args) => {
    expect(unable(...args)).toMatchObject({
      status: 2,
      stdout: "",
      stderr: "error: NET_ADMIN is missing: run it as root, or add it\n",
    });
  });

  test("--check says all that it can without rights and without the API server, each where it belongs", () => {
    const { status, stdout, stderr } = unable("--check", "--node-name", "n1", "--output", "json");
    expect({ status, stderr }).toEqual({ status: 2, stderr: "" });
    const { findings } = JSON.parse(stdout) as { findings: readonly { name: string; state: string; text: string }[] };
    const found = new Map(findings.map(({ name, state, text }) => [name, { state, text }]));
    expect(found.get("rights")?.state).toBe("problem");
    expect(found.get("nftables")?.state).toBe("unknown");
    expect(found.get("cluster")).toEqual({
      state: "unknown",
      text: expect.stringMatching(/^context "away" \(https:\/\/127\.0\.0\.1:1\): (?!context)/) as string,
    });
  });
});

describe.runIf(isLinux)("cni", () => {
  test.each([
    ["by hand", [], /^error: bulkhead cni is called by container runtimes, which set CNI_COMMAND\nTo put it /],
    ["an action that is none", ["instal"], /^error: .*Allowed choices are install, uninstall, config/],
    ["a folder that is not there", ["config", "--conf-dir", "/none"], /^error: \/none has no network configuration\n/],
    ["longer than kubelet waits", ["install", "--timeout-seconds", "500"], /^error: .*above 0 and at most 110/],
  ])("%s: exit 2, in words", async (_, args, message) => {
    const { code, stdout, stderr } = await bulkhead(["cni", ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test("a runtime's call is answered in a runtime's words", async () => {
    const { code, stdout } = await bulkhead(["cni"], { env: { CNI_COMMAND: "ADD" } });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ code: 6, msg: expect.stringContaining("not JSON") as string });
  });
});
