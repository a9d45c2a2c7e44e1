/** Netlink: messages in batches, errors by message. Layouts from linux/netlink.h. */
import { ByteWriter } from "./bytes.ts";
import {
  AF_NETLINK,
  bind,
  close,
  int,
  receive,
  SOCK_RAW,
  SystemError,
  send,
  setOption,
  socket,
  wouldBlock,
} from "./libc.ts";
import type { Network } from "./namespace.ts";
import { errnoOf, flags, messageHeader, messages, types } from "./netlink-layout.ts";

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const solNetlink = 270;
const addMembership = 1; // NETLINK_ADD_MEMBERSHIP
const capAck = 10; // NETLINK_CAP_ACK: an answer does not repeat the whole request
const solSocket = 1;
const sendBuffer = { plain: 7, forced: 32 }; // SO_SNDBUF, SO_SNDBUFFORCE
const receiveBuffer = { plain: 8, forced: 33 }; // SO_RCVBUF, SO_RCVBUFFORCE

/** A request without its header. `flags` beyond REQUEST and ACK, for example CREATE. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  /** Says in an error what was tried. */
  readonly what: string;
}

const largestBatch = 32_768;

export class NetlinkSocket {
  readonly fd: number;
  #sequence = 1;
  readonly #buffer: Buffer;

  /**
   * A socket of `protocol` (`NETLINK_ROUTE`, `NETLINK_NETFILTER`) that stays in `namespace` for good.
   * @param room bytes of the largest datagram that is expected: what is beyond is cut off
   * @throws SystemError
   */
  constructor(protocol: number, namespace: Network, room = 16_384) {
    this.#buffer = Buffer.alloc(room);
    this.fd = namespace.run<number>(() => socket(AF_NETLINK, SOCK_RAW, protocol));
    bind(this.fd, new ByteWriter().u16(AF_NETLINK).u16(0).u32(0).u32(0).finish());
    this.enable(capAck);
  }

  /** Sets an option of SOL_NETLINK. */
  enable(option: number): void {
    setOption(this.fd, solNetlink, option, int(1));
  }

  /** Is told from now on what goes to a multicast group. */
  join(group: number): void {
    setOption(this.fd, solNetlink, addMembership, int(group));
  }

  /** Asks for a buffer of `bytes` for what is received; without the right to exceed the system's limit it is that limit. */
  setReceiveBuffer(bytes: number): void {
    this.#setBuffer(receiveBuffer, bytes);
  }

  /** The same for what is sent. */
  setSendBuffer(bytes: number): void {
    this.#setBuffer(sendBuffer, bytes);
  }

  #setBuffer({ plain, forced }: typeof sendBuffer, bytes: number): void {
    setOption(this.fd, solSocket, plain, int(bytes));
    try {
      setOption(this.fd, solSocket, forced, int(bytes));
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "EPERM")) throw error;
    }
  }

  /** Sends all messages, in as few system calls as possible. @throws Error for the first that the kernel refuses; later ones are carried out all the same */
  request(messages: readonly NetlinkMessage[]): void {
    let batch: NetlinkMessage[] = [];
    let size = 0;
    for (const message of messages) {
      const length = messageHeader + message.body.length + 3;
      if (size + length > largestBatch) {
        this.#send(batch);
        batch = [];
        size = 0;
      }
      batch.push(message);
      size += length;
    }
    if (batch.length > 0) this.#send(batch);
  }

  /** Asks for one thing; the body of the answer, behind its netlink header. @throws SystemError */
  query({ type, flags: own, body, what }: NetlinkMessage): Buffer {
    const writer = new ByteWriter();
    writeMessage(writer, { type, flags: own | flags.request, sequence: this.#sequence++, body });
    this.send(writer.finish());
    const [answer] = messages(this.answer());
    if (answer === undefined) throw new Error("netlink: the kernel did not answer");
    if (answer.type === types.error) throw new SystemError(what, errnoOf(answer.body));
    return Buffer.from(answer.body);
  }

  /** Sends messages as they are. The kernel has carried them out when this returns, and the answers are there. @throws SystemError */
  send(data: Uint8Array): void {
    if (send(this.fd, data) === wouldBlock) throw new Error("netlink: the kernel takes no more");
  }

  /** The next datagram, or null when there is none now. Valid until the next call. @throws SystemError */
  receive(): Buffer | null {
    const length = receive(this.fd, this.#buffer);
    return length === wouldBlock ? null : this.#buffer.subarray(0, length);
  }

  /** Every datagram that is there now, each valid until the next. @param lost called where the kernel had to throw some away */
  *datagrams(lost: () => void): Generator<Buffer> {
    for (;;) {
      let datagram: Buffer | null;
      try {
        datagram = this.receive();
      } catch (error) {
        if (!(error instanceof SystemError && error.code === "ENOBUFS")) throw error;
        lost();
        continue;
      }
      if (datagram === null) return;
      yield datagram;
    }
  }

  /** The next datagram, of what was asked for. @throws where there is none */
  answer(): Buffer {
    const datagram = this.receive();
    if (datagram === null) throw new Error("netlink: the kernel did not answer");
    return datagram;
  }

  close(): void {
    close(this.fd);
  }

  #send(batch: readonly NetlinkMessage[]): void {
    const first = this.#sequence;
    this.#sequence += batch.length;
    const last = this.#sequence - 1;
    const writer = new ByteWriter();
    for (const [i, { type, flags: own, body }] of batch.entries()) {
      // Errors come unasked: only the last message needs an answer of its own.
      const asked = first + i === last ? flags.acknowledge : 0;
      writeMessage(writer, { type, flags: own | flags.request | asked, sequence: first + i, body });
    }
    this.send(writer.finish());
    let failure: Error | undefined;
    for (let done = false; !done; ) {
      for (const { type, sequence, body } of messages(this.answer())) {
        if (type !== types.error || sequence < first || sequence > last) continue;
        const errno = errnoOf(body);
        if (errno !== 0) failure ??= new SystemError(batch[sequence - first]!.what, errno);
        if (sequence === last) done = true;
      }
    }
    if (failure !== undefined) throw failure;
  }
}

type Numbered = Pick<NetlinkMessage, "type" | "flags" | "body"> & { readonly sequence: number };

function writeMessage(writer: ByteWriter, { type, flags: own, sequence, body }: Numbered): void {
  writer
    .u32(messageHeader + body.length)
    .u16(type)
    .u16(own);
  writer.u32(sequence).u32(0).bytes(body).pad();
}
