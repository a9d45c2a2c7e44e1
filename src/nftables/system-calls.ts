/**
 * The system calls that netlink takes and Node.js does not have. Calls block their thread: used in `kernel-worker.ts` only.
 */
import koffi from "koffi";
import { isLittleEndian } from "./netlink.ts";

const libc = koffi.load(null);
const socketCall = libc.func("int socket(int domain, int type, int protocol)") as (
  domain: number,
  type: number,
  protocol: number,
) => number;
export const sendCall = libc.func("intptr_t send(int fd, void *data, size_t length, int flags)") as (
  fd: number,
  data: Uint8Array,
  length: number,
  flags: number,
) => number;
export const recvCall = libc.func("intptr_t recv(int fd, void *data, size_t length, int flags)") as (
  fd: number,
  data: Uint8Array,
  length: number,
  flags: number,
) => number;
export const optionCall = libc.func("int setsockopt(int fd, int level, int name, void *value, uint32_t length)") as (
  fd: number,
  level: number,
  name: number,
  value: Uint8Array,
  length: number,
) => number;
const bindCall = libc.func("int bind(int fd, void *address, uint32_t length)") as (
  fd: number,
  address: Uint8Array,
  length: number,
) => number;
const closeCall = libc.func("int close(int fd)") as (fd: number) => number;
const sigmaskCall = libc.func("int pthread_sigmask(int how, const uint8_t *set, uint8_t *old)") as (
  how: number,
  set: Uint8Array,
  old: null,
) => number;
const setnsCall = libc.func("int setns(int fd, int type)") as (fd: number, type: number) => number;

/** An error with the name of the errno. */
export const failed = (what: string): Error => new Error(`${what}: ${errnoName(koffi.errno())}`);

/** @example errnoName(2) // "ENOENT" */
export const errnoName = (number: number): string =>
  Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;

/** Signals go to other threads: one that comes between a transaction and its answer would make it look refused. */
export function blockSignals(): void {
  sigmaskCall(0, new Uint8Array(128).fill(0xff), null); // SIG_BLOCK, sigset_t
}

/** Moves the calling thread into a network namespace. */
export function enterNetwork(fd: number): void {
  if (setnsCall(fd, 0x4000_0000) !== 0) throw failed("setns"); // CLONE_NEWNET
}

/** A socket to netfilter, in the thread's network namespace. */
export function netfilterSocket(): number {
  const fd = socketCall(16, 3 | 0x80000, 12); // AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER
  if (fd < 0) throw failed("netlink: socket");
  const address = new Uint8Array(12); // struct sockaddr_nl: the kernel chooses the port
  new DataView(address.buffer).setUint16(0, 16, isLittleEndian); // AF_NETLINK
  if (bindCall(fd, address, address.length) === 0) return fd;
  const error = failed("netlink: bind");
  closeCall(fd);
  throw error;
}

export const closeSocket = (fd: number): void => void closeCall(fd);

/** Sets an option that is a C `int`. */
export function setOption(fd: number, level: number, name: number, value: number): void {
  if (optionCall(fd, level, name, new Uint8Array(Int32Array.of(value).buffer), 4) !== 0) throw failed("setsockopt");
}

/** Length of the next datagram, 0 when there is none; `overrun`: the kernel had to throw some away. */
export function receiveNow(fd: number, buffer: Buffer): number | "overrun" {
  const length = recvCall(fd, buffer, buffer.length, 0x40); // MSG_DONTWAIT
  if (length >= 0) return length;
  const error = koffi.errno();
  if (error === koffi.os.errno["ENOBUFS"]) return "overrun";
  if (error === koffi.os.errno["EAGAIN"] || error === koffi.os.errno["EINTR"]) return 0;
  throw failed("netlink: recv");
}
