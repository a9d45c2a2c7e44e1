/**
 * Network namespaces without names: an open file is all that keeps one alive, so that they vanish with the process,
 * however it ends.
 */
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { moveUp, setNetwork, unshareNetwork } from "./libc.ts";

const own = "/proc/thread-self/ns/net";

/** The namespace that the process was started in. */
let home: number | undefined;
let current: number | undefined;

function enter(fd: number): void {
  setNetwork(fd);
  current = fd;
}

/** A network namespace to work in: one that is open, or the thread's own. */
export type Network = Pick<Namespace, "run">;

export const ownNetwork: Network = { run: (work) => work() };

/** Does this kernel have IPv6? Namespaces made here have it then, whatever is set for the machine's own network. */
export const hasIPv6 = (): boolean => existsSync("/proc/net/if_inet6");

export class Namespace {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** A new namespace: `lo`, down, and nothing else. */
  static create(): Namespace {
    home ??= openSync(own, "r");
    const before = current ?? home;
    unshareNetwork();
    try {
      return new Namespace(moveUp(openSync(own, "r")));
    } finally {
      enter(before);
    }
  }

  /** One that exists, by a file of it: `/proc/PID/ns/net`, or what is mounted at `/run/netns/NAME`. */
  static open(path: string): Namespace {
    return new Namespace(moveUp(openSync(path, "r")));
  }

  /** Runs `work` with the calling thread inside the namespace. `work` must not be asynchronous: the thread is everyone's. */
  run<T>(work: () => T extends Promise<unknown> ? never : T): T {
    home ??= openSync(own, "r");
    const before = current ?? home;
    if (before === this.fd) return work();
    enter(this.fd);
    try {
      return work();
    } finally {
      enter(before);
    }
  }

  /** The calling thread, and what it starts, lives inside from now on. @returns the way back */
  stay(): () => void {
    home ??= openSync(own, "r");
    const before = current ?? home;
    enter(this.fd);
    return () => enter(before);
  }

  /** Sets `net.<name>` inside; false when this kernel has no such setting. `name` as in /proc/sys/net, for example `ipv4/ip_forward`. */
  sysctl(name: string, value: string): boolean {
    return this.run<boolean>(() => {
      try {
        writeFileSync(`/proc/sys/net/${name}`, value);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
        throw error;
      }
    });
  }

  close(): void {
    closeSync(this.fd);
  }
}
