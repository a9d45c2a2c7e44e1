/** Netlink to netfilter: dumps, and one request after another. Calls block their thread: used in `kernel-worker.ts` only. */
import { attributes, errnoOf, flags, type Message, MessageWriter, messages, types } from "./netlink.ts";
import { closeSocket, failed, netfilterSocket, optionCall, recvCall, sendCall } from "./system-calls.ts";

/** Messages up to the end of a dump or to one answer. */
function* receive(fd: number, buffer: Buffer): Generator<Message> {
  for (;;) {
    const length = recvCall(fd, buffer, buffer.length, 0);
    if (length <= 0) throw failed("netfilter: recv");
    for (const part of messages(buffer.subarray(0, length))) {
      if (part.type === types.done) return;
      if (part.type === types.error) {
        yield part;
        return;
      }
      yield part;
    }
  }
}

/** A request: message type with its subsystem and family, then attributes. */
export interface Ask {
  readonly type: number;
  readonly family: number;
  readonly content: (out: MessageWriter) => void;
}

const noEntry = 2; // ENOENT

/** A socket to the network namespace that the thread was in when it was opened. */
export class Netfilter {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(1 << 17);
  readonly #writer = new MessageWriter();

  /** @throws where there is none */
  static use<T>(work: (socket: Netfilter) => T): T {
    const socket = new Netfilter();
    try {
      return work(socket);
    } finally {
      closeSocket(socket.#fd);
    }
  }

  private constructor() {
    this.#fd = netfilterSocket();
    const timeout = new Uint8Array(new BigInt64Array([5n, 0n]).buffer); // struct timeval: 5 s
    optionCall(this.#fd, 1, 20, timeout, timeout.length); // SOL_SOCKET, SO_RCVTIMEO
  }

  /**
   * Every entry that a dump shows: its family, and its attributes, valid until the next.
   * @returns whether the dump saw the whole table
   */
  dump(ask: Ask, each: (family: number, entry: ReadonlyMap<number, Buffer>) => void): boolean {
    let whole = true;
    this.#send(ask, flags.dump);
    for (const { type: kind, flags: said, body } of receive(this.#fd, this.#buffer)) {
      if (kind === types.error) throw new Error(`netfilter: dump refused (${errnoOf(body)})`);
      if ((said & flags.interrupted) !== 0) whole = false;
      each(body[0]!, attributes(body.subarray(4)));
    }
    return whole;
  }

  /** Asks for a change of one entry; one that is gone needs none. */
  change(ask: Ask): void {
    this.#send(ask, flags.acknowledge);
    for (const { type: kind, body } of receive(this.#fd, this.#buffer)) {
      const code = kind === types.error ? errnoOf(body) : 0;
      if (code !== 0 && code !== noEntry) throw new Error(`netfilter: change refused (${code})`);
    }
  }

  #send({ type, family, content }: Ask, own: number): void {
    this.#writer.message({ type, flags: flags.request | own, sequence: 1, family }, () => content(this.#writer));
    const data = this.#writer.take();
    if (sendCall(this.#fd, data, data.length, 0) < 0) throw failed("netfilter: send");
  }
}
