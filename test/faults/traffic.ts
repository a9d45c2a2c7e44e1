/** Continuous traffic of a cluster, each stream with the verdict that policies have for it, counted packet by packet. */
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { socketAddress } from "../../src/netns/bytes.ts";
import {
  AF_INET,
  AF_INET6,
  accept,
  close,
  connect,
  int,
  moveUp,
  receive,
  SOCK_RAW,
  SystemError,
  send,
  setOption,
  socket,
  wouldBlock,
} from "../../src/netns/libc.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import { rawSocket, type Seat, tcpClient, tcpListener, udpSocket } from "../../src/netns/sockets.ts";
import { Fates, newTimes } from "../fire/fates.ts";
import { now } from "../fire/native.ts";
import { type PacketKind, packetKinds, protocolOf } from "./packets.ts";
import { count, flag, type Order, type StreamData, type StreamNote, time } from "./shared.ts";

/** What policies say of a stream: all the time, or until someone changes them. */
export type Expectation = "denied" | "allowed" | "changing";

/** A place that sends or receives, with a name for messages. */
export interface End {
  readonly name: string;
  readonly seat: Seat;
}

const receiveBuffer = 8 << 20;
/** Turns (2 ms) between two packets of a stream. */
const paces = { denied: 20, allowed: 10, flow: 5, changing: 2, sweep: 50 } as const;
const messageLength = 8;

export class Stream extends Fates {
  readonly id: number;
  readonly name: string;
  readonly expectation: Expectation;
  readonly kind: StreamData["kind"];
  readonly #note: StreamNote;

  constructor(data: StreamData, name: string, expectation: Expectation) {
    super(data.note, () => Atomics.load(data.note.counts, count.sent));
    this.id = data.id;
    this.name = name;
    this.expectation = expectation;
    this.kind = data.kind;
    this.#note = data.note;
  }

  get sent(): number {
    return Atomics.load(this.#note.counts, count.sent);
  }

  get arrived(): number {
    return Atomics.load(this.#note.counts, count.arrived);
  }

  /** A TCP connection was reset or ended. */
  get isBroken(): boolean {
    return Atomics.load(this.#note.counts, count.broken) === 1;
  }

  /** Between two packets that arrived, in ms. */
  get longestGap(): number {
    return this.#note.times[time.longestGap]!;
  }

  pause(isPaused: boolean): void {
    Atomics.store(this.#note.counts, count.paused, isPaused ? 1 : 0);
  }

  /** Only of changing streams: the others' packets are counted, not remembered. */
  override until(passes: boolean, quiet = 60, patience = 300_000): Promise<number | null> {
    return super.until(passes, quiet, patience);
  }
}

/** Counts of all streams at one moment. */
export interface Snapshot {
  readonly sent: ReadonlyMap<number, number>;
  readonly arrived: ReadonlyMap<number, number>;
}

/** What became of the streams since a snapshot. */
export interface Toll {
  readonly denied: number;
  readonly leaked: number;
  /** Flows over ordinary sockets. */
  readonly flows: number;
  /** Those that were reset, or lost a packet. */
  readonly cut: number;
  /** Packets of allowed streams, and those that did not arrive. */
  readonly allowed: number;
  readonly lost: number;
  /** The longest time between two packets of a flow that arrived, in ms. */
  readonly longestGap: number;
  readonly examples: readonly string[];
}

export class Traffic {
  readonly #flags = new Int32Array(new SharedArrayBuffer(16));
  readonly #port: MessagePort;
  readonly #ended: Promise<void>;
  readonly #streams = new Map<number, Stream>();
  readonly #descriptors = new Map<number, readonly number[]>();
  /** Raw senders by namespace and family, raw receivers by address and protocol. */
  readonly #senders = new Map<string, number>();
  readonly #receivers = new Map<string, number>();
  #ids = 1;
  #failure: Error | null = null;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const worker = new Worker(new URL("traffic-thread.ts", import.meta.url), {
      workerData: { flags: this.#flags, port: port2 },
      transferList: [port2],
    });
    this.#ended = new Promise((resolve) => {
      worker.once("exit", () => resolve());
      worker.once("error", (error) => {
        this.#failure = error as Error;
        resolve();
      });
    });
  }

