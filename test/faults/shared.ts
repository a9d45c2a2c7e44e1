/** What the thread of the traffic and the thread of the tests share. */
import type { MessagePort } from "node:worker_threads";
import type { PacketTimes } from "../fire/fates.ts";
import type { PacketKind } from "./packets.ts";

/** ms between two turns of the thread. */
export const tick = 2;

/** Index in `TrafficData.flags`. */
export const flag = { stop: 0, posted: 1, taken: 2, silent: 3 } as const;

/** Index in `StreamNote.counts`. */
export const count = { sent: 0, arrived: 1, broken: 2, paused: 3 } as const;

/** Index in `StreamNote.times`, in ms of the monotonic clock. */
export const time = { lastArrival: 0, longestGap: 1 } as const;

/** The times are of no packets, where nobody asks for them. */
export interface StreamNote extends PacketTimes {
  readonly counts: Int32Array<SharedArrayBuffer>;
  readonly times: Float64Array<SharedArrayBuffer>;
}

export interface StreamData {
  readonly id: number;
  /** Flows over ordinary sockets, or packets over raw ones. */
  readonly kind: PacketKind | "tcp-flow" | "udp-flow";
  readonly sender: number;
  /** Of flows over ordinary sockets, else -1. */
  readonly receiver: number;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly port: number;
  /** Of packets over raw sockets: how many are flows of their own; the others are of one flow that goes on. */
  readonly fresh: "all" | "most" | "none";
  /** Turns between two packets. */
  readonly every: number;
  readonly note: StreamNote;
}

export interface Order {
  readonly add?: readonly StreamData[];
  readonly listen?: { readonly fd: number; readonly protocol: number; readonly addressLength: number };
  readonly remove?: readonly number[];
  /** Listeners that are not read any more. */
  readonly deaf?: readonly number[];
}

export interface TrafficData {
  readonly flags: Int32Array<SharedArrayBuffer>;
  readonly port: MessagePort;
}
