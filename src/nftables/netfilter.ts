/** Netlink to netfilter: dumps, and one request after another. Calls block their thread: used in `kernel-worker.ts` only. */
import { ownNetwork } from "../netns/namespace.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "../netns/netlink.ts";
import { attributes, errnoOf, flags, type Message, messages, types } from "../netns/netlink-layout.ts";
import { familyHeader, MessageWriter } from "./nfnetlink.ts";

/** A request: message type with its subsystem and family, then attributes. */
export interface Ask {
  readonly type: number;
  readonly family: number;
  readonly content: (out: MessageWriter) => void;
}

/** A socket in the thread's network namespace. @throws SystemError */
export const netfilterSocket = (): NetlinkSocket => new NetlinkSocket(NETLINK_NETFILTER, ownNetwork, 1 << 17);

const noEntry = 2; // ENOENT

/** A socket to the network namespace that the thread was in when it was opened. */
export class Netfilter {
  readonly #socket = netfilterSocket();
  readonly #writer = new MessageWriter();

  /** @throws where there is none */
  static use<T>(work: (socket: Netfilter) => T): T {
    const socket = new Netfilter();
    try {
      return work(socket);
    } finally {
      socket.#socket.close();
    }
  }

  /**
   * Every entry that a dump shows: its family, and its attributes, valid until the next.
   * @returns whether the dump saw the whole table
   */
  dump(ask: Ask, each: (family: number, entry: ReadonlyMap<number, Buffer>) => void): boolean {
    let whole = true;
    for (const { type: kind, flags: said, body } of this.#answers(ask, flags.dump)) {
      if (kind === types.error) throw new Error(`netfilter: dump refused (${errnoOf(body)})`);
      if ((said & flags.interrupted) !== 0) whole = false;
      each(body[0]!, attributes(body.subarray(familyHeader)));
    }
    return whole;
  }

  /** Asks for a change of one entry; one that is gone needs none. */
  change(ask: Ask): void {
    for (const { type: kind, body } of this.#answers(ask, flags.acknowledge)) {
      const code = kind === types.error ? errnoOf(body) : 0;
      if (code !== 0 && code !== noEntry) throw new Error(`netfilter: change refused (${code})`);
    }
  }

  /** Messages up to the end of a dump or to one answer. */
  *#answers({ type, family, content }: Ask, own: number): Generator<Message> {
    this.#writer.message({ type, flags: flags.request | own, sequence: 1, family }, () => content(this.#writer));
    this.#socket.send(this.#writer.take());
    for (;;) {
      for (const part of messages(this.#socket.answer())) {
        if (part.type === types.done) return;
        yield part;
        if (part.type === types.error) return;
      }
    }
  }
}
