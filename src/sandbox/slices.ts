/**
 * Source ports of probes. A Service's backend is chosen by the client's source port here (kube-proxy chooses at random), so
 * that a probe can ask for each backend in turn: backend `k` of `n` answers the ports of slice `k`.
 */
import type { Range } from "../net/interval.ts";

const firstPort = 20_000;
const lastPort = 59_999;

/** The ports that lead to backend `k` of `n`; inclusive. */
export function slice(k: number, n: number): Range<number> {
  const size = Math.floor((lastPort - firstPort + 1) / n);
  return { start: firstPort + k * size, end: k === n - 1 ? lastPort : firstPort + (k + 1) * size - 1 };
}

export const everyPort: Range<number> = slice(0, 1);
