/** `bulkhead cni` on a node's folders, as its init container and people call it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bulkhead } from "./run.ts";

let folder: string;
let conf: string;

const cni = (...args: readonly string[]) =>
  bulkhead(["cni", ...args, "--conf-dir", conf, "--bin-dir", join(folder, "bin")]);
const network = (...types: readonly string[]): void =>
  writeFileSync(
    join(conf, "10-net.conflist"),
    JSON.stringify({ name: "net", cniVersion: "1.0.0", plugins: types.map((type) => ({ type })) }),
  );
const typesOf = (text: string): string[] => JSON.parse(text).plugins.map(({ type }: { type: string }) => type);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-cni-"));
  conf = join(folder, "net.d");
  mkdirSync(conf);
});

afterEach(() => rmSync(folder, { recursive: true }));

test("config prints what install would write, and says which file that is", async () => {
  network("bridge", "portmap");
  const { code, stdout, stderr } = await cni("config");
  expect({ code, stderr }).toEqual({ code: 0, stderr: `${conf}/10-net.bulkhead.conflist\n` });
  expect(typesOf(stdout)).toEqual(["bulkhead", "bridge", "portmap", "bulkhead"]);
  expect(readdirSync(conf)).toEqual(["10-net.conflist"]);
});

test("install says where there can be no gate, and uninstall takes everything away", async () => {
  network("cilium-cni");
  const { code, stdout } = await cni("install");
  expect(code).toBe(0);
  expect(stdout).toMatch(/10-net\.conflist: chained now, by 10-net\.bulkhead\.conflist\n.*: no gate, /);
  expect(typesOf(readFileSync(join(conf, "10-net.bulkhead.conflist"), "utf8"))).toEqual(["cilium-cni", "bulkhead"]);
  network("ptp");
  expect((await cni("install")).stdout).not.toContain("no gate");
  expect(typesOf(readFileSync(join(conf, "10-net.bulkhead.conflist"), "utf8"))).toEqual([
    "bulkhead",
    "ptp",
    "bulkhead",
  ]);
  expect((await cni("uninstall")).code).toBe(0);
  expect(readdirSync(conf)).toEqual(["10-net.conflist"]);
  expect(readdirSync(join(folder, "bin"))).toEqual([]);
});
