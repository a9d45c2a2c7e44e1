/** What an image is put together from, without the network. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { fullName } from "../../scripts/image/oci.ts";
import { run } from "../../scripts/image/run.ts";
import { type Entry, entriesOf, tar, textFile } from "../../scripts/image/tar.ts";

const bytes = (entries: Iterable<Entry>): Promise<Buffer> => buffer(Readable.from(tar(entries)));

function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-layer-test-"));
  return use(folder).finally(() => rmSync(folder, { recursive: true }));
}

const long = `${"d".repeat(60)}/${"e".repeat(60)}/${"f".repeat(90)}`;

test("a folder's archive does not depend on who made the folder, and when", () =>
  withFolder(async (folder) => {
    const make = (name: string, names: readonly string[], mode: number, seconds: number): Promise<Buffer> => {
      const place = join(folder, name);
      mkdirSync(join(place, "sub"), { recursive: true, mode: mode | 0o700 });
      for (const file of names) {
        writeFileSync(join(place, file), file.repeat(300));
        chmodSync(join(place, file), file === "run" ? mode | 0o100 : mode);
        utimesSync(join(place, file), seconds, seconds);
      }
      symlinkSync("sub/b", join(place, "link"));
      return bytes(entriesOf(place));
    };
    const one = await make("one", ["a", "sub/b", "run"], 0o600, 1e9);
    const two = await make("two", ["run", "sub/b", "a"], 0o664, 2e9);
    expect(one.equals(two)).toBe(true);
  }));

test("tar reads what was written: names in two parts, contents, modes, links", () =>
  withFolder(async (folder) => {
    const archive = join(folder, "archive.tar");
    const entries: Entry[] = [
      textFile(long, "long"),
      textFile("bin/run", "#!", true),
      { path: "bin/link", kind: "link", target: "run" },
      textFile("empty", ""),
      textFile("block", "x".repeat(512)),
    ];
    writeFileSync(archive, await bytes(entries));
    const listing = run("tar", ["--numeric-owner", "--utc", "-tvf", archive]);
    const lines = listing
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));
    expect(lines.map(([mode, owner, size, date, , ...name]) => [mode, owner, size, date, name.join(" ")])).toEqual([
      ["drwxr-xr-x", "0/0", "0", "1970-01-01", "bin/"],
      ["lrwxrwxrwx", "0/0", "0", "1970-01-01", "bin/link -> run"],
      ["-rwxr-xr-x", "0/0", "2", "1970-01-01", "bin/run"],
      ["-rw-r--r--", "0/0", "512", "1970-01-01", "block"],
      ["drwxr-xr-x", "0/0", "0", "1970-01-01", `${"d".repeat(60)}/`],
      ["drwxr-xr-x", "0/0", "0", "1970-01-01", `${"d".repeat(60)}/${"e".repeat(60)}/`],
      ["-rw-r--r--", "0/0", "4", "1970-01-01", long],
      ["-rw-r--r--", "0/0", "0", "1970-01-01", "empty"],
    ]);
    expect(run("tar", ["-xOf", archive, long])).toBe("long");
  }));

test("a name that no archive of this kind can hold is an error", async () => {
  await expect(bytes([textFile("x".repeat(101), "")])).rejects.toThrow("too long");
});

test("names of images are told in full, as Kubernetes looks for them", () => {
  expect(["bulkhead/agent:1", "agent", "localhost/a:1", "r.example:5000/a/b", "r.example/a:2"].map(fullName)).toEqual([
    "docker.io/bulkhead/agent:1",
    "docker.io/library/agent:latest",
    "localhost/a:1",
    "r.example:5000/a/b:latest",
    "r.example/a:2",
  ]);
});
