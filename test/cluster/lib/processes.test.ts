import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { childrenOf, ended, identify, isAlive, signalTo } from "./processes.ts";

test("a process is known by id and start time, and never mistaken for another", async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const id = identify(child.pid!)!;
  expect(isAlive(id)).toBe(true);
  expect(childrenOf(process.pid)).toContain(child.pid);
  expect(isAlive({ ...id, started: "1" })).toBe(false); // its number was given to somebody else
  signalTo({ ...id, started: "1" }, "SIGKILL");
  expect(isAlive(id)).toBe(true);
  signalTo(id, "SIGKILL");
  expect(await ended(id, 10_000)).toBe(true);
  signalTo(id, "SIGKILL");
  expect(identify(2 ** 22 + 1)).toBeNull();
});
