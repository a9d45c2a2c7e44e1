/** `bulkhead verify` as a program: what it says, what it leaves behind, and that it would notice. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { allot } from "../../src/sandbox/allot.ts";
import { Judge } from "../../src/sandbox/judge.ts";
import { questions } from "../../src/sandbox/questions.ts";
import { Sandbox } from "../../src/sandbox/sandbox.ts";
import type { Verification } from "../../src/sandbox/verification.ts";
import { assertedCases, worldOf } from "../spec/cases.ts";
import { describeKernel, requireKernel } from "./support.ts";

const root = resolve(import.meta.dirname, "../..");
const program = join(root, "src/cli/main.ts");

const pod = (name: string, node: string, ip: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name}}}
spec: {nodeName: ${node}, containers: [{name: main, image: main, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIPs: [{ip: ${ip}}]}
---`;
const manifests = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---${pod("web", "n1", "10.244.1.1")}${pod("db", "n2", "10.244.2.1")}
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, clusterIP: 10.96.0.9, ports: [{port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: http}]
`;
/** Enough to be at it for some seconds. */
const manyPods = Array.from({ length: 150 }, (_, i) => pod(`p${i}`, `n${i % 3}`, `10.244.${i % 3}.${i}`)).join("");

const run = (args: readonly string[], input = "", env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [program, "verify", ...args], {
    input,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });

/** What a run could leave on the machine: a namespace without a name cannot outlive the processes that are in it. */
const traces = (): string =>
  ["ip netns list", "ip -o link", "nft list tables"]
    .map((command) => spawnSync("sh", ["-c", command], { encoding: "utf8" }).stdout)
    .join("\n");