  get streams(): readonly Stream[] {
    return [...this.#streams.values()];
  }

  /** Packets of every kind from one end to another, which policies deny (or allow: see `fresh`). */
  denied(from: End, to: End, port: number, kinds: readonly PacketKind[] = packetKinds): void {
    this.#raw("denied", from, to, port, kinds, "most", paces.denied);
  }

  /** First packets of flows that policies allow: each is of a new one. */
  fresh(from: End, to: End, port: number, kinds: readonly PacketKind[] = ["syn", "udp"]): void {
    this.#raw("allowed", from, to, port, kinds, "all", paces.allowed);
  }

  /** Packets that policies deny, to an address that somebody may come to have; `tap` says whether they arrive. */
  sweep(from: End, to: { readonly name: string; readonly address: Uint8Array }, port: number): void {
    const place = { name: to.name, seat: { ...from.seat, address: to.address } };
    this.#raw("denied", from, place, port, ["syn", "udp", "echo"], "most", paces.sweep, false);
  }

  /** Hears every packet that comes to a namespace. @returns ends that */
  tap(namespace: Namespace): () => void {
    const fds = [4, 16].flatMap((length) =>
      packetKinds
        .map((kind) => protocolOf(kind, length))
        .filter((protocol, i, all) => all.indexOf(protocol) === i)
        .map((protocol) => {
          const fd = rawSocket({ namespace, address: new Uint8Array(length), foreign: false }, protocol);
          this.#post({ listen: { fd, protocol, addressLength: length } });
          return fd;
        }),
    );
    return () => {
      this.#post({ deaf: fds });
      for (const fd of fds) close(fd);
    };
  }

  /** UDP packets whose verdict changes: of new flows, or of one that goes on. */
  changing(from: End, to: End, port: number, fresh: "all" | "none"): Stream {
    return this.#raw("changing", from, to, port, ["udp"], fresh, paces.changing)[0]!;
  }

  /** Datagrams that are answered. */
  udpFlow(from: End, to: End, port: number): Stream {
    const [receiver, sender] = [udpSocket(to.seat, port), udpSocket(from.seat, 0)];
    for (const fd of [receiver, sender]) setOption(fd, 1, 33, int(receiveBuffer)); // SOL_SOCKET, SO_RCVBUFFORCE
    return this.#flow("udp-flow", from, to, port, sender, receiver);
  }

  /** One TCP connection. @throws Error when it does not come about */
  async tcpFlow(from: End, to: End, port: number, patience = 120_000): Promise<Stream> {
    const listener = tcpListener(to.seat, port);
    const sender = tcpClient(from.seat, 0);
    setOption(sender, 6, 1, int(1)); // TCP_NODELAY
    connect(sender, socketAddress(to.seat.address, port));
    // The listener tells of a connection when its first data is there.
    const deadline = now() + patience;
    let receiver = wouldBlock;
    for (let isSent = false; receiver === wouldBlock; receiver = accept(listener)) {
      if (now() > deadline) throw new Error(`no connection from ${from.name} to ${to.name} port ${port}`);
      await sleep(2);
      if (!isSent) isSent = trySend(sender);
    }
    close(listener);
    receive(receiver, new Uint8Array(messageLength));
    return this.#flow("tcp-flow", from, to, port, sender, receiver);
  }

  /** Ends streams, whatever became of them. */
  remove(streams: readonly Stream[]): void {
    this.#post({ remove: streams.map(({ id }) => id) });
    for (const { id } of streams) {
      this.#streams.delete(id);
      for (const fd of this.#descriptors.get(id) ?? []) close(fd);
      this.#descriptors.delete(id);
    }
  }

  /** Counts of now; sending stops for it, so that no packet is on its way. */
  async snapshot(): Promise<Snapshot> {
    await this.settle();
    const of = (value: (stream: Stream) => number): Map<number, number> =>
      new Map(this.streams.map((stream) => [stream.id, value(stream)]));
    const counts = { sent: of(({ sent }) => sent), arrived: of(({ arrived }) => arrived) };
    this.resume();
    return counts;
  }

  /** Sends nothing for a moment, so that what is on its way arrives, and counts. */
  async settle(patience = 30_000): Promise<void> {
    this.#check();
    Atomics.store(this.#flags, flag.silent, 1);
    const deadline = now() + patience;
    const missing = (): boolean =>
      this.streams.some((one) => one.expectation === "allowed" && !one.isBroken && one.arrived < one.sent);
    await sleep(100);
    while (missing() && now() < deadline) await sleep(20);
  }

  resume(): void {
    Atomics.store(this.#flags, flag.silent, 0);
  }

  /** What became of the streams since a snapshot; sending stops for it. */
  async toll(since: Snapshot, patience?: number): Promise<Toll> {
    await this.settle(patience);
    const toll = { denied: 0, leaked: 0, flows: 0, cut: 0, allowed: 0, lost: 0, longestGap: 0 };
    const examples: string[] = [];
    for (const stream of this.streams) {
      const sent = stream.sent - (since.sent.get(stream.id) ?? 0);
      const arrived = stream.arrived - (since.arrived.get(stream.id) ?? 0);
      if (stream.expectation === "denied") {
        toll.denied += sent;
        toll.leaked += arrived;
        if (arrived > 0) examples.push(`${stream.name}: ${arrived} of ${sent} packets arrived, which policies deny`);
      } else if (stream.expectation === "allowed") {
        const lost = Math.max(0, sent - arrived);
        toll.allowed += sent;
        toll.lost += lost;
        const isFlow = stream.kind === "tcp-flow" || stream.kind === "udp-flow";
        if (isFlow) toll.flows++;
        if (isFlow) toll.longestGap = Math.max(toll.longestGap, stream.longestGap);
        if (isFlow && (stream.isBroken || lost > 0)) toll.cut++;
        if (stream.isBroken || lost > 0)
          examples.push(`${stream.name}: ${lost} of ${sent} packets did not arrive${stream.isBroken ? ", reset" : ""}`);
      }
    }
    this.resume();
    return { ...toll, examples };
  }

  async close(): Promise<void> {
    Atomics.store(this.#flags, flag.stop, 1);
    await this.#ended;
    this.#port.close();
    for (const fds of this.#descriptors.values()) for (const fd of fds) close(fd);
    for (const fd of [...this.#senders.values(), ...this.#receivers.values()]) close(fd);
    this.#check();
  }

  #raw(
    expectation: Expectation,
    from: End,
    to: End,
    port: number,
    kinds: readonly PacketKind[],
    fresh: StreamData["fresh"],
    every: number,
    isHeard = true,
  ): Stream[] {
    const sender = this.#sender(from.seat);
    const added = kinds.map((kind): { data: StreamData; stream: Stream } => {
      if (isHeard) this.#hear(to.seat, protocolOf(kind, to.seat.address.length));
      const data: StreamData = {
        id: this.#ids++,
        kind,
        sender,
        receiver: -1,
        from: from.seat.address,
        to: to.seat.address,
        port,
        fresh,
        every,
        note: newNote(expectation === "changing"),
      };
      const family = to.seat.address.length === 4 ? "IPv4" : "IPv6";
      return { data, stream: new Stream(data, `${from.name} → ${to.name} ${kind} ${port} ${family}`, expectation) };
    });
    for (const { stream } of added) this.#streams.set(stream.id, stream);
    this.#post({ add: added.map(({ data }) => data) });
    return added.map(({ stream }) => stream);
  }

  #flow(kind: "tcp-flow" | "udp-flow", from: End, to: End, port: number, sender: number, receiver: number): Stream {
    const [a, b] = [moveUp(sender), moveUp(receiver)];
    const data: StreamData = {
      id: this.#ids++,
      kind,
      sender: a,
      receiver: b,
      from: from.seat.address,
      to: to.seat.address,
      port,
      fresh: "none",
      every: paces.flow,
      note: newNote(false),
    };
    const stream = new Stream(data, `${from.name} → ${to.name} ${kind} ${port}`, "allowed");
    this.#streams.set(stream.id, stream);
    this.#descriptors.set(stream.id, [a, b]);
    this.#post({ add: [data] });
    return stream;
  }

  #sender({ namespace, address }: Seat): number {
    const v4 = address.length === 4;
    const key = `${namespace.fd} ${v4 ? 4 : 6}`;
    let fd = this.#senders.get(key);
    if (fd === undefined) {
      fd = moveUp(namespace.run<number>(() => socket(v4 ? AF_INET : AF_INET6, SOCK_RAW, 255))); // IPPROTO_RAW
      if (!v4) setOption(fd, 41, 36, int(1)); // IPV6_HDRINCL
      this.#senders.set(key, fd);
    }
    return fd;
  }

  #hear(seat: Seat, protocol: number): void {
    const key = `${seat.namespace.fd} ${seat.address.join(".")} ${protocol}`;
    if (this.#receivers.has(key)) return;
    const fd = rawSocket(seat, protocol);
    setOption(fd, 1, 33, int(receiveBuffer));
    this.#receivers.set(key, fd);
    this.#post({ listen: { fd, protocol, addressLength: seat.address.length } });
  }

  /** Lets go of what belongs to a namespace that goes away; its streams must have been removed. */
  forget(seats: readonly Seat[]): void {
    const places = new Set(seats.map(({ namespace }) => namespace.fd));
    for (const sockets of [this.#senders, this.#receivers])
      for (const [key, fd] of [...sockets]) {
        if (!places.has(Number(key.split(" ")[0]))) continue;
        sockets.delete(key);
        if (sockets === this.#receivers) this.#post({ deaf: [fd] });
        close(fd);
      }
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Returns when the thread has taken the order. */
  #post(order: Order): void {
    this.#port.postMessage(order);
    const posted = Atomics.add(this.#flags, flag.posted, 1) + 1;
    for (;;) {
      this.#check();
      const taken = Atomics.load(this.#flags, flag.taken);
      if (taken >= posted) return;
      Atomics.wait(this.#flags, flag.taken, taken, 1000);
    }
  }
}

/** Packets of a stream whose verdict changes that are remembered one by one. */
const remembered = 65_536;

const newNote = (isRemembered: boolean): StreamNote => ({
  counts: new Int32Array(new SharedArrayBuffer(16)),
  times: new Float64Array(new SharedArrayBuffer(16)),
  ...newTimes(isRemembered ? remembered : 0),
});

function trySend(fd: number): boolean {
  try {
    return send(fd, new Uint8Array(messageLength)) > 0;
  } catch (error) {
    if (error instanceof SystemError) return false; // not connected yet
    throw error;
  }
}
