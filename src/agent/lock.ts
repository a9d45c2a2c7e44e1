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
import type { Network } from "./network.ts";

export interface Lock {
  release(): void;
}

/** Another agent rules the node. */
export class Held extends Error {
  readonly pid: number;

  constructor(pid: number) {
    super(`another agent, process ${pid}, rules this node`);
    this.pid = pid;
  }
}

/** Those who ask who holds the name wait in this queue for ever, since nobody accepts them. */
const queue = 4096;

const nameOf = (table: string): Uint8Array =>
  new ByteWriter()
    .u16(AF_UNIX)
    .bytes(new TextEncoder().encode(`\0bulkhead-agent-${table}`))
    .finish();

const fails = (error: unknown, code: string): boolean => error instanceof SystemError && error.code === code;

/**
 * @throws Held, SystemError
 */
export function takeLock(network: Network, table: string): Lock {
  return network.run<Lock>(() => {
    const lock = tryLock(table);
    if (lock === null) throw holder(nameOf(table));
    return lock;
  });
}

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

/**
 * Who has the name. A process of another user than this one cannot be an agent: it took the name to keep agents off.
 */
function holder(name: Uint8Array): Error {
  const fd = socket(AF_UNIX, SOCK_STREAM, 0);
  try {
    // A full queue is no agent's: the few who wait for one ask rarely.
    if (connect(fd, name) === wouldBlock) return new Squatter(0, -1);
    const { pid, uid } = peerCredentials(fd);
    return uid === process.getuid?.() ? new Held(pid) : new Squatter(pid, uid);
  } catch (error) {
    if (fails(error, "ECONNREFUSED")) return new Held(0); // it ends right now
    throw error;
  } finally {
    close(fd);
  }
}

/** No agent: its holding of the name means nothing. */
class Squatter extends Error {
  constructor(pid: number, uid: number) {
    super(`process ${pid} of user ${uid} keeps the name of the agent's lock and is no agent`);
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

/** Waits until no other agent rules the node. @throws the signal's reason */
export async function awaitLock(network: Network, table: string, { signal, waits, warn }: Waiting): Promise<Lock> {
  let told = 0;
  for (let tries = 0; ; tries++) {
    const lock = network.run<Lock | null>(() => tryLock(table));
    if (lock !== null) return lock;
    if (tries % asking === 0) {
      const who = network.run<Error>(() => holder(nameOf(table)));
      if (who instanceof Squatter) {
        warn(`${who.message}: going on without the lock`);
        return { release: () => undefined };
      }
      if (!(who instanceof Held)) throw who;
      if (who.pid !== 0 && who.pid !== told) waits(who.pid);
      told = who.pid;
    }
    await sleep(interval, undefined, { signal });
  }
}
