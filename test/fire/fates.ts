/** When each of the last packets of a stream was sent, and when it arrived: written by one thread, read by another. */
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "./native.ts";

/** Packet number modulo the length → ms of `now()`; 0: it has not arrived yet. */
export interface PacketTimes {
  readonly sent: Float64Array<SharedArrayBuffer>;
  readonly arrived: Float64Array<SharedArrayBuffer>;
}

export const newTimes = (packets: number): PacketTimes => ({
  sent: new Float64Array(new SharedArrayBuffer(8 * packets)),
  arrived: new Float64Array(new SharedArrayBuffer(8 * packets)),
});

/** Of the newest packets, those that may still be on their way, and of the oldest, those that may be overwritten now. */
const onTheirWay = 2;
const leaving = 1000;

export class Fates {
  readonly #times: PacketTimes;
  readonly #count: () => number;

  /** @param count how many packets have been sent */
  constructor(times: PacketTimes, count: () => number) {
    this.#times = times;
    this.#count = count;
  }

  /** Packets that were sent at `from` or later and are remembered, in order. */
  packets(from: number): readonly { readonly sent: number; readonly arrived: number | null }[] {
    const out: { sent: number; arrived: number | null }[] = [];
    for (const packet of this.#newestFirst()) {
      if (packet.sent < from) break;
      out.push(packet);
    }
    return out.reverse();
  }

  /** When the first packet was sent of those that, up to now, all had one fate; null: the last had the other. */
  since(passes: boolean): number | null {
    let first: number | null = null;
    for (const { sent, arrived } of this.#newestFirst()) {
      if ((arrived !== null) !== passes) break;
      first = sent;
    }
    return first;
  }

  /**
   * Waits until all packets of the last `quiet` ms had one fate.
   * @param passes they arrived, or they did not
   * @returns when the first of them was sent; null after `patience` ms
   */
  async until(passes: boolean, quiet: number, patience: number): Promise<number | null> {
    const deadline = now() + patience;
    while (now() < deadline) {
      await sleep(quiet / 4);
      const since = this.since(passes);
      if (since !== null && now() - since >= quiet) return since;
    }
    return null;
  }

  *#newestFirst(): Generator<{ readonly sent: number; readonly arrived: number | null }> {
    const { sent, arrived } = this.#times;
    const count = this.#count();
    const oldest = Math.max(0, count - sent.length + leaving);
    for (let number = count - 1 - onTheirWay; number >= oldest; number--) {
      const at = number % sent.length;
      yield { sent: sent[at]!, arrived: arrived[at] === 0 ? null : arrived[at]! };
    }
  }
}
