/**
 * Opens connections, thousands a second, and says what became of each: answered by whom, or dropped by which rule. One
 * thread and one epoll drive both ends of every connection and the nodes' drop logs.
 */
import { type LogRecord, parseLog } from "../flows/nflog.ts";
import type { Range } from "../net/interval.ts";
import type { Protocol } from "../net/ports.ts";
import { protocolNumbers } from "../net/ports.ts";
import { socketAddress } from "../netns/bytes.ts";
import { close, connect, receive, receiveFrom, SystemError, send, sendTo, wouldBlock } from "../netns/libc.ts";
import type { NetlinkSocket } from "../netns/netlink.ts";
import { Poller, readable, writable } from "../netns/poller.ts";
import { rawSocket, type Seat, tcpClient, udpSocket } from "../netns/sockets.ts";
import { addressKey, endKey } from "./keys.ts";
import { type RawProtocol, rawProtocol } from "./raw-protocol.ts";
import { Responders, signatureLength } from "./responders.ts";
import { everyPort } from "./slices.ts";

/** Something that answers: `id` is what its answers are signed with. */
export interface Listener {
  readonly id: number;
  readonly seat: Seat;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface Probe {
  readonly from: Seat;
  /** Where the client dials: the listener's address, or a Service's. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly protocol: Protocol;
  /** What must be listening meanwhile. */
  readonly listener: Listener;
  /** Source ports to take from; default all. */
  readonly sourcePorts?: Range<number>;
}

/** A drop that a node logged. */
export interface Drop {
  readonly node: string;
  readonly record: LogRecord;
}

/** What became of a probe. An answer and a drop can both happen: each is reported. */
export interface Observation {
  /** Ids of the listeners that answered with the probe's own nonce. */
  readonly answeredBy: number | null;
  /** The first drop of a packet of this probe. */
  readonly drop: Drop | null;
  /** A refusal, for example ECONNREFUSED. */
  readonly error: string | null;
}

interface Attempt {
  readonly probe: Probe;
  readonly index: number;
  readonly key: string;
  readonly sourcePort: number;
  fd: number;
  sent: boolean;
  pending: boolean;
  answeredBy: number | null;
  drop: Drop | null;
  error: string | null;
}

const inFlight = 256;
/** Probes after which the logs are read: a socket's receive buffer may be as small as 200 kB. */
const readEvery = 32;
const openListeners = 4_000;
const nonceLength = 8;

/** IANA number of what probes a protocol at addresses of a length (4 or 16 bytes). */
export const protocolNumber = (protocol: Protocol, addressLength: number): number =>
  rawProtocol(protocol, addressLength)?.number ?? protocolNumbers[protocol as "TCP" | "UDP"];

export interface RunOptions {
  /** Called now and then with the number of probes done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
  /** How long a probe may stay without answer and drop; ms, default 3,000. */
  readonly patience?: number;
}

export class Prober {
  readonly #poller = new Poller();
  readonly #run = Math.floor(Math.random() * 0x1_0000_0000);
  readonly #buffer = Buffer.alloc(65_536);
  readonly #peer = new Uint8Array(28);
  /** Next source port by source address and protocol. */
  readonly #nextPort = new Map<string, number>();
  /** Raw sockets by address and protocol number. */
  readonly #raw = new Map<string, Map<number, number>>();
  /** Of this wave and the last, so that late drops find their probe. */
  #attempts = new Map<string, Attempt>();
  #former = new Map<string, Attempt>();
  #byIndex: Attempt[] = [];
  readonly #responders = new Responders(this.#poller);
  /** Who answers raw packets, by protocol number, port and address. */
  readonly #rawListeners = new Map<string, number>();
  #pending = 0;
  #overruns = 0;
  #strays: Drop[] = [];
  #records = 0;

  /** Reads the drops of one node from now on. */
  watchDrops(node: string, log: NetlinkSocket): void {
    this.#poller.watch(log.fd, readable, () => this.#readDrops(node, log));
  }

  unwatchDrops(log: NetlinkSocket): void {
    this.#poller.forget(log.fd);
  }

  /** Lets go of what it keeps open at an address: the address is about to leave its namespace. */
  leave(address: Uint8Array): void {
    const key = addressKey(address);
    for (const fd of this.#raw.get(key)?.values() ?? []) {
      this.#poller.forget(fd);
      close(fd);
    }
    this.#raw.delete(key);
  }

  /** How often a drop log overflowed: records are missing since. */
  get overruns(): number {
    return this.#overruns;
  }

  /** Drop records read so far. */
  get records(): number {
    return this.#records;
  }

  /** Drops of packets that belong to no probe, since the last call. */
  takeStrays(): Drop[] {
    const out = this.#strays;
    this.#strays = [];
    return out;
  }

