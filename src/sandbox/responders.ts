/** The far ends of TCP and UDP probes: they echo what comes, signed, at exactly the addresses and ports that are asked. */
import { protocolNumbers } from "../net/ports.ts";
import { accept, close, receive, receiveFrom, SystemError, send, sendTo, wouldBlock } from "../netns/libc.ts";
import { type Poller, readable } from "../netns/poller.ts";
import { type Seat, tcpListener, udpSocket } from "../netns/sockets.ts";
import { endKey } from "./keys.ts";

/** Bytes of a signature: the responder's id, big-endian. */
export const signatureLength = 4;

export class Responders {
  readonly #poller: Poller;
  readonly #buffer = Buffer.alloc(2_048);
  readonly #peer = new Uint8Array(28); // struct sockaddr_in6
  readonly #sockets = new Map<string, number>();

  constructor(poller: Poller) {
    this.#poller = poller;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** Listens from now on, if it does not already. */
  add(protocol: "TCP" | "UDP", seat: Seat, port: number, id: number): void {
    const key = endKey(protocolNumbers[protocol], seat.address, port);
    if (this.#sockets.has(key)) return;
    const signature = new Uint8Array(signatureLength);
    new DataView(signature.buffer).setUint32(0, id);
    const fd = protocol === "TCP" ? tcpListener(seat, port) : udpSocket(seat, port);
    this.#sockets.set(key, fd);
    const answer = protocol === "TCP" ? () => this.#accept(fd, signature) : () => this.#echo(fd, seat, signature);
    this.#poller.watch(fd, readable, answer);
  }

  closeAll(): void {
    for (const fd of this.#sockets.values()) this.#close(fd);
    this.#sockets.clear();
  }

  #accept(listener: number, signature: Uint8Array): void {
    for (;;) {
      const fd = accept(listener);
      if (fd === wouldBlock) return;
      if (!this.#answer(fd, signature)) this.#poller.watch(fd, readable, () => void this.#answer(fd, signature));
    }
  }

  /** Echoes what came over an accepted connection and closes it; false when nothing is there yet. */
  #answer(fd: number, signature: Uint8Array): boolean {
    try {
      const length = receive(fd, this.#buffer);
      if (length === wouldBlock) return false;
      if (length > 0) send(fd, this.#signed(length, signature));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error; // the client went away
    }
    this.#close(fd);
    return true;
  }

  #echo(fd: number, seat: Seat, signature: Uint8Array): void {
    for (;;) {
      try {
        const length = receiveFrom(fd, this.#buffer, this.#peer);
        if (length === wouldBlock) return;
        const client = this.#peer.slice(0, seat.address.length === 4 ? 16 : 28);
        sendTo(fd, this.#signed(length, signature), client);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        return; // an ICMP error for an earlier answer; reading it has cleared it
      }
    }
  }

  #signed(length: number, signature: Uint8Array): Uint8Array {
    this.#buffer.set(signature, length);
    return this.#buffer.subarray(0, length + signatureLength);
  }

  #close(fd: number): void {
    this.#poller.forget(fd);
    close(fd);
  }
}
