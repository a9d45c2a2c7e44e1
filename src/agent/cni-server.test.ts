import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, Unreachable } from "../cni/ask.ts";
import { longestLine, type Operation, type PodName } from "../cni/protocol.ts";
import { type CniCall, type CniServer, serveCni } from "./cni-server.ts";
import { forever, RecordingGate } from "./recording-gate.arbitrary.ts";

const pod: PodName = { namespace: "shop", name: "web-0", uid: "6f1c" };
const question = (operation: Operation, ips: readonly string[] = ["10.1.0.5", "FD00:0::5"]) => ({
  operation,
  pod: operation === "status" ? null : pod,
  ips,
});
const once = { timeout: 10_000, retry: false };

let folder: string;
let path: string;
let gate: RecordingGate;
let server: CniServer | undefined;
let calls: CniCall[];
let problems: string[];

const serve = async (): Promise<void> => {
  server = await serveCni(path, gate, {
    onCall: (call) => calls.push(call),
    onProblem: (problem) => problems.push(problem),
  });
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-cni-"));
  path = join(folder, "run", "cni.sock");
  gate = new RecordingGate();
  calls = [];
  problems = [];
  await serve();
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

describe("the socket", () => {
  test("is root's alone, and gone after the end", async () => {
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect(statSync(join(folder, "run")).mode & 0o7777).toBe(0o755);
    await server!.close();
    expect(existsSync(path)).toBe(false);
  });

  test("replaces what a killed agent left, and is not taken away by one that ends late", async () => {
    const first = server!;
    await serve();
    await first.close();
    expect(await ask(path, question("status", []), once)).toMatchObject({ ok: true });
  });

  test("does not replace what is no socket", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    await expect(serveCni(file, gate)).rejects.toThrow("not a socket");
  });
});

describe("questions", () => {
  test("a pod is admitted with canonical addresses", async () => {
    expect(await ask(path, question("add"), once)).toMatchObject({ ok: true });
    expect(gate.seen).toEqual([{ what: "admit", pod, ips: ["10.1.0.5", "fd00::5"] }]);
    await vi.waitFor(() => expect(calls).toMatchObject([{ operation: "add", pod, response: { ok: true } }]));
  });

  test("the answer waits for the admission, others don't wait for it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate.admission = () => promise;
    let answered = false;
    const first = ask(path, question("add"), once).then((response) => {
      answered = true;
      return response;
    });
    await vi.waitFor(() => expect(gate.seen).toHaveLength(1));
    expect(await ask(path, question("status", []), once)).toMatchObject({ ok: true });
    expect(answered).toBe(false);
    resolve();
    expect(await first).toMatchObject({ ok: true });
  });

  test("a failed admission says why", async () => {
    gate.admission = async () => {
      throw new Error("the kernel refused");
    };
    expect(await ask(path, question("add"), once)).toMatchObject({ refusal: "failed", message: "the kernel refused" });
  });

  test("an admission that takes too long is aborted before the plugin gives up", async () => {
    gate.admission = forever;
    const response = await ask(path, question("add"), { timeout: 1000, retry: false });
    expect(response).toMatchObject({ refusal: "failed", message: expect.stringMatching(/^not within 0\.5 s/) });
  });

  test("an admission whose caller went away is aborted", async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    gate.admission = (signal) => {
      signal.addEventListener("abort", () => resolve(signal.reason));
      return forever(signal);
    };
    const socket = connect(path);
    socket.write(`${JSON.stringify({ version: 1, timeout: 60_000, ...question("add") })}\n`);
    await vi.waitFor(() => expect(gate.seen).toHaveLength(1));
    socket.destroy();
    expect(String(await promise)).toContain("gave up");
    await vi.waitFor(() => expect(problems).toEqual(["pod shop/web-0: the caller of add went away"]));
  });

  test("an agent that is not ready admits and confirms nothing, but lets go", async () => {
    gate.why = "the first list is not in yet";
    for (const operation of ["add", "check", "status"] as const)
      expect(await ask(path, question(operation), once)).toMatchObject({ refusal: "not-ready", message: gate.why });
    expect(await ask(path, question("del", []), once)).toMatchObject({ ok: true });
    expect(gate.seen).toEqual([{ what: "release", pod, ips: [] }]);
  });

  test.each([
    ["no addresses", []],
    ["what is no address", ["10.1.0.5/24"]],
    ["a name", ["localhost"]],
  ])("%s: refused for good", async (_, ips) => {
    expect(await ask(path, question("add", ips), once)).toMatchObject({ refusal: "invalid" });
    expect(gate.seen).toEqual([]);
  });

  test.each([
    ["garbage", "\u0000hello\n"],
    ["a line without end", "x".repeat(longestLine + 1)],
  ])("%s is answered, not believed", async (_, text) => {
    const socket = connect(path);
    socket.write(text);
    const answer = await new Promise<string>((resolve) => socket.once("data", (data) => resolve(String(data))));
    expect(JSON.parse(answer)).toMatchObject({ ok: false, refusal: "invalid" });
  });
});

describe("the plugin's patience", () => {
  test("outlasts an agent that is not ready", async () => {
    gate.why = "starting";
    const answer = ask(path, question("add"), { timeout: 30_000, retry: true });
    await vi.waitFor(() => expect(calls.length).toBeGreaterThan(1));
    gate.why = null;
    expect(await answer).toMatchObject({ ok: true });
  });

  test("outlasts an agent that is away, or goes away in the middle", async () => {
    gate.admission = forever;
    const answer = ask(path, question("add"), { timeout: 30_000, retry: true });
    await vi.waitFor(() => expect(gate.seen).toHaveLength(1));
    await server!.close();
    gate.admission = async () => undefined;
    await serve();
    expect(await answer).toMatchObject({ ok: true });
  });

  test("ends", async () => {
    await server!.close();
    await expect(ask(path, question("add"), { timeout: 200, retry: true })).rejects.toThrow(Unreachable);
    await expect(ask(path, question("add"), once)).rejects.toThrow("no such file");
  });

  test("ends also where something else listens", async () => {
    const other = join(folder, "other.sock");
    const deaf = createServer();
    await new Promise<void>((resolve) => deaf.listen(other, resolve));
    await expect(ask(other, question("add"), { timeout: 100, retry: false })).rejects.toThrow("in time");
    const chatty = createServer((socket) => socket.end("x".repeat(longestLine + 1)));
    await new Promise<void>((resolve) => chatty.listen(`${other}2`, resolve));
    await expect(ask(`${other}2`, question("add"), once)).rejects.toThrow("no end");
    deaf.close();
    chatty.close();
  });
});
