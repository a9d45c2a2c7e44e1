/**
 * The thread that sends a packet of each stream every fraction of a millisecond, and notes which of them arrive. A pod's packets are
 * handled in the system call that sends them, so that what has arrived can be read right after it.
 */
import { receiveMessageOnPort, workerData } from "node:worker_threads";
import { socketAddress } from "../../src/netns/bytes.ts";
import { receive, SystemError, send, sendTo, wouldBlock } from "../../src/netns/libc.ts";
import { now } from "../../test/fire/native.ts";
import { checksum, checksumBase, layout, template } from "../../test/fire/packet.ts";
import { flag, type Note, type ProbeData, type StreamData } from "./probes.ts";

const buffer = new Uint8Array(65_536);
const bufferView = new DataView(buffer.buffer);
const firstPort = 1024;

/** A stream whose packets are numbered in the order in which they are sent. */
class Stream {
  readonly #data: StreamData;
  readonly #send: (number: number) => boolean;
  readonly #received: () => void;
  /** Of the next packet. */
  #number = 0;
  /** TCP: bytes that have been read. */
  #bytes = 0;

  constructor(data: StreamData) {
    this.#data = data;
    this.#send = sender(data);
    this.#received = data.kind === "tcp" ? () => this.#readStream() : () => this.#readDatagrams();
  }

  get id(): number {
    return this.#data.id;
  }

  get every(): number {
    return this.#data.every;
  }

  step(): void {
    const { sent, arrived, numbers } = this.#data.note;
    const at = this.#number % sent.length;
    arrived[at] = 0;
    sent[at] = now();
    if (this.#send(this.#number)) {
      this.#number++;
      Atomics.store(numbers, 0, this.#number);
    }
    this.#received();
  }

  #readDatagrams(): void {
    for (;;) {
      const length = tried(() => receive(this.#data.receiver, buffer));
      if (length <= 0) return;
      this.#arrive(bufferView.getUint32(0));
    }
  }

  #readStream(): void {
    for (;;) {
      const length = tried(() => receive(this.#data.receiver, buffer));
      if (length <= 0) return;
      const before = this.#bytes >> 2;
      this.#bytes += length;
      for (let number = before; number < this.#bytes >> 2; number++) this.#arrive(number);
    }
  }

  #arrive(number: number): void {
    const { arrived } = this.#data.note;
    if (this.#number - number <= arrived.length) arrived[number % arrived.length] = now();
  }
}

/** Errors are what policies do to sockets too: nothing was sent then, or read. */
function tried(call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError) return wouldBlock;
    throw error;
  }
}

/** Sends packet `number`; false when it could not be sent. */
function sender(data: StreamData): (number: number) => boolean {
  const payload = new Uint8Array(4);
  const view = new DataView(payload.buffer);
  if (data.kind === "tcp") {
    return (number) => {
      view.setUint32(0, number);
      return tried(() => send(data.sender, payload)) === 4;
    };
  }
  if (data.kind === "udp") {
    const to = socketAddress(data.to, data.port);
    return (number) => {
      view.setUint32(0, number);
      return tried(() => sendTo(data.sender, payload, to)) === 4;
    };
  }
  // Each packet from another port: to connection tracking, a flow of its own.
  const packet = template(data.from, data.to, data.port);
  const packetView = new DataView(packet.buffer);
  const at = layout(data.from.length === 4);
  const base = data.from.length === 4 ? null : checksumBase(packet);
  const to = socketAddress(data.to, 0);
  return (number) => {
    const port = firstPort + (number % (0xffff - firstPort));
    packetView.setUint16(at.sourcePort, port);
    packetView.setUint32(at.payload, number);
    if (base !== null) packetView.setUint16(at.checksum, checksum(base, port, number));
    return tried(() => sendTo(data.sender, packet, to)) > 0;
  };
}

const { flags, port, tick } = workerData as ProbeData;
const streams = new Map<number, Stream>();

function takeMessages(): void {
  for (let message = receiveMessageOnPort(port); message !== undefined; message = receiveMessageOnPort(port)) {
    const { add, remove } = message.message as Note;
    if (add !== undefined) streams.set(add.id, new Stream(add));
    if (remove !== undefined) streams.delete(remove);
    Atomics.add(flags, flag.taken, 1);
    Atomics.notify(flags, flag.taken);
  }
}

let next = now();
for (let turn = 0; Atomics.load(flags, flag.stop) === 0; turn++) {
  if (Atomics.load(flags, flag.posted) !== Atomics.load(flags, flag.taken)) takeMessages();
  for (const stream of streams.values()) if (turn % stream.every === 0) stream.step();
  next = Math.max(next + tick, now() - tick);
  const early = next - now();
  if (early > 0.02) Atomics.wait(flags, flag.nap, 0, early);
}
