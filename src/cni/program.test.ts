import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readLinkage } from "./elf.ts";
import { installProgram, removeProgram } from "./program.ts";

const onHost = "/opt/cni/bin";
let root: string;
let folder: string;

/** The only folder of `.bulkhead`. */
const version = (): string => join(folder, ".bulkhead", readdirSync(join(folder, ".bulkhead"))[0]!);

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "bulkhead-host-"));
  folder = join(root, onHost);
  installProgram({ folder, onHost });
});

afterAll(() => {
  rmSync(root, { recursive: true });
});

describe("the plugin on a host", () => {
  test("is one program that names its own folder, and node with its libraries", () => {
    const [shebang, code] = readFileSync(join(folder, "bulkhead"), "utf8").split("\n");
    expect(shebang).toMatch(/^#!\/opt\/cni\/bin\/\.bulkhead\/[0-9a-f]{16}\/node$/);
    expect(code).toContain(`${shebang!.slice(2, -"/node".length)}/plugin.js`);
    expect(statSync(join(folder, "bulkhead")).mode & 0o777).toBe(0o755);
    const { interpreter, needed } = readLinkage(join(version(), "node"));
    const own = readLinkage(realpathSync(process.execPath));
    expect(needed).toEqual(own.needed);
    for (const library of needed) expect(readdirSync(version())).toContain(library);
    if (own.interpreter !== null) expect(interpreter).toMatch(/^\/opt\/cni\/bin\/\.bulkhead\/[0-9a-f]{16}\/ld-/);
  });

  // As root of a user namespace as well; needs no more than a mount of /proc, by which the loader finds its folder.
  test.skipIf(process.getuid?.() !== 0)("runs where there is nothing else at all", () => {
    mkdirSync(join(root, "proc"), { recursive: true });
    const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" /opt/cni/bin/bulkhead';
    const env = { PATH: process.env["PATH"], CNI_COMMAND: "VERSION" };
    const { status, stdout, stderr } = spawnSync("unshare", ["-m", "sh", "-c", script, root], {
      env,
      input: "{}",
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ cniVersion: "1.1.0" });
  });

  test("is not copied again, and is put right when it was spoilt", () => {
    const place = { folder, onHost };
    const before = statSync(join(version(), "node"));
    expect(installProgram(place).changed).toBe(false);
    writeFileSync(join(folder, "bulkhead"), "");
    expect(installProgram(place).changed).toBe(true);
    expect(statSync(join(version(), "node"))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
  });

  test("leaves a version that may be starting just now for one change, and nothing unfinished", () => {
    const versions = join(folder, ".bulkhead");
    const current = readdirSync(versions)[0]!;
    for (const name of ["older", "unused"]) mkdirSync(join(versions, name));
    writeFileSync(
      join(folder, "bulkhead"),
      '#!/opt/cni/bin/.bulkhead/older/node\nimport("/opt/cni/bin/.bulkhead/older/x");',
    );
    installProgram({ folder, onHost });
    expect(readdirSync(versions).sort()).toEqual([current, "older"].sort());
    installProgram({ folder, onHost });
    expect(readdirSync(versions)).toEqual([current]);
  });

  test("refuses a folder that a program's first line can't name", () => {
    for (const path of ["relative", "/with space", `/${"x".repeat(250)}`])
      expect(() => installProgram({ folder: join(root, "other"), onHost: path })).toThrow(
        /path without spaces|too long/,
      );
    expect(existsSync(join(root, "other"))).toBe(false);
  });

  test("is taken away", () => {
    const other = join(root, "other");
    mkdirSync(join(other, ".bulkhead"), { recursive: true });
    writeFileSync(join(other, "bridge"), "");
    writeFileSync(join(other, "bulkhead"), "");
    expect(removeProgram(other)).toBe(true);
    expect(readdirSync(other)).toEqual(["bridge"]);
    expect(removeProgram(other)).toBe(false);
  });
});