  /** Asks everything; the answers have the order of the questions. Stops early, with what it has, when `signal` is aborted. */
  async run(probes: readonly Probe[], options: RunOptions = {}): Promise<Observation[]> {
    const { onProgress, signal, patience = 3_000 } = options;
    const out: Observation[] = [];
    for (let start = 0; start < probes.length && signal?.aborted !== true; start += inFlight) {
      const wave = probes.slice(start, start + inFlight);
      for (const probe of wave) this.#listen(probe.listener);
      out.push(...this.#ask(wave, patience));
      // The events of the process (Ctrl-C, the terminal) get their turn between waves.
      await new Promise<void>((resolve) => setImmediate(resolve));
      onProgress?.(out.length);
      if (this.#responders.size > openListeners) this.#closeListeners();
    }
    this.#closeListeners();
    this.#poller.run(0);
    return out;
  }

  close(): void {
    this.#closeListeners();
    for (const sockets of this.#raw.values()) for (const fd of sockets.values()) close(fd);
    this.#raw.clear();
    this.#poller.close();
  }

  #ask(probes: readonly Probe[], patience: number): Observation[] {
    const out = this.#wave(probes, patience);
    // A packet or a log record can be lost on a busy machine: what has neither answer nor drop is asked once more.
    const missing = out.flatMap(({ answeredBy, drop }, i) => (answeredBy === null && drop === null ? [i] : []));
    if (missing.length === 0) return out;
    const again = this.#wave(
      missing.map((i) => probes[i]!),
      patience,
    );
    for (const [k, i] of missing.entries()) out[i] = again[k]!;
    return out;
  }

  #wave(probes: readonly Probe[], patience: number): Observation[] {
    this.#former = this.#attempts;
    this.#attempts = new Map();
    this.#byIndex = [];
    this.#pending = 0;
    for (const [index, probe] of probes.entries()) {
      this.#byIndex.push(this.#start(probe, index));
      if (index % readEvery === 0) this.#poller.run(0);
    }
    let deadline = performance.now() + patience;
    while (this.#pending > 0) {
      const before = this.#pending;
      this.#poller.run(Math.min(50, patience));
      if (this.#pending < before) deadline = performance.now() + patience;
      else if (performance.now() > deadline) break;
    }
    // What was logged before the last answer came is there to be read.
    while (this.#poller.run(0) > 0);
    for (const attempt of this.#byIndex) this.#finish(attempt);
    return this.#byIndex.map(({ answeredBy, drop, error }) => ({ answeredBy, drop, error }));
  }

  #start(probe: Probe, index: number): Attempt {
    const number = protocolNumber(probe.protocol, probe.from.address.length);
    const portKey = `${number}|${addressKey(probe.from.address)}`;
    for (let tries = 0; ; tries++) {
      const sourcePort = this.#takePort(portKey, probe.sourcePorts ?? everyPort);
      const key = endKey(number, probe.from.address, sourcePort);
      if (this.#attempts.has(key) || this.#former.has(key)) continue;
      const attempt: Attempt = {
        probe,
        index,
        key,
        sourcePort,
        fd: -1,
        sent: false,
        pending: true,
        answeredBy: null,
        drop: null,
        error: null,
      };
      try {
        this.#open(attempt);
      } catch (error) {
        if (error instanceof SystemError && error.code === "EADDRINUSE" && tries < 100) continue;
        throw error;
      }
      return attempt;
    }
  }

  #takePort(key: string, { start, end }: Range<number>): number {
    const last = this.#nextPort.get(key) ?? 0;
    this.#nextPort.set(key, last + 1);
    return start + (last % (end - start + 1));
  }

  #open(attempt: Attempt): void {
    const { probe, sourcePort, key } = attempt;
    const { from, address, port, protocol } = probe;
    const raw = rawProtocol(protocol, from.address.length);
    if (raw !== null) {
      const fd = this.#rawSocket(from, raw);
      this.#attempts.set(key, attempt);
      this.#pending++;
      this.#try(attempt, () => {
        sendTo(fd, raw.request(sourcePort, port, this.#token(attempt)), socketAddress(address, 0));
      });
      return;
    }
    attempt.fd = protocol === "TCP" ? tcpClient(from, sourcePort) : udpSocket(from, sourcePort);
    this.#attempts.set(key, attempt);
    this.#pending++;
    this.#try(attempt, () => {
      connect(attempt.fd, socketAddress(address, port));
      if (protocol === "UDP") this.#sendNonce(attempt);
      this.#poller.watch(attempt.fd, attempt.sent ? readable : writable, () => this.#clientEvent(attempt));
    });
  }

