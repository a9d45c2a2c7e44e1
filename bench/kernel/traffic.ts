/** Connections and packets between pods, driven by one thread, and what they cost. */
import { socketAddress } from "../../src/netns/bytes.ts";
import {
  AF_INET,
  accept,
  close,
  connect,
  receive,
  SOCK_STREAM,
  SystemError,
  send,
  sendTo,
  setOption,
  socket,
  wouldBlock,
} from "../../src/netns/libc.ts";
import { type Seat, tcpListener, udpSocket } from "../../src/netns/sockets.ts";
import { Messages, now } from "../../test/fire/native.ts";

/** A client and the server that it talks to. */
interface Pair {
  readonly client: Seat;
  readonly clientSocket: number;
  readonly server: Seat;
  readonly serverSocket: number;
  readonly listener: number;
  readonly to: Uint8Array;
  readonly batch: Messages;
}

const batchSize = 64;
const payload = new Uint8Array(36); // 64 bytes with IPv4 and UDP headers
const request = new Uint8Array(64);
const buffer = new Uint8Array(256);
const lingerReset = new Uint8Array(Int32Array.of(1, 0).buffer);
const connectionsInTurn = 16;
const patience = 1000; // ms

/** ms of CPU time of this thread. A pod's packets are handled in the system calls that send them, and count here. */
function cpuTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Calls until it does not have to wait; packets between pods are handled in the system call that sends them, mostly. */
function spin(call: () => number): number {
  const deadline = now() + patience;
  for (;;) {
    const result = tried(call);
    if (result !== wouldBlock) return result;
    if (now() > deadline) throw new Error("traffic that every layout allows does not get through");
  }
}

function tried(call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOTCONN") return wouldBlock;
    throw error;
  }
}

const clientPort = 40_000;

export class Traffic {
  readonly #pairs: readonly Pair[];

  /** @param seats of clients and the servers that they talk to, on a port that policies allow */
  constructor(seats: readonly { readonly client: Seat; readonly server: Seat }[], serverPort: number) {
    this.#pairs = seats.map(({ client, server }) => {
      const to = socketAddress(server.address, serverPort);
      const batch = new Messages(batchSize, payload.length);
      for (let k = 0; k < batchSize; k++) batch.set(k, payload, to);
      return {
        client,
        clientSocket: udpSocket(client, clientPort),
        server,
        serverSocket: udpSocket(server, serverPort),
        listener: tcpListener(server, serverPort),
        to,
        batch,
      };
    });
  }

  /**
   * TCP connections one after another, each with a request and its answer, for about `ms` of CPU time.
   * @returns connections a second of CPU time, and how long each took from connect to the answer, in µs
   */
  connections(ms: number): { readonly rate: number; readonly latencies: readonly number[] } {
    const latencies: number[] = [];
    const start = cpuTime();
    let end = start;
    for (let turn = 0; end - start < ms; turn++) {
      const pair = this.#pairs[turn % this.#pairs.length]!;
      pair.client.namespace.run<void>(() => {
        for (let i = 0; i < connectionsInTurn; i++) latencies.push(connection(pair));
      });
      end = cpuTime();
    }
    return { rate: (1000 * latencies.length) / (end - start), latencies };
  }

  /** Datagrams of flows that have been answered, for about `ms` of CPU time: packets a second of it. */
  packets(ms: number): number {
    for (const { clientSocket, serverSocket, to, client } of this.#pairs) {
      while (receive(serverSocket, buffer) !== wouldBlock);
      sendTo(clientSocket, payload, to);
      spin(() => receive(serverSocket, buffer));
      sendTo(serverSocket, payload, socketAddress(client.address, clientPort));
      spin(() => receive(clientSocket, buffer));
    }
    let sent = 0;
    const start = cpuTime();
    let end = start;
    for (let turn = 0; end - start < ms; turn++) {
      const { clientSocket, batch } = this.#pairs[turn % this.#pairs.length]!;
      for (let done = 0; done < batchSize; ) done += Math.max(0, batch.send(clientSocket, done, batchSize));
      sent += batchSize;
      end = cpuTime();
    }
    return (1000 * sent) / (end - start);
  }

  close(): void {
    for (const pair of this.#pairs) for (const fd of [pair.clientSocket, pair.serverSocket, pair.listener]) close(fd);
  }
}

/** µs */
function connection({ to, listener }: Pair): number {
  const start = now();
  const client = socket(AF_INET, SOCK_STREAM, 0);
  setOption(client, 1, 13, lingerReset); // SOL_SOCKET, SO_LINGER: no TIME_WAIT
  connect(client, to);
  spin(() => send(client, request));
  const server = spin(() => accept(listener));
  spin(() => receive(server, buffer));
  send(server, request);
  spin(() => receive(client, buffer));
  const time = 1000 * (now() - start);
  close(client);
  close(server);
  return time;
}
