/** Says in the log when a kind can't be watched, and when it can again: without it an agent waits for its API server in silence. */
import type { ClusterFeed } from "../kube/feed.ts";
import type { Log } from "./log.ts";

const interval = 5_000; // ms

/** @returns what ends it */
export function watchSources(feed: Pick<ClusterFeed, "status">, log: Pick<Log, "info" | "warn">): () => void {
  const told = new Map<string, string>();
  const look = (): void => {
    for (const { resource, connected, synced, error } of feed.status()) {
      const why = connected ? null : error;
      if (why === (told.get(resource) ?? null)) continue;
      if (why === null && !connected) continue; // between two tries
      if (why === null) {
        told.delete(resource);
        log.info({ resource }, "watched again");
      } else {
        told.set(resource, why);
        log.warn({ resource }, `not watched${synced ? ", what was known stays in force" : " yet"}: ${why}`);
      }
    }
  };
  const timer = setInterval(look, interval).unref();
  return () => clearInterval(timer);
}
