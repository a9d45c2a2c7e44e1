/** A tar archive of which nothing depends on the machine or the hour that made it: sorted names, root's, at the epoch. */
import { createReadStream, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** `path` without a slash in front. */
export type Entry = { readonly path: string } & (
  | { readonly kind: "directory" }
  | { readonly kind: "link"; readonly target: string }
  /** A file of this machine. */
  | { readonly kind: "file"; readonly executable: boolean; readonly from: string }
  | { readonly kind: "text"; readonly executable: boolean; readonly text: string }
);

const block = 512;

export const directory = (path: string): Entry => ({ path, kind: "directory" });
export const link = (path: string, target: string): Entry => ({ path, kind: "link", target });
export const textFile = (path: string, text: string, executable = false): Entry => ({
  path,
  kind: "text",
  executable,
  text,
});

/** One that is on this machine. Of its mode only whether it can be run is kept; set-user-id is lost. */
export function entryOf(file: string, path: string): Entry {
  const stat = lstatSync(file);
  if (stat.isDirectory()) return directory(path);
  if (stat.isSymbolicLink()) return link(path, readlinkSync(file));
  if (!stat.isFile()) throw new Error(`${file} is neither a file, a folder nor a link`);
  return { path, kind: "file", executable: (stat.mode & 0o111) !== 0, from: file };
}

/** All that is in a folder. */
export const entriesOf = (folder: string): Entry[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => entryOf(join(folder, path), path));

/** The archive's bytes: POSIX.1-1988 ustar. Folders that entries need are added. */
export async function* tar(entries: Iterable<Entry>): AsyncGenerator<Buffer> {
  const all = new Map<string, Entry>();
  for (const entry of entries) {
    for (let cut = entry.path.indexOf("/"); cut > 0; cut = entry.path.indexOf("/", cut + 1)) {
      const parent = entry.path.slice(0, cut);
      if (!all.has(parent)) all.set(parent, directory(parent));
    }
    all.set(entry.path, entry);
  }
  const names = [...all.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names) {
    const entry = all.get(name)!;
    const size = sizeOf(entry);
    yield header(entry, size);
    if (entry.kind === "text") yield Buffer.from(entry.text);
    else if (entry.kind === "file") for await (const chunk of createReadStream(entry.from)) yield chunk as Buffer;
    yield Buffer.alloc(-size & (block - 1));
  }
  yield Buffer.alloc(2 * block);
}

function sizeOf(entry: Entry): number {
  if (entry.kind === "text") return Buffer.byteLength(entry.text);
  return entry.kind === "file" ? lstatSync(entry.from).size : 0;
}

function header(entry: Entry, size: number): Buffer {
  const bytes = Buffer.alloc(block);
  const text = (value: string, at: number, length: number): void => {
    if (Buffer.byteLength(value) > length) throw new Error(`tar: too long: ${value}`);
    bytes.write(value, at);
  };
  const octal = (value: number, at: number, length: number): void =>
    text(value.toString(8).padStart(length - 1, "0"), at, length - 1);
  const [prefix, name] = splitName(entry.kind === "directory" ? `${entry.path}/` : entry.path);
  text(name, 0, 100);
  octal(entry.kind === "link" ? 0o777 : entry.kind === "directory" || entry.executable ? 0o755 : 0o644, 100, 8);
  octal(0, 108, 8); // user
  octal(0, 116, 8); // group
  octal(size, 124, 12);
  octal(0, 136, 12); // time
  text({ file: "0", text: "0", link: "2", directory: "5" }[entry.kind], 156, 1);
  if (entry.kind === "link") text(entry.target, 157, 100);
  text("ustar", 257, 6);
  text("00", 263, 2);
  text(prefix, 345, 155);
  bytes.fill(" ", 148, 156);
  octal(
    bytes.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  bytes[154] = 0;
  return bytes;
}

/** ustar keeps names of more than 100 bytes in two parts, split at a slash. */
function splitName(path: string): [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= 100) return ["", path];
  const cut = path.indexOf("/", Buffer.byteLength(path) - 101);
  if (cut <= 0 || cut === path.length - 1) throw new Error(`tar: too long: ${path}`);
  return [path.slice(0, cut), path.slice(cut + 1)];
}
