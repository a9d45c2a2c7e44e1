/** Keeps Bulkhead in the node's chain of network plugins while the agent runs, whatever happens to the folder. */
import { type FSWatcher, statSync, watch } from "node:fs";
import { layCopy, takeCopiesAway } from "../cni/conf-folder.ts";
import type { PluginSettings } from "../cni/conflist.ts";

/** How the node's chain stands. */
export type CniConfigState =
  /** Pods of the network of this file are held until they are programmed; with a gate their networks are too. */
  | { readonly kind: "chained"; readonly source: string; readonly gate: boolean }
  /** There is no network plugin yet. */
  | { readonly kind: "waiting" }
  /** The configuration can't be read or written; what was in force before is left as it is. */
  | { readonly kind: "problem"; readonly message: string };

export interface CniConfigOptions {
  readonly folder: string;
  readonly settings: PluginSettings;
  /** Called at first and whenever the state changes. */
  readonly onState: (state: CniConfigState) => void;
  /** Called when the copy was written anew. */
  readonly onWrite?: (file: string) => void;
  /** Milliseconds between looks at the folder besides those that the kernel's notices cause; 5,000 when left out. */
  readonly interval?: number;
  /**
   * Milliseconds that a copy outlives its source; 10,000 when left out. Network plugins take their file away while they
   * start (the node is not ready then); whoever removes one for good wants the copy gone too.
   */
  readonly grace?: number;
}

export interface CniConfigKeeper {
  readonly state: CniConfigState;
  close(): void;
}

export function keepCniConfig(options: CniConfigOptions): CniConfigKeeper {
  const { folder, settings, onState, onWrite, interval = 5_000, grace = 10_000 } = options;
  let state: CniConfigState | undefined;
  let sourceless: number | undefined;
  let watched: { readonly inode: number; readonly watcher: FSWatcher } | undefined;

  const look = (): CniConfigState => {
    try {
      const { source, write, gate, remove } = layCopy(folder, settings);
      if (source !== null) {
        sourceless = undefined;
        if (write !== null) onWrite?.(write.name);
        return { kind: "chained", source, gate };
      }
      sourceless ??= performance.now();
      if (remove.length > 0 && performance.now() - sourceless >= grace) takeCopiesAway(folder);
      return { kind: "waiting" };
    } catch (error) {
      return { kind: "problem", message: error instanceof Error ? error.message : String(error) };
    }
  };
  const update = (): CniConfigState => {
    follow();
    const next = look();
    if (JSON.stringify(next) !== JSON.stringify(state)) onState(next);
    state = next;
    return next;
  };
  /** The kernel's notices come for a folder, not for a path: one that was made anew must be followed anew. */
  const follow = (): void => {
    const inode = statSync(folder, { throwIfNoEntry: false })?.ino;
    if (watched?.inode === inode) return;
    watched?.watcher.close();
    watched = undefined;
    if (inode === undefined) return;
    try {
      const watcher = watch(folder, update);
      watcher.on("error", () => watcher.close()); // the interval goes on
      watched = { inode, watcher };
    } catch {
      // No notices to be had (fs.inotify.max_user_instances): the interval alone.
    }
  };

  const first = update();
  const timer = setInterval(update, interval);
  return {
    get state() {
      return state ?? first;
    },
    close() {
      clearInterval(timer);
      watched?.watcher.close();
    },
  };
}
