/**
 * Where early addresses outlive the process: one small file beside the plugin's socket, on a file system that a reboot
 * empties (/run). Only what the API server cannot tell is in it; entries leave it as soon as the API server has them too.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { EarlyPod } from "./early-addresses.ts";

export interface EarlyStore {
  load(): readonly EarlyPod[];
  save(pods: readonly EarlyPod[]): void;
}

/** Without a plugin there are no early addresses to keep. */
export const noStore: EarlyStore = { load: () => [], save: () => undefined };

const texts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === "string");

function isEarlyPod(value: unknown): value is EarlyPod {
  const { namespace, name, uid, ips, told, gone } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof namespace === "string" &&
    typeof name === "string" &&
    (uid === null || typeof uid === "string") &&
    (ips === null || texts(ips)) &&
    texts(told) &&
    texts(gone)
  );
}

/**
 * @param warn told when the file cannot be read or written: what it would say is then learnt from the API server, later
 */
export function fileStore(path: string, warn: (message: string) => void): EarlyStore {
  let saved = "";
  return {
    load() {
      let text: string;
      try {
        text = readFileSync(path, "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") warn(`${path} can't be read: ${String(error)}`);
        return [];
      }
      try {
        const value = JSON.parse(text) as unknown;
        if (Array.isArray(value) && value.every(isEarlyPod)) return value;
      } catch {}
      warn(`${path} is damaged and is not used`);
      return [];
    },
    save(pods) {
      const text = JSON.stringify(pods);
      if (text === saved) return;
      try {
        writeFileSync(`${path}.new`, text, { mode: 0o600 });
        renameSync(`${path}.new`, path);
        saved = text;
      } catch (error) {
        warn(`${path} can't be written: ${String(error)}`);
      }
    },
  };
}
