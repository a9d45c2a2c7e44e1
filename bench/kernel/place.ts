/** A node with traffic between its pods, and programs run in its network namespace. */
import { spawn } from "node:child_process";
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
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { namespacedName, type World } from "../../src/policy/model/world.ts";
import { Topology } from "../../src/sandbox/topology.ts";
import { Messages, now } from "../../test/fire/native.ts";
import { isClient, isServer, node, serverPort } from "./world.ts";

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

export class Place {
  readonly runner: Runner;
  readonly #topology: Topology;
  readonly #pairs: readonly Pair[];

  /** The pods with traffic are built, the others are not. */
  static async build(world: World): Promise<Place> {
    const topology = Topology.build({
      ...world,
      nodes: world.nodes.filter(({ name }) => name === node),
      pods: world.pods.filter((pod) => isClient(pod) || isServer(pod)),
    });
    const space = topology.node(node);
    // Thousands of short connections must not fill connection tracking.
    for (const state of ["close", "time_wait", "fin_wait", "last_ack"]) {
      space.sysctl(`netfilter/nf_conntrack_tcp_timeout_${state}`, "1");
    }
    return new Place(world, topology, await openRunner({ netns: space.fd }));
  }

  private constructor(world: World, topology: Topology, runner: Runner) {
    this.#topology = topology;
    this.runner = runner;
    const seats = (which: typeof isClient): Seat[] =>
      world.pods.filter(which).map((pod) => topology.podSeat(namespacedName(pod), pod.ips[0]!));
    const servers = seats(isServer);
    this.#pairs = seats(isClient).map((client, i) => {
      const server = servers[(i + 3) % servers.length]!;
      const to = socketAddress(server.address, serverPort);
      const batch = new Messages(batchSize, payload.length);
      for (let k = 0; k < batchSize; k++) batch.set(k, payload, to);
      return {
        client,
        clientSocket: udpSocket(client, 40_000),
        server,
        serverSocket: udpSocket(server, serverPort),
        listener: tcpListener(server, serverPort),
        to,
        batch,
      };
    });
  }

  /** Runs a program in the node's namespace. @throws Error with what it said */
  exec(program: string, args: readonly string[], input: string): Promise<void> {
    const { fd } = this.#topology.node(node);
    const child = spawn("nsenter", ["--net=/proc/self/fd/3", "--", program, ...args], {
      stdio: ["pipe", "ignore", "pipe", fd],
    });
    let said = "";
    child.stderr!.on("data", (part: Buffer) => {
      said += part.toString();
    });
    child.stdin!.on("error", () => undefined); // a program that ends early says why
    child.stdin!.end(input);
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => {
        if (status === 0) resolve();
        else reject(new Error(`${program}: ${said.slice(0, 500)}`));
      });
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
      sendTo(serverSocket, payload, socketAddress(client.address, 40_000));
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

  async close(): Promise<void> {
    for (const pair of this.#pairs) for (const fd of [pair.clientSocket, pair.serverSocket, pair.listener]) close(fd);
    await this.runner.close();
    this.#topology.close();
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
