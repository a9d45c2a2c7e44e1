/** Sockets at an address of a namespace. They stay there wherever the thread goes. */
import { socketAddress } from "./bytes.ts";
import {
  AF_INET,
  AF_INET6,
  bind,
  close,
  int,
  listen,
  moveUp,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  setOption,
  socket,
} from "./libc.ts";
import type { Namespace } from "./namespace.ts";

/** Where sockets can be: an address in a namespace. */
export interface Seat {
  readonly namespace: Namespace;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** The namespace takes in packets for the address without having it: sockets must say so (IP_TRANSPARENT). */
  readonly foreign: boolean;
}

export const ipprotoSctp = 132;

const solSocket = 1;
const soReuseAddress = 2;
const soLinger = 13;
const reset = new Uint8Array(Int32Array.of(1, 0).buffer); // struct linger {on, 0 s}: close sends RST, no TIME_WAIT
const ipTransparent = { level: 0, name: 19 };
const ipv6Transparent = { level: 41, name: 75 };
const tcpDeferAccept = { level: 6, name: 9 };

const on = int(1);

/** A socket in the seat's namespace, not yet bound. */
function open(seat: Seat, type: number, protocol: number): number {
  const v4 = seat.address.length === 4;
  const fd = seat.namespace.run<number>(() => socket(v4 ? AF_INET : AF_INET6, type, protocol));
  if (seat.foreign) {
    const { level, name } = v4 ? ipTransparent : ipv6Transparent;
    setOption(fd, level, name, on);
  }
  return fd;
}

function bound(fd: number, seat: Seat, port: number): number {
  try {
    bind(fd, socketAddress(seat.address, port));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Listens; a connection is reported once its first data is there. */
export function tcpListener(seat: Seat, port: number): number {
  const fd = open(seat, SOCK_STREAM, 0);
  setOption(fd, solSocket, soReuseAddress, on);
  setOption(fd, tcpDeferAccept.level, tcpDeferAccept.name, on);
  bound(fd, seat, port);
  listen(fd, 4096);
  return fd;
}

/** Bound, not connected; closing it resets the connection. @throws SystemError EADDRINUSE */
export function tcpClient(seat: Seat, port: number): number {
  const fd = open(seat, SOCK_STREAM, 0);
  setOption(fd, solSocket, soLinger, reset);
  return bound(fd, seat, port);
}

/** @throws SystemError EADDRINUSE */
export const udpSocket = (seat: Seat, port: number): number => bound(open(seat, SOCK_DGRAM, 0), seat, port);

/** Every packet of an IP protocol for this one address; received with its IP header in IPv4, without in IPv6. */
export const rawSocket = (seat: Seat, protocol: number): number =>
  moveUp(bound(open(seat, SOCK_RAW, protocol), seat, 0));
