/** Netlink: messages in batches, errors by message. Layouts from linux/netlink.h. */
import { ByteWriter } from "./bytes.ts";
import {
  AF_NETLINK,
  bind,
  close,
  int,
  littleEndian,
  receive,
  SOCK_RAW,
  SystemError,
  send,
  setOption,
  socket,
  wouldBlock,
} from "./libc.ts";
import type { Namespace } from "./namespace.ts";

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const headerLength = 16;
const solNetlink = 270;
const capAck = 10; // NETLINK_CAP_ACK: an answer does not repeat the whole request
const solSocket = 1;
const receiveBuffer = 8;
const receiveBufferForce = 33;

/** A request without its header. `flags` beyond REQUEST and ACK, for example CREATE. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  /** Says in an error what was tried. */
  readonly what: string;
}

/** One attribute, padded; `type` may carry NLA_F_NESTED. */
export function attribute(writer: ByteWriter, type: number, value: Uint8Array): void {
  writer
    .u16(4 + value.length)
    .u16(type)
    .bytes(value)
    .pad();
}

/** An attribute whose value is what `fill` writes. */
export function nested(writer: ByteWriter, type: number, fill: () => void): void {
  const start = writer.length;
  writer.u16(0).u16(type);
  fill();
  writer.setU16(start, writer.length - start).pad();
}

const largestBatch = 32_768;

export class NetlinkSocket {
  readonly fd: number;
  #sequence = 1;
  readonly #buffer = new Uint8Array(16_384);

  /** A socket of `protocol` (NETLINK_ROUTE 0, NETLINK_NETFILTER 12) that stays in `namespace` for good. */
  constructor(protocol: number, namespace: Pick<Namespace, "run">) {
    this.fd = namespace.run<number>(() => socket(AF_NETLINK, SOCK_RAW, protocol));
    bind(this.fd, new ByteWriter().u16(AF_NETLINK).u16(0).u32(0).u32(0).finish());
    setOption(this.fd, solNetlink, capAck, int(1));
  }

  /** Asks for a receive buffer of `bytes`; without the right to exceed the system's limit it is that limit. */
  setReceiveBuffer(bytes: number): void {
    setOption(this.fd, solSocket, receiveBuffer, int(bytes));
    try {
      setOption(this.fd, solSocket, receiveBufferForce, int(bytes));
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "EPERM")) throw error;
    }
  }

  /** Sends all messages, in as few system calls as possible. @throws Error for the first that the kernel refuses; later ones are carried out all the same */
  request(messages: readonly NetlinkMessage[]): void {
    let batch: NetlinkMessage[] = [];
    let size = 0;
    for (const message of messages) {
      const length = headerLength + message.body.length + 3;
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
  query({ type, flags, body, what }: NetlinkMessage): Uint8Array {
    const writer = new ByteWriter();
    writer
      .u32(headerLength + body.length)
      .u16(type)
      .u16(flags | NLM_F_REQUEST)
      .u32(this.#sequence++)
      .u32(0)
      .bytes(body);
    send(this.fd, writer.finish());
    const answer = this.receive();
    if (answer === null || answer.length < headerLength + 4) throw new Error("netlink: the kernel did not answer");
    const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
    if (view.getUint16(4, littleEndian) === NLMSG_ERROR)
      throw new SystemError(what, -view.getInt32(headerLength, littleEndian));
    return answer.slice(headerLength, view.getUint32(0, littleEndian));
  }

  /** The next datagram, or null when there is none now. Valid until the next call. */
  receive(): Uint8Array | null {
    const length = receive(this.fd, this.#buffer);
    return length === wouldBlock ? null : this.#buffer.subarray(0, length);
  }

  close(): void {
    close(this.fd);
  }

  #send(batch: readonly NetlinkMessage[]): void {
    const first = this.#sequence;
    this.#sequence += batch.length;
    const last = this.#sequence - 1;
    const writer = new ByteWriter();
    for (const [i, { type, flags, body }] of batch.entries()) {
      // Errors come unasked: only the last message needs an answer of its own.
      const ack = first + i === last ? NLM_F_ACK : 0;
      writer
        .u32(headerLength + body.length)
        .u16(type)
        .u16(flags | NLM_F_REQUEST | ack);
      writer
        .u32(first + i)
        .u32(0)
        .bytes(body)
        .pad();
    }
    send(this.fd, writer.finish());
    // The kernel has carried out everything when send returns: the answers are there.
    let failure: Error | undefined;
    for (let done = false; !done; ) {
      const datagram = this.receive();
      if (datagram === null) throw new Error("netlink: the kernel did not answer");
      const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
      for (let offset = 0; offset + headerLength + 4 <= view.byteLength; ) {
        const length = view.getUint32(offset, littleEndian);
        if (length < headerLength + 4) break;
        const sequence = view.getUint32(offset + 8, littleEndian);
        if (view.getUint16(offset + 4, littleEndian) === NLMSG_ERROR && sequence >= first && sequence <= last) {
          const errno = -view.getInt32(offset + headerLength, littleEndian);
          if (errno !== 0) failure ??= new SystemError(batch[sequence - first]!.what, errno);
          if (sequence === last) done = true;
        }
        offset += (length + 3) & ~3;
      }
    }
    if (failure !== undefined) throw failure;
  }
}
