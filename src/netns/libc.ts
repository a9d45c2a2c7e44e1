/**
 * The system calls that Node has no name for. All of them run on the calling thread: a network namespace belongs to a
 * thread, so that nothing here may be awaited between entering and leaving one.
 */
import koffi from "koffi";

// The process itself has libc loaded, whichever libc that is.
const library = koffi.load(null);

type Call<A extends unknown[]> = (...args: A) => number;

const unshareCall = library.func("int unshare(int flags)") as Call<[number]>;
const setnsCall = library.func("int setns(int fd, int type)") as Call<[number, number]>;
const socketCall = library.func("int socket(int domain, int type, int protocol)") as Call<[number, number, number]>;
const bindCall = library.func("int bind(int fd, void *address, uint32_t length)") as Call<[number, Uint8Array, number]>;
const connectCall = library.func("int connect(int fd, void *address, uint32_t length)") as Call<
  [number, Uint8Array, number]
>;
const listenCall = library.func("int listen(int fd, int backlog)") as Call<[number, number]>;
const acceptCall = library.func("int accept4(int fd, void *address, void *length, int flags)") as Call<
  [number, null, null, number]
>;
const sendCall = library.func("intptr_t send(int fd, void *data, size_t length, int flags)") as Call<
  [number, Uint8Array, number, number]
>;
const sendtoCall = library.func(
  "intptr_t sendto(int fd, void *data, size_t length, int flags, void *address, uint32_t size)",
) as Call<[number, Uint8Array, number, number, Uint8Array, number]>;
const recvCall = library.func("intptr_t recv(int fd, void *data, size_t length, int flags)") as Call<
  [number, Uint8Array, number, number]
>;
const recvfromCall = library.func(
  "intptr_t recvfrom(int fd, void *data, size_t length, int flags, void *address, void *size)",
) as Call<[number, Uint8Array, number, number, Uint8Array, Uint8Array]>;
const setsockoptCall = library.func(
  "int setsockopt(int fd, int level, int name, void *value, uint32_t length)",
) as Call<[number, number, number, Uint8Array, number]>;
const getsockoptCall = library.func("int getsockopt(int fd, int level, int name, void *value, void *length)") as Call<
  [number, number, number, Uint8Array, Uint8Array]
>;
const closeCall = library.func("int close(int fd)") as Call<[number]>;
const fcntlCall = library.func("int fcntl(int fd, int command, int argument)") as Call<[number, number, number]>;
const epollCreateCall = library.func("int epoll_create1(int flags)") as Call<[number]>;
const epollCtlCall = library.func("int epoll_ctl(int epoll, int op, int fd, void *event)") as Call<
  [number, number, number, Uint8Array]
>;
const epollWaitCall = library.func("int epoll_wait(int epoll, void *events, int count, int timeout)") as Call<
  [number, Uint8Array, number, number]
>;
const setrlimitCall = library.func("int setrlimit(int resource, void *limit)") as Call<[number, Uint8Array]>;
const getrlimitCall = library.func("int getrlimit(int resource, void *limit)") as Call<[number, Uint8Array]>;
const execvpCall = library.func("int execvp(const char *file, const char **argv)") as (
  file: string,
  argv: (string | null)[],
) => number;

const sigmaskCall = library.func("int pthread_sigmask(int how, const uint8_t *set, uint8_t *old)") as (
  how: number,
  set: Uint8Array,
  old: null,
) => number;

const codes = koffi.os.errno;
const names = new Map(Object.entries(codes).map(([name, number]) => [number, name]));

/** @example errorName(2) // "ENOENT" */
export const errorName = (errno: number): string => names.get(errno) ?? `errno ${errno}`;

/** A system call that failed; `code` as Node has it, for example `EPERM`. */
export class SystemError extends Error {
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = errorName(errno);
    super(`${syscall}: ${code}`);
    this.name = "SystemError";
    this.code = code;
    this.syscall = syscall;
  }
}

function check(syscall: string, result: number): number {
  if (result < 0) throw new SystemError(syscall, koffi.errno());
  return result;
}

/** What a non-blocking call has when it would have to wait. */
export const wouldBlock = -1;

const { EAGAIN, EINPROGRESS, EINTR } = codes as Readonly<Record<string, number>>;

/** Like `check`, but `wouldBlock` where the call would wait. */
function checkNonBlocking(syscall: string, result: number): number {
  if (result >= 0) return result;
  const errno = koffi.errno();
  if (errno === EAGAIN || errno === EINPROGRESS || errno === EINTR) return wouldBlock;
  throw new SystemError(syscall, errno);
}

const newNetwork = 0x4000_0000; // CLONE_NEWNET

export const unshareNetwork = (): void => void check("unshare", unshareCall(newNetwork));
export const setNetwork = (fd: number): void => void check("setns", setnsCall(fd, newNetwork));

