/**
 * Notices when another program changes a table: a netlink socket that nf_tables tells of every transaction. Our own are
 * left out in the kernel, by a filter on the port of the socket that sent them. Calls do not block; used in
 * `kernel-worker.ts` only.
 *
 * Layout: linux/netfilter/nf_tables.h (NFNLGRP_NFTABLES), linux/filter.h.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import koffi from "koffi";
import { littleEndian } from "../netns/libc.ts";
import { attributes, messages, textOf } from "../netns/netlink-layout.ts";
import { netfilterSocket } from "./netfilter.ts";
import { familyHeader, inet, nftables } from "./nfnetlink.ts";

const group = 7; // NFNLGRP_NFTABLES
const nameAttribute = 1; // of tables themselves, and the table of everything else

koffi.struct("bulkhead_sock_fprog", { len: "uint16_t", filter: "uint8_t *" });
const attachFilter = koffi
  .load(null)
  .func("int setsockopt(int fd, int level, int name, bulkhead_sock_fprog *value, uint32_t length)") as (
  fd: number,
  level: number,
  name: number,
  value: { len: number; filter: Uint8Array },
  length: number,
) => number;

/** Ports of this process's netfilter sockets in the thread's network namespace. */
function ownPorts(): Set<number> {
  const inodes = new Set<string>();
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // closed meanwhile
    }
  }
  const ports = new Set<number>();
  for (const line of readFileSync("/proc/thread-self/net/netlink", "utf8").split("\n")) {
    const fields = line.trim().split(/\s+/); // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
    if (fields[1] === "12" && inodes.has(fields[9] ?? "")) ports.add(Number(fields[2]) >>> 0);
  }
  return ports;
}

/** A classic BPF program: nothing from these ports. */
function without(ports: ReadonlySet<number>): { len: number; filter: Uint8Array } {
  const list = [...ports].slice(0, 100);
  const program = new DataView(new ArrayBuffer(8 * (list.length + 3)));
  let at = 0;
  const add = (code: number, jt: number, jf: number, k: number): void => {
    program.setUint16(at, code, littleEndian);
    program.setUint8(at + 2, jt);
    program.setUint8(at + 3, jf);
    program.setUint32(at + 4, k >>> 0, littleEndian);
    at += 8;
  };
  const network = (port: number): number => {
    const bytes = new DataView(new Uint32Array([port]).buffer);
    return bytes.getUint32(0, false); // loads turn what they read from network byte order
  };
  add(0x20, 0, 0, 12); // BPF_LD | BPF_W | BPF_ABS: nlmsg_pid
  for (const [i, port] of list.entries()) add(0x15, list.length - i, 0, network(port)); // BPF_JMP | BPF_JEQ
  add(0x06, 0, 0, 0xffffffff); // BPF_RET: all of it
  add(0x06, 0, 0, 0);
  return { len: list.length + 3, filter: new Uint8Array(program.buffer) };
}

/** Looks for changes of one table in the network namespace that the thread is in when it is made. */
export class TableWatch {
  readonly #socket = netfilterSocket();
  readonly #table: string;
  #own: ReadonlySet<number> = new Set();

  /** @throws where the kernel does not let us */
  constructor(table: string) {
    this.#table = table;
    try {
      this.#leaveOutOwn();
      this.#socket.join(group);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Has another program changed the table since the last look? To be called in the network namespace of the table. */
  look(): boolean {
    let changed = false;
    const lost = (): void => {
      changed = true; // it may have been among that
    };
    for (const said of this.#socket.datagrams(lost)) {
      for (const { type, port, body } of messages(said)) {
        if (changed || type >> 8 !== nftables || body[0] !== inet) continue;
        const name = textOf(attributes(body.subarray(familyHeader)).get(nameAttribute));
        if (name === this.#table) changed = !this.#isOwn(port);
      }
    }
    return changed;
  }

  close(): void {
    this.#socket.close();
  }

  /** libnftables opens its socket anew after some errors. */
  #isOwn(port: number): boolean {
    if (!this.#own.has(port)) this.#leaveOutOwn();
    return this.#own.has(port);
  }

  #leaveOutOwn(): void {
    this.#own = ownPorts();
    const program = without(this.#own);
    if (attachFilter(this.#socket.fd, 1, 26, program, 16) !== 0)
      throw new Error("nf_tables: no filter on its messages"); // SOL_SOCKET, SO_ATTACH_FILTER
  }
}
