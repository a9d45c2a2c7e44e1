/** The runtime's folder of network configurations: laying our copy before the first file, and taking it away. */
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ConfError, type ConfFile, isConf, isOwn, type Plan, type PluginSettings, planConf } from "./conflist.ts";
import { replaceFile } from "./replace.ts";

/** Bytes; containerd's own bound. */
const largestFile = 2 * 1024 * 1024;

/** The configurations of a folder; none when it does not exist. A file that vanishes meanwhile is left out. */
export function readFolder(folder: string): ConfFile[] {
  const files: ConfFile[] = [];
  for (const name of namesIn(folder).filter(isConf)) {
    const path = join(folder, name);
    try {
      const stats = statSync(path);
      if (!stats.isFile()) continue;
      if (stats.size > largestFile) throw new ConfError(`${name} is larger than ${largestFile} bytes`);
      files.push({ name, text: readFileSync(path, "utf8") });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return files;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/**
 * Makes the folder right.
 * @returns what was done; `source` null when there is no network plugin yet
 * @throws ConfError when the first file can't be used; nothing is touched then
 */
export function layCopy(folder: string, settings: PluginSettings): Plan {
  const plan = planConf(readFolder(folder), settings);
  const { source, write } = plan;
  if (source !== null && write !== null) {
    // Configurations may hold secrets: the copy is as readable as its source.
    replaceFile(join(folder, write.name), write.text, statSync(join(folder, source)).mode & 0o777);
  }
  if (source !== null) removeCopies(folder, plan.remove);
  return plan;
}

function removeCopies(folder: string, names: readonly string[]): void {
  for (const name of names) rmSync(join(folder, name), { force: true });
}

/** Takes all copies away: pods start unheld from now on. @returns their names */
export function takeCopiesAway(folder: string): string[] {
  const copies = namesIn(folder).filter(isOwn);
  removeCopies(folder, copies);
  return copies;
}