// <sys/socket.h>, <netinet/in.h>: the same numbers on every architecture that Node 24 has Linux builds for.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;

/** A non-blocking socket in the thread's present namespace. */
export const socket = (domain: number, type: number, protocol: number): number =>
  check("socket", socketCall(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
export const bind = (fd: number, address: Uint8Array): void =>
  void check("bind", bindCall(fd, address, address.length));
/** 0, or `wouldBlock` while a connection is being made. */
export const connect = (fd: number, address: Uint8Array): number =>
  checkNonBlocking("connect", connectCall(fd, address, address.length));
export const listen = (fd: number, backlog: number): void => void check("listen", listenCall(fd, backlog));
/** The descriptor of an accepted, non-blocking connection, or `wouldBlock`. */
export const accept = (fd: number): number =>
  checkNonBlocking("accept4", acceptCall(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC));

const noSignal = 0x4000; // MSG_NOSIGNAL

export const send = (fd: number, data: Uint8Array): number =>
  checkNonBlocking("send", sendCall(fd, data, data.length, noSignal));
export const sendTo = (fd: number, data: Uint8Array, address: Uint8Array): number =>
  checkNonBlocking("sendto", sendtoCall(fd, data, data.length, noSignal, address, address.length));
/** Bytes read, 0 at the end of a stream, or `wouldBlock`. */
export const receive = (fd: number, into: Uint8Array): number =>
  checkNonBlocking("recv", recvCall(fd, into, into.length, 0));

const peerLength = new Uint8Array(4);

/** As `receive`; fills `peer` with the sender's socket address. */
export function receiveFrom(fd: number, into: Uint8Array, peer: Uint8Array): number {
  new DataView(peerLength.buffer).setUint32(0, peer.length, littleEndian);
  return checkNonBlocking("recvfrom", recvfromCall(fd, into, into.length, 0, peer, peerLength));
}

export const setOption = (fd: number, level: number, name: number, value: Uint8Array): void =>
  void check("setsockopt", setsockoptCall(fd, level, name, value, value.length));
export const close = (fd: number): void => void check("close", closeCall(fd));

/** Process and user at the other end of a unix socket, as the kernel knows them (SO_PEERCRED). */
export function peerCredentials(fd: number): { readonly pid: number; readonly uid: number } {
  const credentials = new Uint8Array(12); // struct ucred: pid, uid, gid
  check("getsockopt", getsockoptCall(fd, 1, 17, credentials, int(credentials.length)));
  const view = new DataView(credentials.buffer);
  return { pid: view.getInt32(0, littleEndian), uid: view.getUint32(4, littleEndian) };
}

const duplicateAbove = 1030; // F_DUPFD_CLOEXEC
const selectable = 1024; // FD_SETSIZE

/**
 * Moves a descriptor that is kept for long out of the way, and returns its new number: libraries that wait with select(2),
 * as libnftables does, end the process when their own get a number above 1,023.
 */
export function moveUp(fd: number): number {
  const moved = fcntlCall(fd, duplicateAbove, selectable);
  if (moved < 0) return fd; // the limit of open files is below; then there are few
  close(fd);
  return moved;
}

export const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** A C `int`. */
export function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

export const epollCreate = (): number => check("epoll_create1", epollCreateCall(0x80000));
export const epollControl = (epoll: number, op: number, fd: number, event: Uint8Array): void =>
  void check("epoll_ctl", epollCtlCall(epoll, op, fd, event));
/** Number of events, 0 after `timeout` ms. */
export const epollWait = (epoll: number, events: Uint8Array, count: number, timeout: number): number =>
  Math.max(0, checkNonBlocking("epoll_wait", epollWaitCall(epoll, events, count, timeout)));

/** Signals go to other threads: one that comes between a request to the kernel and its answer would make it look refused. */
export function blockSignals(): void {
  sigmaskCall(0, new Uint8Array(128).fill(0xff), null); // SIG_BLOCK, sigset_t
}

const openFiles = 7; // RLIMIT_NOFILE

/** Raises the soft limit of open files to the hard one; returns it. */
export function raiseOpenFiles(): number {
  const limit = new BigUint64Array(2); // {soft, hard}
  const bytes = new Uint8Array(limit.buffer);
  check("getrlimit", getrlimitCall(openFiles, bytes));
  limit[0] = limit[1]!;
  check("setrlimit", setrlimitCall(openFiles, bytes));
  return Number(limit[1]!);
}

const setFlags = 2; // F_SETFD

/** Replaces this process by another program, with the same streams. Returns only by throwing. */
export function execute(file: string, args: readonly string[]): never {
  for (const stream of [0, 1, 2]) fcntlCall(stream, setFlags, 0); // Node has them closed on exec
  check("execvp", execvpCall(file, [file, ...args, null]));
  throw new SystemError("execvp", 0);
}
