import { setTimeout as sleep } from "node:timers/promises";

/** Tries again until it works. */
export async function until<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch {
      await sleep(20);
    }
  }
}
