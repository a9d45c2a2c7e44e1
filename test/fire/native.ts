/** System calls for many packets at once. Structures as on 64-bit Linux, little-endian: x86-64 and arm64. */
import koffi from "koffi";
import { SystemError, wouldBlock } from "../../src/netns/libc.ts";

const library = koffi.load(null);
type Multi = (fd: number, messages: Uint8Array, count: number, flags: number, timeout?: null) => number;
const sendmmsgCall = library.func(
  "int sendmmsg(int fd, void *messages, unsigned int count, int flags)",
) as unknown as Multi;
const recvmmsgCall = library.func(
  "int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)",
) as unknown as Multi;
const affinityCall = library.func("int sched_setaffinity(int pid, size_t size, void *mask)") as (
  pid: number,
  size: number,
  mask: Uint8Array,
) => number;

/** ms of CLOCK_MONOTONIC: the same clock on every thread. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Keeps the calling thread on one CPU. A network namespace's packets stay on the CPU that sent them. */
export function pin(cpu: number): void {
  const mask = new Uint8Array(128);
  mask[cpu >> 3] = 1 << (cpu & 7);
  if (affinityCall(0, mask.length, mask) < 0) throw new SystemError("sched_setaffinity", koffi.errno());
}

const { EAGAIN, EINTR, ENOBUFS } = koffi.os.errno as Readonly<Record<string, number>>;
const headerSize = 64; // struct mmsghdr
const vectorSize = 16; // struct iovec

/** Messages with a buffer each; the memory never moves. */
export class Messages {
  readonly #size: number;
  readonly #headers: Uint8Array;
  readonly #view: DataView;
  readonly #buffers: Uint8Array;
  readonly #vectors: DataView;
  readonly #names: Uint8Array;

  /** @param size bytes of each buffer */
  constructor(count: number, size: number) {
    const memory = (bytes: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(bytes));
    this.#size = size;
    this.#headers = memory(count * headerSize);
    this.#view = new DataView(this.#headers.buffer);
    this.#buffers = memory(count * size);
    const vectors = memory(count * vectorSize);
    this.#vectors = new DataView(vectors.buffer);
    this.#names = memory(count * 32);
    const [buffers, vector] = [koffi.address(this.#buffers), koffi.address(vectors)];
    for (let i = 0; i < count; i++) {
      this.#vectors.setBigUint64(i * vectorSize, buffers + BigInt(i * size), true);
      this.#vectors.setBigUint64(i * vectorSize + 8, BigInt(size), true);
      this.#view.setBigUint64(i * headerSize + 16, vector + BigInt(i * vectorSize), true);
      this.#view.setBigUint64(i * headerSize + 24, 1n, true);
    }
  }

  /** Sets what message `i` is and where it goes. */
  set(i: number, data: Uint8Array, to: Uint8Array): void {
    this.buffer(i).set(data);
    this.#vectors.setBigUint64(i * vectorSize + 8, BigInt(data.length), true);
    this.#names.set(to, i * 32);
    this.#view.setBigUint64(i * headerSize, koffi.address(this.#names) + BigInt(i * 32), true);
    this.#view.setUint32(i * headerSize + 8, to.length, true);
  }

  buffer(i: number): Uint8Array {
    return this.#buffers.subarray(i * this.#size, (i + 1) * this.#size);
  }

  /** Sends messages `first..count-1`; how many went, or `wouldBlock`. */
  send(fd: number, first: number, count: number): number {
    return checked("sendmmsg", sendmmsgCall(fd, this.#headers.subarray(first * headerSize), count - first, 0));
  }

  /** Fills as many buffers as there are datagrams; how many, or `wouldBlock`. */
  receive(fd: number, count: number): number {
    return checked("recvmmsg", recvmmsgCall(fd, this.#headers, count, 0x40 /* MSG_DONTWAIT */, null));
  }
}

function checked(syscall: string, result: number): number {
  if (result >= 0) return result;
  const errno = koffi.errno();
  if (errno === EAGAIN || errno === EINTR || errno === ENOBUFS) return wouldBlock;
  throw new SystemError(syscall, errno);
}
