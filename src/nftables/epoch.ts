/**
 * Epochs: the number that a judged flow carries in its conntrack mark. A flow with the current one was allowed by what
 * is in force; any other is judged again.
 *
 * Numbers wrap. They come in two halves, and before a half is entered again every flow with a number of that half is
 * cleared, so that a flow that was idle for a whole round cannot be taken for a fresh one.
 */

/** No epoch: no flow is trusted, every packet is judged. */
export const untrusted = 0;

export interface NextEpoch {
  readonly epoch: number;
  /** Epochs that no flow may carry before `epoch` is entered; null when none has to be cleared. */
  readonly clear: { readonly first: number; readonly last: number } | null;
}

/** The epoch after `current`, of 1 to 2^bits - 1. */
export function nextEpoch(current: number, bits: number): NextEpoch {
  const last = 2 ** bits - 1;
  const half = 2 ** (bits - 1);
  if (current === untrusted) return { epoch: 1, clear: { first: 1, last } };
  if (current === last) return { epoch: 1, clear: { first: 1, last: half - 1 } };
  if (current + 1 === half) return { epoch: half, clear: { first: half, last } };
  return { epoch: current + 1, clear: null };
}
