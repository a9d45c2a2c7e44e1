/**
 * The plugin as files on the host, in the runtime's folder of plugins:
 *
 *     bulkhead                     the plugin: two lines that name the folder below
 *     .bulkhead/<id>/node, *.so*   Node.js and the libraries that it needs, from our image
 *     .bulkhead/<id>/*.js          plugin.ts and what it imports
 *
 * `<id>` is a digest of all that is in the folder, so that equal content is copied once, a version is complete or not there,
 * and going over to another is one rename.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { basename, dirname, join } from "node:path";
import { pluginType } from "./conflist.ts";
import { readLinkage, useOwnLibraries } from "./elf.ts";
import { flush, replaceFile } from "./replace.ts";

export interface ProgramPlace {
  /** The runtime's folder of plugins, as this process sees it. */
  readonly folder: string;
  /** The same folder, as the host sees it. */
  readonly onHost: string;
}

const versionsFolder = ".bulkhead";
/** Part of the digest: raised when the same files are put together in another way. */
const layout = "1";
/** What the plugin consists of, without its ending: `.ts` from a checkout, `.js` when it was built. */
const modules = ["plugin", "ask", "protocol", "result"] as const;
/** Bytes in one go when a file is digested. */
const chunk = 1 << 20;

interface Part {
  readonly name: string;
  /** A file to copy, or the content. */
  readonly from: { readonly file: string } | { readonly text: string };
}

function scripts(): Part[] {
  const ending = import.meta.filename.endsWith(".ts") ? ".ts" : ".js";
  const texts = modules.map((name): Part => {
    const source = readFileSync(join(import.meta.dirname, `${name}${ending}`), "utf8");
    const text = ending === ".js" ? source : stripTypeScriptTypes(source).replace(/(from "\.\/[a-z]+)\.ts"/g, '$1.js"');
    return { name: `${name}.js`, from: { text } };
  });
  return [{ name: "package.json", from: { text: '{"type":"module"}\n' } }, ...texts];
}

interface Runtime {
  readonly parts: readonly Part[];
  /** File name of the loader in `parts`; null when node needs none. */
  readonly loader: string | null;
}

/** This very node, with all that it loads. @throws Error when a library is not found */
function runtime(): Runtime {
  const node = realpathSync(process.execPath);
  const { interpreter } = readLinkage(node);
  if (interpreter === null) return { parts: [{ name: "node", from: { file: node } }], loader: null };
  const loader = basename(interpreter);
  const found = new Map([[loader, interpreter]]);
  const folders = libraryFolders();
  const pending = [...readLinkage(node).needed];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (found.has(name)) continue;
    const wanted = name;
    const path = folders.map((folder) => join(folder, wanted)).find((file) => existsSync(file));
    if (path === undefined) throw new Error(`${node} needs ${name}, which is not in ${folders.join(", ")}`);
    found.set(name, path);
    pending.push(...readLinkage(path).needed);
  }
  const parts = [["node", node] as const, ...found].map(([name, file]) => ({ name, from: { file } }));
  return { parts, loader };
}

/** Where this process has its own libraries from. */
function libraryFolders(): string[] {
  const paths = readFileSync("/proc/self/maps", "utf8").matchAll(/ (\/\S+\.so[.\d]*)$/gm);
  return [...new Set(Array.from(paths, ([, path]) => dirname(path!)))];
}

function digest(parts: readonly Part[], onHost: string): string {
  const hash = createHash("sha256").update(JSON.stringify([layout, onHost]));
  const bytes = Buffer.alloc(chunk);
  for (const { name, from } of parts) {
    hash.update(`\0${name}\0`);
    if ("text" in from) {
      hash.update(from.text);
      continue;
    }
    const fd = openSync(from.file, "r");
    try {
      for (let n = readSync(fd, bytes); n > 0; n = readSync(fd, bytes)) hash.update(bytes.subarray(0, n));
    } finally {
      closeSync(fd);
    }
  }
  return hash.digest("hex").slice(0, 16);
}

const launcher = (folder: string): string =>
  `#!${folder}/node\nimport(${JSON.stringify(`${folder}/plugin.js`)}).then((plugin) => plugin.main());\n`;

/** Bytes of a first line that the kernel reads (BINPRM_BUF_SIZE), its line feed included. */
const longestFirstLine = 256;

export interface Installed {
  /** The plugin, as the host sees it. */
  readonly path: string;
  /** False when everything was there already. */
  readonly changed: boolean;
}

/** Puts the plugin into the folder, which is made if need be. @throws Error with what is wrong, nothing is changed then */
export function installProgram({ folder, onHost }: ProgramPlace): Installed {
  if (!/^\/[!-~]*$/.test(onHost)) throw new Error(`${onHost}: not an absolute path without spaces`);
  const { parts, loader } = runtime();
  const all = [...scripts(), ...parts];
  const id = digest(all, onHost);
  const home = `${onHost}/${versionsFolder}/${id}`;
  const text = launcher(home);
  if (text.indexOf("\n") >= longestFirstLine) throw new Error(`${onHost} is too long for the first line of a program`);
  const versions = join(folder, versionsFolder);
  const isNew = !existsSync(join(versions, id));
  if (isNew) {
    mkdirSync(versions, { recursive: true, mode: 0o755 });
    const fresh = join(versions, `${id}.${process.pid}.tmp`);
    try {
      rmSync(fresh, { recursive: true, force: true });
      writeVersion(fresh, all, loader === null ? null : `${home}/${loader}`);
      renameSync(fresh, join(versions, id));
      flush(versions);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      // Another one may have been as fast.
      if (!existsSync(join(versions, id))) throw error;
    }
  }
  const path = join(folder, pluginType);
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  if (before !== text) replaceFile(path, text, 0o755);
  removeOthers(versions, id, before);
  return { path: `${onHost}/${pluginType}`, changed: isNew || before !== text };
}

function writeVersion(folder: string, parts: readonly Part[], interpreter: string | null): void {
  mkdirSync(folder, { mode: 0o755 });
  for (const { name, from } of parts) {
    const path = join(folder, name);
    if ("text" in from) writeFileSync(path, from.text);
    else copyFileSync(from.file, path, constants.COPYFILE_FICLONE);
    if (name === "node" && interpreter !== null) useOwnLibraries(path, interpreter);
    chmodSync(path, "text" in from ? 0o644 : 0o755);
    flush(path);
  }
  flush(folder);
}

/** Milliseconds after which an unfinished copy is nobody's any more. */
const abandoned = 600_000;

/** The version before stays until the next change: a call that began a moment ago may still be loading it. */
function removeOthers(versions: string, id: string, launcherBefore: string): void {
  for (const name of readdirSync(versions)) {
    const path = join(versions, name);
    const inUse = name.endsWith(".tmp")
      ? Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < abandoned
      : name === id || launcherBefore.includes(`/${versionsFolder}/${name}/`);
    if (!inUse) rmSync(path, { recursive: true, force: true });
  }
}

/** Takes the plugin away. @returns false when it was not there */
export function removeProgram(folder: string): boolean {
  const paths = [join(folder, pluginType), join(folder, versionsFolder)];
  const there = paths.some((path) => existsSync(path));
  for (const path of paths) rmSync(path, { recursive: true, force: true });
  return there;
}
