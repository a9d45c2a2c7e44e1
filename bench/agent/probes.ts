/** Streams of packets between pods of a light cluster, and when they began or ceased to arrive. */
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
  receive,
  SOCK_RAW,
  SOCK_STREAM,
  send,
  setOption,
  socket,
  wouldBlock,
} from "../../src/netns/libc.ts";
import { type Seat, tcpListener, udpSocket } from "../../src/netns/sockets.ts";
import { Fates, newTimes, type PacketTimes } from "../../test/fire/fates.ts";
import { now } from "../../test/fire/native.ts";

/** Packets that are remembered; of 5,000 a second, thirteen seconds'. */
const remembered = 65_536;

/** Index in the flags that both threads share. */
export const flag = { stop: 0, nap: 1, posted: 2, taken: 3 } as const;

interface StreamNote extends PacketTimes {
  /** [0]: how many packets have been sent. */
  readonly numbers: Int32Array<SharedArrayBuffer>;
}

export interface StreamData {
  readonly id: number;
  /** Each packet a new flow; packets of one UDP flow; of one TCP connection. */
  readonly kind: "new" | "udp" | "tcp";
  readonly sender: number;
  readonly receiver: number;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly port: number;
  /** Ticks between two packets. */
  readonly every: number;
  readonly note: StreamNote;
}

export interface Note {
  readonly add?: StreamData;
  readonly remove?: number;
}

export interface ProbeData {
  readonly flags: Int32Array<SharedArrayBuffer>;
  readonly port: MessagePort;
  /** ms */
  readonly tick: number;
}

/** Between two packets of a stream of new flows, in ms. */
const tick = 0.2;

export class Stream extends Fates {
  readonly id: number;
  readonly #stop: () => void;

  constructor(id: number, note: StreamNote, stop: () => void) {
    super(note, () => Atomics.load(note.numbers, 0));
    this.id = id;
    this.#stop = stop;
  }

  override until(passes: boolean, quiet = 15, patience = 10_000): Promise<number | null> {
    return super.until(passes, quiet, patience);
  }

  /** Sends nothing more. */
  stop(): void {
    this.#stop();
  }
}

export class Probes {
  readonly #flags = new Int32Array(new SharedArrayBuffer(16));
  readonly #port: MessagePort;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #ids = 0;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const data: ProbeData = { flags: this.#flags, port: port2, tick };
    this.#worker = new Worker(new URL("probe-thread.ts", import.meta.url), { workerData: data, transferList: [port2] });
    this.#ended = new Promise((resolve, reject) => {
      this.#worker.once("exit", () => resolve());
      this.#worker.once("error", reject);
    });
    this.#ended.catch(() => undefined);
  }

  /** A packet each tick, each of a new UDP flow. */
  newFlows(from: Seat, to: Seat, port: number): Stream {
    const receiver = udpSocket(to, port);
    const v4 = from.address.length === 4;
    const sender = from.namespace.run<number>(() => socket(v4 ? AF_INET : AF_INET6, SOCK_RAW, 255)); // IPPROTO_RAW
    if (!v4) setOption(sender, 41, 36, int(1)); // IPV6_HDRINCL
    return this.#add({ kind: "new", sender, receiver, from: from.address, to: to.address, port, every: 1 });
  }

  /** One UDP flow, which is answered once: established to connection tracking. A packet a millisecond. */
  udpFlow(from: Seat, to: Seat, port: number, sourcePort: number): Stream {
    const receiver = udpSocket(to, port);
    const sender = udpSocket(from, sourcePort);
    return this.#add({ kind: "udp", sender, receiver, from: from.address, to: to.address, port, every: 5 });
  }

  /** One TCP connection with some bytes a millisecond. @throws Error when it does not come about within a second */
  async tcpFlow(from: Seat, to: Seat, port: number): Promise<Stream> {
    const listener = tcpListener(to, port);
    const sender = from.namespace.run<number>(() => socket(AF_INET, SOCK_STREAM, 0));
    setOption(sender, 6, 1, int(1)); // TCP_NODELAY
    connect(sender, socketAddress(to.address, port));
    // The listener reports connections once there is data: the stream's own first four bytes, number 0.
    const deadline = now() + 1000;
    let sent = 0;
    let receiver = wouldBlock;
    while (receiver === wouldBlock) {
      if (now() > deadline) throw new Error("a connection that is allowed does not come about");
      await sleep(2);
      if (sent === 0) sent = Math.max(0, trySend(sender));
      receiver = accept(listener);
    }
    close(listener);
    receive(receiver, new Uint8Array(4));
    return this.#add({ kind: "tcp", sender, receiver, from: from.address, to: to.address, port, every: 5 });
  }

  async close(): Promise<void> {
    Atomics.store(this.#flags, flag.stop, 1);
    await this.#ended;
    this.#port.close();
  }

  #add(data: Omit<StreamData, "id" | "note">): Stream {
    const id = this.#ids++;
    const note: StreamNote = {
      ...newTimes(remembered),
      numbers: new Int32Array(new SharedArrayBuffer(4)),
    };
    this.#post({ add: { ...data, id, note } });
    return new Stream(id, note, () => {
      this.#post({ remove: id });
      close(data.sender);
      close(data.receiver);
    });
  }

  /** Returns when the thread has taken the message. */
  #post(message: Note): void {
    this.#port.postMessage(message);
    const posted = Atomics.add(this.#flags, flag.posted, 1) + 1;
    for (;;) {
      const taken = Atomics.load(this.#flags, flag.taken);
      if (taken >= posted) return;
      Atomics.wait(this.#flags, flag.taken, taken, 1000);
    }
  }
}

function trySend(fd: number): number {
  try {
    return send(fd, new Uint8Array(4));
  } catch {
    return wouldBlock; // not connected yet
  }
}
