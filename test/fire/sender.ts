/** The thread that sends. Every packet has its number as payload. */
import { parentPort, workerData } from "node:worker_threads";
import { socketAddress } from "../../src/netns/bytes.ts";
import { wouldBlock } from "../../src/netns/libc.ts";
import { Messages, now, pin } from "./native.ts";
import { checksum, checksumBase, layout, template } from "./packet.ts";
import { batchSize, flag, type Ledger } from "./shared.ts";

/** An address that sends, with its raw socket. */
export interface Source {
  readonly fd: number;
  readonly address: Uint8Array;
  readonly classes: readonly { readonly id: number; readonly destination: Uint8Array; readonly port: number }[];
}

export interface SenderData {
  readonly ledger: Ledger;
  readonly sources: readonly Source[];
  readonly cpu: number;
  /** Packets a second at most. */
  readonly rate: number;
  /** Seconds after which a source port comes again: by then its flow has been forgotten. */
  readonly horizon: number;
}

/** Source ports of flows that go on: one packet in four belongs to one. */
const lasting = 8;
const firstPort = 1024;

class Batch {
  readonly #fd: number;
  readonly #messages: Messages;
  readonly #views: readonly DataView[];
  readonly #classes: readonly number[];
  readonly #bases: readonly (number | null)[];
  readonly #layout: ReturnType<typeof layout>;
  /** How often a class occurs at most. */
  readonly #repeats: number;
  readonly #ports: number;
  #turn = 0;

  /** @param turns after which a source port may come again */
  constructor({ fd, address, classes }: Source, turns: number) {
    const v4 = address.length === 4;
    this.#fd = fd;
    this.#repeats = Math.ceil(batchSize / classes.length);
    this.#ports = turns * this.#repeats;
    if (firstPort + lasting + this.#ports > 0xffff) throw new RangeError("too few source ports for this rate");
    this.#layout = layout(v4);
    this.#messages = new Messages(batchSize, 64);
    const slots = Array.from({ length: batchSize }, (_, i) => classes[i % classes.length]!);
    const packets = slots.map(({ destination, port }) => template(address, destination, port));
    for (const [i, slot] of slots.entries()) this.#messages.set(i, packets[i]!, socketAddress(slot.destination, 0));
    this.#views = slots.map((_, i) => {
      const buffer = this.#messages.buffer(i);
      return new DataView(buffer.buffer, buffer.byteOffset);
    });
    this.#classes = slots.map(({ id }) => id);
    this.#bases = packets.map((packet) => (v4 ? null : checksumBase(packet)));
  }

  send(number: number, ledger: Ledger): void {
    const at = this.#layout;
    const turn = this.#turn++;
    for (let i = 0; i < batchSize; i++) {
      const packet = number * batchSize + i;
      const view = this.#views[i]!;
      const repeat = Math.floor((i * this.#repeats) / batchSize);
      const lasts = (turn + i) % 4 === 0;
      const port = firstPort + (lasts ? turn % lasting : lasting + ((turn * this.#repeats + repeat) % this.#ports));
      view.setUint16(at.sourcePort, port);
      view.setUint32(at.payload, packet);
      const base = this.#bases[i]!;
      if (base !== null) view.setUint16(at.checksum, checksum(base, port, packet));
      ledger.classes[packet] = this.#classes[i]!;
    }
    ledger.begun[number] = now();
    for (let sent = 0; sent < batchSize; ) {
      const more = this.#messages.send(this.#fd, sent, batchSize);
      if (more !== wouldBlock) sent += more;
    }
    ledger.ended[number] = now();
  }
}

const { ledger, sources, cpu, rate, horizon } = workerData as SenderData;
pin(cpu);
const turns = Math.ceil((horizon * rate) / batchSize / sources.length);
const batches = sources.map((source) => new Batch(source, turns));
const nap = new Int32Array(new SharedArrayBuffer(4));
const start = now();
let number = 0;
while (number < ledger.begun.length && Atomics.load(ledger.flags, flag.stop) === 0) {
  batches[number % batches.length]!.send(number, ledger);
  number++;
  Atomics.store(ledger.flags, flag.batches, number);
  const early = start + (1000 * number * batchSize) / rate - now();
  if (early > 0.1) Atomics.wait(nap, 0, 0, early);
}
parentPort!.postMessage(number);
