/** Downloads and finished layers, outside the checkout. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** `${XDG_CACHE_HOME:-~/.cache}/bulkhead/…`, made if it is not there. */
export function cacheFolder(...names: readonly string[]): string {
  const folder = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "bulkhead", ...names);
  mkdirSync(folder, { recursive: true });
  return folder;
}

export const sha256 = (content: Buffer | string): string => createHash("sha256").update(content).digest("hex");

/** npm's way to write it: `sha512-` and base64. */
export const integrityOf = (file: string): string =>
  `sha512-${createHash("sha512").update(readFileSync(file)).digest("base64")}`;
