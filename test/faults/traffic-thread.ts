/** The thread that sends packets of all streams, and counts which of them arrive. */
import { setPriority } from "node:os";
import { receiveMessageOnPort, workerData } from "node:worker_threads";
import { socketAddress } from "../../src/netns/bytes.ts";
import { receive, receiveFrom, SystemError, send, sendTo, wouldBlock } from "../../src/netns/libc.ts";
import { Poller, readable } from "../../src/netns/poller.ts";
import { now } from "../fire/native.ts";
import { flowMagic, PacketWriter, readPacket } from "./packets.ts";
import { count, flag, type Order, type StreamData, type TrafficData, tick, time } from "./shared.ts";

const buffer = new Uint8Array(65_536);
const view = new DataView(buffer.buffer);
const message = new Uint8Array(8);
const messageView = new DataView(message.buffer);
const peer = new Uint8Array(28);

/** Ports of flows that are all new; each comes again after so many packets. */
const freshPorts = { first: 20_000, count: 40_000 };

/** A call that does nothing while it would have to wait; an error is what happened to the flow. */
function tried(data: StreamData, call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    // What ICMP errors and full queues do to datagrams is counted as packets that did not arrive.
    if (data.kind === "tcp-flow") Atomics.store(data.note.counts, count.broken, 1);
    return wouldBlock;
  }
}

function arrived({ note }: StreamData, number: number): void {
  const at = now();
  const { counts, times, arrived: remembered } = note;
  const total = Atomics.add(counts, count.arrived, 1);
  if (total > 0) times[time.longestGap] = Math.max(times[time.longestGap]!, at - times[time.lastArrival]!);
  times[time.lastArrival] = at;
  const { length } = remembered;
  if (length > 0 && Atomics.load(counts, count.sent) - number <= length) remembered[number % length] = at;
}

/** Sends the next packet; false where it could not be sent. */
function sender(data: StreamData): (number: number) => boolean {
  const { kind, from, to, port } = data;
  if (kind === "tcp-flow" || kind === "udp-flow") {
    const address = socketAddress(to, port);
    return (number) => {
      messageView.setUint32(0, flowMagic);
      messageView.setUint32(4, number);
      const call = kind === "tcp-flow" ? () => send(data.sender, message) : () => sendTo(data.sender, message, address);
      return tried(data, call) === message.length;
    };
  }
  const writer = new PacketWriter(kind, from, to, port, data.id);
  const address = socketAddress(to, 0);
  return (number) => {
    const isLasting = data.fresh === "none" || (data.fresh === "most" && number % 4 === 0);
    const source = isLasting ? freshPorts.first - 1 : freshPorts.first + ((data.id * 131 + number) % freshPorts.count);
    return tried(data, () => sendTo(data.sender, writer.write(source, number), address)) > 0;
  };
}

class Stream {
  readonly data: StreamData;
  readonly #send: (number: number) => boolean;
  #number = 0;
  #bytes = 0;

  constructor(data: StreamData) {
    this.data = data;
    this.#send = sender(data);
  }

  step(): void {
    const { counts, sent, arrived } = this.data.note;
    if (Atomics.load(counts, count.paused) === 1) return;
    if (sent.length > 0) {
      arrived[this.#number % sent.length] = 0;
      sent[this.#number % sent.length] = now();
    }
    if (!this.#send(this.#number)) return;
    this.#number++;
    Atomics.store(counts, count.sent, this.#number);
  }

  /** Of a TCP connection: its messages have one length and stay in order. */
  readStream(): void {
    for (;;) {
      const length = tried(this.data, () => receive(this.data.receiver, buffer));
      if (length === 0) Atomics.store(this.data.note.counts, count.broken, 1);
      if (length <= 0) return;
      const before = Math.floor(this.#bytes / message.length);
      this.#bytes += length;
      for (let n = before; n < Math.floor(this.#bytes / message.length); n++) arrived(this.data, n);
    }
  }

  /** Datagrams are answered, so that the flow is established, and both ways are used. */
  readDatagrams(): void {
    for (;;) {
      const length = tried(this.data, () => receiveFrom(this.data.receiver, buffer, peer));
      if (length < 0) return;
      if (length !== message.length || view.getUint32(0) !== flowMagic) continue;
      tried(this.data, () =>
        sendTo(this.data.receiver, buffer.subarray(0, length), peer.subarray(0, addressSize(this.data))),
      );
    }
  }

  readAnswers(): void {
    for (;;) {
      const length = tried(this.data, () => receive(this.data.sender, buffer));
      if (length < 0) return;
      if (length === message.length && view.getUint32(0) === flowMagic) arrived(this.data, view.getUint32(4));
    }
  }
}

const addressSize = ({ to }: StreamData): number => (to.length === 4 ? 16 : 28);

setPriority(0, -5); // of this thread: the machine is busy with everything else
const { flags, port } = workerData as TrafficData;
const streams = new Map<number, Stream>();
const poller = new Poller();

function add(data: StreamData): void {
  const stream = new Stream(data);
  streams.set(data.id, stream);
  if (data.kind === "tcp-flow") poller.watch(data.receiver, readable, () => stream.readStream());
  if (data.kind !== "udp-flow") return;
  poller.watch(data.receiver, readable, () => stream.readDatagrams());
  poller.watch(data.sender, readable, () => stream.readAnswers());
}

/** A raw socket: all packets of a protocol for one address. */
function listen(fd: number, protocol: number, addressLength: number): void {
  poller.watch(fd, readable, () => {
    for (;;) {
      const length = receive(fd, buffer);
      if (length < 0) return;
      const packet = readPacket(view, length, protocol, addressLength);
      const stream = packet === null ? undefined : streams.get(packet.stream);
      if (stream !== undefined) arrived(stream.data, packet!.number);
    }
  });
}

function take(order: Order): void {
  if (order.add !== undefined) for (const data of order.add) add(data);
  if (order.listen !== undefined) listen(order.listen.fd, order.listen.protocol, order.listen.addressLength);
  for (const id of order.remove ?? []) {
    const data = streams.get(id)?.data;
    streams.delete(id);
    if (data?.kind === "tcp-flow" || data?.kind === "udp-flow")
      for (const fd of [data.receiver, data.sender]) poller.forget(fd);
  }
  for (const fd of order.deaf ?? []) poller.forget(fd);
}

let next = now();
for (let turn = 0; Atomics.load(flags, flag.stop) === 0; turn++) {
  for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
    take(got.message as Order);
    Atomics.add(flags, flag.taken, 1);
    Atomics.notify(flags, flag.taken);
  }
  if (Atomics.load(flags, flag.silent) === 0)
    for (const stream of streams.values()) if ((turn + stream.data.id) % stream.data.every === 0) stream.step();
  next = Math.max(next + tick, now() - tick);
  do poller.run(Math.max(0, Math.ceil(next - now())));
  while (now() < next);
}
poller.close();
