/** A connection that is in use all the time. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { clock } from "./clock.ts";
import { sleep, until } from "./run.ts";

const program = join(import.meta.dirname, "traffic-process.ts");

export class Traffic {
  readonly #child: ChildProcess;
  /** Of each answer, of `clock`. */
  readonly #answers: number[] = [];
  #closed = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on("line", (line) => {
      if (line === "closed") this.#closed = true;
      else this.#answers.push(Number(line));
    });
  }

  /** To an HTTP server, agnhost's `netexec`. @throws Error when there is no answer */
  static async start(netns: string, to: string, port: number): Promise<Traffic> {
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", program, to, String(port)];
    const child = spawn("nsenter", [`--net=${netns}`, "--", ...node], { stdio: ["ignore", "pipe", "ignore"] });
    const traffic = new Traffic(child);
    await until(`an answer from ${to} port ${port}`, () => traffic.#answers.length > 0, {
      within: 10_000,
      every: 20,
    }).catch((error: unknown) => {
      child.kill();
      throw error;
    });
    return traffic;
  }

  get answers(): readonly number[] {
    return this.#answers;
  }

  /** The longest time without an answer so far, in ms. */
  get longestGap(): number {
    return this.#answers.reduce((longest, at, i) => Math.max(longest, at - (this.#answers[i - 1] ?? at)), 0);
  }

  /** An end that was not ours: a reset, for instance. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Waits until no answer has come for `quiet` ms; gives the time of the last one. @throws Error when answers go on */
  async cut({ quiet = 300, within = 5_000 } = {}): Promise<number> {
    await until("the connection to be cut", () => clock() - this.#answers.at(-1)! > quiet, { within, every: 10 });
    return this.#answers.at(-1)!;
  }

  /** Whether answers come now. */
  async isAlive(within = 300): Promise<boolean> {
    const before = this.#answers.length;
    const deadline = clock() + within;
    while (this.#answers.length === before && clock() < deadline) await sleep(10);
    return this.#answers.length > before;
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}
