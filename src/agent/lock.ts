/**
 * One agent for each node and table: a unix socket's name that belongs to a process and vanishes with it, however it ends.
 * Abstract names are the network namespace's own, as the table is.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ByteWriter } from "../netns/bytes.ts";
import {
  AF_UNIX,
  bind,
  close,
  connect,
  listen,
  peerCredentials,
  SOCK_STREAM,
  SystemError,
  socket,
  wouldBlock,
} from "../netns/libc.ts";
import type { Network } from "../netns/namespace.ts";

export interface Lock {
  release(): void;
}

/** Those who ask who holds the name wait in this queue for ever, since nobody accepts them. */
const queue = 4096;

const nameOf = (table: string): Uint8Array =>
  new ByteWriter()
    .u16(AF_UNIX)
    .bytes(new TextEncoder().encode(`\0bulkhead-agent-${table}`))
    .finish();

const fails = (error: unknown, code: string): boolean => error instanceof SystemError && error.code === code;

/** null: somebody has it. */
function tryLock(table: string): Lock | null {
  const fd = socket(AF_UNIX, SOCK_STREAM, 0);
  try {
    bind(fd, nameOf(table));
    listen(fd, queue);
  } catch (error) {
    close(fd);
    if (fails(error, "EADDRINUSE")) return null;
    throw error;
  }
  return { release: () => close(fd) };
}

interface Holder {
  /** 0: it ends right now. */
  readonly pid: number;
  /** Why its holding of the name means nothing; null for an agent. */
  readonly noAgent: string | null;
}

/** Who has the name. A process of another user than this one cannot be an agent: it took the name to keep agents off. */
function holder(name: Uint8Array): Holder {
  const fd = socket(AF_UNIX, SOCK_STREAM, 0);
  try {
    // A full queue is no agent's: the few who wait for one ask rarely.
    if (connect(fd, name) === wouldBlock) return { pid: 0, noAgent: "a process that lets its queue fill" };
    const { pid, uid } = peerCredentials(fd);
    return { pid, noAgent: uid === process.getuid?.() ? null : `process ${pid} of user ${uid}` };
  } catch (error) {
    if (fails(error, "ECONNREFUSED")) return { pid: 0, noAgent: null };
    throw error;
  } finally {
    close(fd);
  }
}

const interval = 200; // ms
/** Who holds the name is asked at every so many tries only. */
const asking = 25;

export interface Waiting {
  readonly signal: AbortSignal;
  /** Told once, with the process that is waited for. */
  readonly waits: (pid: number) => void;
  readonly warn: (message: string) => void;
}

/** Waits until no other agent rules the node. @throws the signal's reason, SystemError */
export async function awaitLock(network: Network, table: string, { signal, waits, warn }: Waiting): Promise<Lock> {
  let told = 0;
  for (let tries = 0; ; tries++) {
    const lock = network.run<Lock | null>(() => tryLock(table));
    if (lock !== null) return lock;
    if (tries % asking === 0) {
      const { pid, noAgent } = network.run<Holder>(() => holder(nameOf(table)));
      if (noAgent !== null) {
        warn(`${noAgent} keeps the name of the agent's lock and is no agent: going on without the lock`);
        return { release: () => undefined };
      }
      if (pid !== 0 && pid !== told) waits(pid);
      told = pid;
    }
    await sleep(interval, undefined, { signal });
  }
}
