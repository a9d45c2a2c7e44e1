/** `-f` values to the texts of files, as kubectl expands them. */
import { createReadStream, type Stats } from "node:fs";
import { glob, readdir, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import type { Problem } from "./problem.ts";
import { decodeText, TextFile } from "./text.ts";

/** What kubectl takes from a folder. A file that is named itself may be called anything. */
const extensions = new Set([".json", ".yaml", ".yml"]);

/** Bytes of one file. */
const maxBytes = 256 * 1024 * 1024;

export interface Inputs {
  readonly files: readonly TextFile[];
  readonly problems: readonly Problem[];
}

export interface InputOptions {
  readonly recursive: boolean;
  readonly stdin: () => Promise<string>;
}

export async function readInputs(names: readonly string[], { recursive, stdin }: InputOptions): Promise<Inputs> {
  const files: TextFile[] = [];
  const problems: Problem[] = [];
  const fail = (code: string, message: string): void => {
    problems.push({ severity: "error", code, message, position: null, path: [] });
  };
  let hasReadStdin = false;
  for (const name of names) {
    if (name === "-") {
      if (hasReadStdin) fail("unreadable", "standard input (-) can be read only once");
      else await readText("-", stdin, files, fail);
      hasReadStdin = true;
    } else if (/^https?:\/\//i.test(name)) {
      fail(
        "unreadable",
        `${name}: Bulkhead does not read URLs: fetch it and give it as '-f -' (curl -fsSL ${name} | bulkhead … -f -)`,
      );
    } else {
      for (const path of await expand(name, recursive, fail)) {
        await readText(path, async () => decodeText(await readBytes(createReadStream(path))), files, fail);
      }
    }
  }
  return { files, problems };
}

type Fail = (code: string, message: string) => void;

/** A file is itself, a folder its manifests in the order of their names; a pattern that names no file is matched. */
async function expand(name: string, recursive: boolean, fail: Fail): Promise<string[]> {
  const stats = await statOf(name);
  if (stats === null) {
    const matches: string[] = [];
    if (/[*?[]/.test(name)) for await (const match of glob(name)) matches.push(match);
    if (matches.length === 0) fail("unreadable", `the path ${JSON.stringify(name)} does not exist`);
    return matches.sort();
  }
  if (!stats.isDirectory()) return [name];
  const found = await manifestsIn(name, recursive, fail);
  if (found?.length === 0) {
    const hint = recursive ? "" : " (-R reads the folders in it too)";
    fail(
      "no-manifests",
      `${name}: no manifests in this folder: recognized file extensions are .json, .yaml, .yml${hint}`,
    );
  }
  return found ?? [];
}

/** null when it was complained about. */
async function manifestsIn(folder: string, recursive: boolean, fail: Fail): Promise<string[] | null> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    if (entries.some((entry) => entry.name === "Chart.yaml")) {
      fail("helm-template", `${folder} is a Helm chart: render it first with 'helm template'`);
      return null;
    }
    const found: string[] = [];
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (recursive) found.push(...((await manifestsIn(path, recursive, fail)) ?? []));
      } else if (extensions.has(extname(entry.name))) found.push(path);
    }
    return found;
  } catch (error) {
    fail("unreadable", `${folder}: ${reason(error)}`);
    return null;
  }
}

async function statOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch {
    return null;
  }
}

async function readText(name: string, read: () => Promise<string>, files: TextFile[], fail: Fail): Promise<void> {
  try {
    files.push(new TextFile(name, await read()));
  } catch (error) {
    fail("unreadable", `${name}: ${reason(error)}`);
  }
}

/** @throws {Error} when there is more than can be held */
async function readBytes(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stream) {
    size += part.length;
    if (size > maxBytes) throw new Error(`more than ${maxBytes / 1024 / 1024} MiB: split it`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

export const readStdin = async (): Promise<string> => decodeText(await readBytes(process.stdin));

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EISDIR: "is a folder",
  ENOENT: "does not exist",
  ERR_ENCODING_INVALID_ENCODED_DATA: "not a text in UTF-8",
};

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : reasons[code]) ?? message;
}

export const isKustomization = (file: string): boolean => /^kustomization(?:\.ya?ml)?$/i.test(basename(file));
