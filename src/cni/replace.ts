/** Files that others read at any moment: they see the old or the new content, whole, also after a power failure. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Makes what was written to a file or a folder's list of names last. */
export function flush(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Puts `text` in a file's place. The name in between ends with `.tmp`, which no runtime reads. */
export function replaceFile(path: string, text: string, mode: number): void {
  const fresh = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    rmSync(fresh, { force: true });
    writeFileSync(fresh, text, { mode, flush: true, flag: "wx" });
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
  flush(dirname(path));
}