  #token(attempt: Attempt): number {
    return ((this.#run ^ attempt.index) | 1) >>> 0;
  }

  #nonce(attempt: Attempt): Uint8Array {
    const nonce = new Uint8Array(nonceLength);
    const view = new DataView(nonce.buffer);
    view.setUint32(0, this.#run);
    view.setUint16(4, attempt.index);
    view.setUint16(6, attempt.sourcePort);
    return nonce;
  }

  #sendNonce(attempt: Attempt): void {
    attempt.sent = send(attempt.fd, this.#nonce(attempt)) !== wouldBlock;
  }

  #clientEvent(attempt: Attempt): void {
    this.#try(attempt, () => {
      if (!attempt.sent) {
        this.#sendNonce(attempt);
        if (attempt.sent) this.#poller.change(attempt.fd, readable);
        return;
      }
      const length = receive(attempt.fd, this.#buffer);
      if (length === wouldBlock) return;
      const nonce = this.#nonce(attempt);
      if (length !== nonceLength + signatureLength || !this.#buffer.subarray(0, nonceLength).equals(nonce)) {
        throw new SystemError("echo", 0);
      }
      attempt.answeredBy = this.#buffer.readUInt32BE(nonceLength);
      this.#finish(attempt);
    });
  }

  /** An error of the connection is an observation, not a failure of ours. */
  #try(attempt: Attempt, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      attempt.error = error.message;
      this.#finish(attempt);
    }
  }

  #finish(attempt: Attempt): void {
    if (!attempt.pending) return;
    attempt.pending = false;
    this.#pending--;
    if (attempt.fd >= 0) {
      this.#poller.forget(attempt.fd);
      close(attempt.fd);
      attempt.fd = -1;
    }
  }

  #readDrops(node: string, log: NetlinkSocket): void {
    const lost = (): void => void this.#overruns++;
    for (const datagram of log.datagrams(lost))
      for (const record of parseLog(datagram)) this.#dropped({ node, record });
  }

  #dropped(drop: Drop): void {
    this.#records++;
    const { tuple } = drop.record;
    const key = tuple === null ? "" : endKey(tuple.protocol, tuple.source, tuple.sourcePort);
    const attempt = this.#attempts.get(key);
    if (attempt === undefined) {
      // Too late for a probe that was given up: it was asked again. For one that was answered it should not have come.
      const former = this.#former.get(key);
      if (former === undefined || former.answeredBy !== null) this.#strays.push(drop);
      return;
    }
    attempt.drop ??= drop;
    this.#finish(attempt);
  }

  #listen({ seat, protocol, port, id }: Listener): void {
    if (protocol === "TCP" || protocol === "UDP") {
      this.#responders.add(protocol, seat, port, id);
      return;
    }
    const raw = rawProtocol(protocol, seat.address.length)!;
    this.#rawSocket(seat, raw);
    this.#rawListeners.set(endKey(raw.number, seat.address, port), id);
  }

  #rawSocket(seat: Seat, protocol: RawProtocol): number {
    const key = addressKey(seat.address);
    const sockets = this.#raw.get(key) ?? new Map<number, number>();
    this.#raw.set(key, sockets);
    const known = sockets.get(protocol.number);
    if (known !== undefined) return known;
    const fd = rawSocket(seat, protocol.number);
    sockets.set(protocol.number, fd);
    this.#poller.watch(fd, readable, () => this.#readRaw(fd, seat, protocol));
    return fd;
  }

  #readRaw(fd: number, seat: Seat, protocol: RawProtocol): void {
    const v4 = seat.address.length === 4;
    for (;;) {
      const length = receiveFrom(fd, this.#buffer, this.#peer);
      if (length === wouldBlock) return;
      const header = v4 ? (this.#buffer[0]! & 0xf) * 4 : 0;
      const message = protocol.read(this.#buffer.subarray(header, length));
      if (message === null) continue;
      const peer = v4 ? this.#peer.slice(4, 8) : this.#peer.slice(8, 24);
      if (message.kind === "answer") {
        this.#rawAnswer(endKey(protocol.number, seat.address, message.port), peer, message);
        continue;
      }
      const id = this.#rawListeners.get(endKey(protocol.number, seat.address, message.port));
      if (id === undefined || (protocol.kernelAnswers && !seat.foreign)) continue;
      sendTo(fd, message.answer(id), socketAddress(peer, 0));
    }
  }

  #rawAnswer(
    key: string,
    from: Uint8Array,
    answer: { readonly token: number; readonly listener: number | null },
  ): void {
    const attempt = this.#attempts.get(key);
    if (attempt === undefined || !attempt.pending || answer.token !== this.#token(attempt)) return;
    if (Buffer.compare(from, attempt.probe.address) !== 0) return;
    attempt.answeredBy = answer.listener ?? attempt.probe.listener.id;
    this.#finish(attempt);
  }

  #closeListeners(): void {
    this.#responders.closeAll();
    this.#rawListeners.clear();
  }
}