describeKernel("bulkhead verify", () => {
  let folder: string;
  let small: string;
  let big: string;

  beforeAll(() => {
    requireKernel();
    folder = mkdtempSync(join(tmpdir(), "bulkhead-verify-"));
    small = join(folder, "small.yaml");
    big = join(folder, "big.yaml");
    writeFileSync(small, manifests);
    writeFileSync(big, manyPods);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("agrees on a small world, and shows the matrix", () => {
    const { status, stdout, stderr } = run(["-f", small]);
    expect(stderr).toContain("note: Nodes that only pods name were added: n1, n2.");
    expect(stdout).toMatch(/shop\/db +\S+ +\. +\. +\. +\./);
    expect(stdout).toContain("engine, reference and kernel agree");
    expect(status).toBe(0);
  });

  test("-o json has a cell for every connection, each three times the same", () => {
    const { status, stdout } = run(["-f", "-", "-o", "json", "--protocol", "tcp"], manifests);
    const found = JSON.parse(stdout) as Verification;
    expect(found).toMatchObject({ kind: "Verification", agree: true, complete: true, mismatches: [] });
    expect(new Set(found.cells.map(({ protocol }) => protocol))).toEqual(new Set(["TCP"]));
    for (const { engine, reference, kernel } of found.cells) expect([reference, kernel]).toEqual([engine, engine]);
    expect(found.cells.find(({ from, to, port }) => from === "shop/web" && to === "shop/db" && port === 8080)).toEqual({
      from: "shop/web",
      to: "shop/db",
      address: "10.244.2.1",
      family: "IPv4",
      protocol: "TCP",
      port: 8080,
      service: null,
      engine: "allow",
      reference: "allow",
      kernel: "allow",
    });
    expect(found.cells).toContainEqual(
      expect.objectContaining({ from: "shop/web", service: { ref: "shop/service/db", port: 80 }, kernel: "allow" }),
    );
    expect(
      found.evidence.drops.map(({ node, direction, reasons }) => [node, direction, reasons[0]!.policy.name]),
    ).toEqual([["n2", "ingress", "db"]]);
    expect(found.evidence.logged).toBe(found.evidence.counted);
    expect(found.evidence.dropped).toBe(found.cells.filter(({ kernel }) => kernel === "deny").length);
    expect(status).toBe(0);
  });

  test("a kernel that enforces something else is noticed", async () => {
    const cases = assertedCases("Reachability").find(({ id }) => id === "G002")!;
    const { world } = allot(worldOf(cases.fixture, cases.policies));
    const plan = compile(world);
    const sandbox = await Sandbox.up(world);
    try {
      await sandbox.program(compile({ ...world, policies: [] }));
      const asked = [...questions(plan, world, { protocols: ["TCP"] })];
      const judge = new Judge(plan, world, sandbox);
      const judgements = (await sandbox.probe(asked)).map((observation, i) => judge.judge(asked[i]!, observation));
      const denied = judgements.filter(({ engine }) => !engine.allowed);
      expect(denied.length).toBeGreaterThan(0);
      for (const { mismatches } of denied) expect(mismatches).toEqual(["the engine says deny, the kernel says allow"]);
    } finally {
      await sandbox.down();
    }
  });

  /** Starts a long run, and sends a signal once its pods are there. Returns the exit code, null for a sudden end. */
  const interrupted = async (signal: NodeJS.Signals): Promise<number | null> => {
    const child = spawn(process.execPath, [program, "verify", "-f", big], { stdio: "ignore" });
    const ended = new Promise<number | null>((done) => child.on("exit", done));
    const files = `/proc/${child.pid}/fd`;
    const namespaces = (): number =>
      readdirSync(files).filter((fd) => {
        try {
          return readlinkSync(join(files, fd)).startsWith("net:");
        } catch {
          return false; // closed meanwhile
        }
      }).length;
    while (child.exitCode === null && namespaces() < 150) await new Promise((done) => setTimeout(done, 20));
    child.kill(signal);
    return ended;
  };

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 130],
    ["SIGKILL", null],
  ] as const)("%s ends it with %s, and nothing is left", async (signal, code) => {
    const before = traces();
    expect(await interrupted(signal)).toBe(code);
    expect(traces()).toEqual(before);
    expect(spawnSync("pgrep", ["-f", big], { encoding: "utf8" }).stdout).toBe("");
  });

  // Only root can become somebody else, and that somebody must be able to read this checkout.
  const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const canBeNobody = (): boolean => spawnSync("setpriv", [...nobody, "cat", program]).status === 0;
  const asNobody = (env: Record<string, string>) =>
    spawnSync("setpriv", [...nobody, process.execPath, program, "verify", "-q", "-f", "-"], {
      input: manifests,
      encoding: "utf8",
      env: { ...process.env, ...env },
    });

  test("without root it runs in a user namespace of its own", ({ skip }) => {
    skip(!canBeNobody());
    const { status, stdout, stderr } = asNobody({});
    expect(stderr).not.toContain("error");
    expect(stdout).toContain("engine, reference and kernel agree");
    expect(status).toBe(0);
  });

  test("where not even that is possible it says so, and what to do", ({ skip }) => {
    skip(!canBeNobody());
    // As it would find itself if the user namespace had not helped.
    const { status, stderr } = asNobody({ BULKHEAD_USER_NAMESPACE: "1" });
    expect(stderr).toMatch(/^error: verify may not make network namespaces here: .*\nRun it as root, or allow/);
    expect(status).toBe(2);
  });

  test("the program nft does as well as the library", () => {
    const { status, stdout } = run(["-f", small, "-q", "--family", "ipv4"], "", { BULKHEAD_NFT: "nft" });
    expect(stdout).toContain("engine, reference and kernel agree");
    expect(status).toBe(0);
  });

  test("too low a limit of open files is an error that says so", () => {
    const { status, stderr } = spawnSync(
      "sh",
      ["-c", 'ulimit -n 150; exec "$0" "$@"', process.execPath, program, "verify", "-f", big],
      { encoding: "utf8" },
    );
    expect(stderr).toContain("error: the limit of open files is too low\n");
    expect(status).toBe(2);
  });

  test("without a pod there is nothing to verify", () => {
    const { status, stderr } = run(["-f", "-"], manifests.slice(manifests.indexOf("apiVersion: networking")));
    expect(stderr).toContain("error: there is no pod and no workload to verify with");
    expect(status).toBe(2);
  });

  test("what cannot be built is an error with a reason", () => {
    const { status, stderr } = run(["-f", "-"], `${pod("a", "n1", "10.0.0.1")}${pod("b", "n1", "10.0.0.1")}`);
    expect(stderr).toContain("error: pod shop/a and pod shop/b have the same address, 10.0.0.1");
    expect(status).toBe(2);
  });
});
