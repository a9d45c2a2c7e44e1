/** What the threads of a run share: who sent what when, and what arrived. */

/** Packets of one system call: their numbers follow each other, and one source sent them. */
export const batchSize = 64;

/** Ways through the cluster; packets of one way stay in order. */
const ways = 8;

export interface Ledger {
  /** See `flag`. */
  readonly flags: Int32Array<SharedArrayBuffer>;
  /** Packet → class. */
  readonly classes: Uint16Array<SharedArrayBuffer>;
  /** Packet → how often it arrived. */
  readonly arrived: Uint8Array<SharedArrayBuffer>;
  /** Batch → before and after the system call, in ms. */
  readonly begun: Float64Array<SharedArrayBuffer>;
  readonly ended: Float64Array<SharedArrayBuffer>;
  /** Way, batch → when the first of its packets was seen to have arrived, 0 for never. */
  readonly seen: Float64Array<SharedArrayBuffer>;
}

/** Index in `flags`. */
export const flag = { stop: 0, batches: 1, stopReceiving: 2, arrivals: 3 } as const;

export function newLedger(batches: number): Ledger {
  const bytes = (n: number): SharedArrayBuffer => new SharedArrayBuffer(n);
  const packets = batches * batchSize;
  return {
    flags: new Int32Array(bytes(16)),
    classes: new Uint16Array(bytes(2 * packets)),
    arrived: new Uint8Array(bytes(packets)),
    begun: new Float64Array(bytes(8 * batches)),
    ended: new Float64Array(bytes(8 * batches)),
    seen: new Float64Array(bytes(8 * batches * ways)),
  };
}
