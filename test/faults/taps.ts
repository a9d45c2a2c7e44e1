/** Hears the pods of a machine from the moment on in which the container runtime has their network and starts them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Namespace } from "../../src/netns/namespace.ts";
import type { Traffic } from "./traffic.ts";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // the process has ended
  }
}

export class Taps {
  readonly #traffic: Traffic;
  readonly #cgroup: string;
  readonly #own: string;
  readonly #heard = new Map<string, () => void>();
  #isOn = true;

  /**
   * @param cgroup part of the name of the cgroup that the machine's pods are in
   * @param own the machine's own network, which pods on the host network have too
   */
  constructor(traffic: Traffic, cgroup: string, own: string) {
    this.#traffic = traffic;
    this.#cgroup = cgroup;
    this.#own = own;
  }

  get count(): number {
    return this.#heard.size;
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    while (this.#isOn) {
      for (const pid of readdirSync("/proc")) {
        // A pod's first process starts when the plugins have answered, and before every container.
        if (/^\d+$/.test(pid) && read(`/proc/${pid}/cgroup`).includes(this.#cgroup)) this.#hear(pid);
      }
      await sleep(10);
    }
  }

  stop(): void {
    this.#isOn = false;
  }

  close(): void {
    for (const end of this.#heard.values()) end();
  }

  #hear(pid: string): void {
    try {
      const path = `/proc/${pid}/ns/net`;
      const place = readlinkSync(path);
      if (this.#heard.has(place) || place === readlinkSync(this.#own)) return;
      const namespace = Namespace.open(path);
      const end = this.#traffic.tap(namespace);
      this.#heard.set(place, () => {
        end();
        namespace.close();
      });
    } catch {
      // it has ended
    }
  }
}
