/** Connections that stay open while policies change. */
import { socketAddress } from "../../src/netns/bytes.ts";
import { accept, close, connect, receive, receiveFrom, send, sendTo, wouldBlock } from "../../src/netns/libc.ts";
import { type Seat, tcpClient, tcpListener, udpSocket } from "../../src/netns/sockets.ts";

const arrival = 300; // ms: a packet between two namespaces takes less than one

/** Waits for what a non-blocking call has to give; null when nothing comes. */
async function within<T>(milliseconds: number, poll: () => T | null): Promise<T | null> {
  for (const end = performance.now() + milliseconds; ; ) {
    const value = poll();
    if (value !== null || performance.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const nonBlocking = (result: number): number | null => (result === wouldBlock ? null : result);

export interface FlowOptions {
  /** The client's port; default: the server's. */
  readonly clientPort?: number;
  /** What the client dials, as a socket address; default: the server's address and port. */
  readonly dialled?: Uint8Array;
}

/** An open connection: does a packet of its client arrive, does one of its server, within `patience` ms? */
export interface OpenFlow {
  there(patience?: number): Promise<boolean>;
  back(patience?: number): Promise<boolean>;
  close(): void;
}

/** A UDP flow: two sockets that keep their ports. To conntrack the same ports are the same flow, also of later sockets. */
export class UdpFlow implements OpenFlow {
  readonly #client: number;
  readonly #server: number;
  readonly #from: Uint8Array;
  readonly #to: Uint8Array;

  constructor(client: Seat, server: Seat, port: number, options: FlowOptions = {}) {
    const { clientPort = port, dialled = socketAddress(server.address, port) } = options;
    this.#client = udpSocket(client, clientPort);
    this.#server = udpSocket(server, port);
    this.#from = socketAddress(client.address, clientPort);
    this.#to = dialled;
  }

  there = (patience = arrival): Promise<boolean> => this.#arrives(this.#client, this.#to, this.#server, patience);
  back = (patience = arrival): Promise<boolean> => this.#arrives(this.#server, this.#from, this.#client, patience);

  async #arrives(sender: number, to: Uint8Array, receiver: number, patience: number): Promise<boolean> {
    sendTo(sender, Uint8Array.of(1), to);
    const peer = new Uint8Array(28);
    return (
      (await within(patience, () => (receiveFrom(receiver, new Uint8Array(16), peer) === wouldBlock ? null : true))) ??
      false
    );
  }

  close(): void {
    close(this.#client);
    close(this.#server);
  }
}

/** An established TCP connection. */
export class TcpFlow implements OpenFlow {
  readonly #client: number;
  readonly #server: number;

  private constructor(client: number, server: number) {
    this.#client = client;
    this.#server = server;
  }

  /** null: it could not be opened. */
  static async open(from: Seat, to: Seat, port: number, options: FlowOptions = {}): Promise<TcpFlow | null> {
    const { clientPort = port, dialled = socketAddress(to.address, port) } = options;
    const listener = tcpListener(to, port);
    try {
      const client = tcpClient(from, clientPort);
      connect(client, dialled);
      const sent = await within(arrival, () => {
        try {
          return send(client, Uint8Array.of(1)) === wouldBlock ? null : true;
        } catch {
          return null; // not connected yet
        }
      });
      const server = sent === null ? null : await within(arrival, () => nonBlocking(accept(listener)));
      if (server === null) {
        close(client);
        return null;
      }
      receive(server, new Uint8Array(16));
      return new TcpFlow(client, server);
    } finally {
      close(listener);
    }
  }

  there = (patience = arrival): Promise<boolean> => this.#arrives(this.#client, this.#server, patience);
  back = (patience = arrival): Promise<boolean> => this.#arrives(this.#server, this.#client, patience);

  async #arrives(sender: number, receiver: number, patience: number): Promise<boolean> {
    send(sender, Uint8Array.of(1));
    return (await within(patience, () => nonBlocking(receive(receiver, new Uint8Array(16))))) !== null;
  }

  close(): void {
    for (const fd of [this.#client, this.#server]) close(fd);
  }
}
