/** A program that runs on a machine until it is stopped. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { searchPath } from "./assets.ts";
import type { Machine } from "./machine.ts";
import { childrenOf, ended, identify, isAlive, type ProcessId, signalTo } from "./processes.ts";
import { lastLines, until } from "./run.ts";

export class Daemon {
  readonly name: string;
  readonly machine: Machine;
  /** Program and arguments of the next start. */
  command: readonly string[];
  readonly #env: Readonly<Record<string, string>>;

  constructor(machine: Machine, name: string, command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.machine = machine;
    this.name = name;
    this.command = command;
    this.#env = env;
  }

  /** What it writes; starts add to it. */
  get log(): string {
    return join(this.machine.state, "log", `${this.name}.log`);
  }

  get #note(): string {
    return join(this.machine.state, "log", `${this.name}.process`);
  }

  /** The running process, as the host numbers it; null when none runs. */
  get process(): ProcessId | null {
    if (!existsSync(this.#note)) return null;
    const id = JSON.parse(readFileSync(this.#note, "utf8")) as ProcessId;
    return isAlive(id) ? id : null;
  }

  async start(): Promise<void> {
    if (this.process !== null) throw new Error(`${this.name} on ${this.machine.name} runs already`);
    mkdirSync(join(this.machine.state, "log"), { recursive: true });
    const log = openSync(this.log, "a");
    const [program, ...args] = [...this.machine.enter, ...this.command];
    const child = spawn(program!, args, {
      detached: true,
      cwd: "/",
      stdio: ["ignore", log, log],
      env: { PATH: searchPath(), HOME: "/root", ...this.#env },
    });
    closeSync(log);
    const failure = new Promise<never>((_, reject) => {
      child.on("error", reject);
      child.on("exit", () => reject(new Error(`${this.name} on ${this.machine.name} ended at once: ${this.tail()}`)));
    });
    failure.catch(() => {}); // it ends one day, when nobody waits here any more
    // nsenter forks to get into the PID namespace: its child is the program
    const inside = until(`${this.name} on ${this.machine.name}`, () => childrenOf(child.pid!)[0], { every: 5 });
    const id = identify(await Promise.race([failure, inside]));
    if (id === null) throw new Error(`${this.name} on ${this.machine.name} ended at once: ${this.tail()}`);
    writeFileSync(this.#note, JSON.stringify(id));
    child.unref();
  }

  /** Asks it to end, and kills it when it has not done so `within` ms. */
  async stop({
    signal = "SIGTERM",
    within = 10_000,
  }: {
    signal?: NodeJS.Signals;
    within?: number;
  } = {}): Promise<void> {
    const id = this.process;
    if (id === null) return;
    signalTo(id, signal);
    if (await ended(id, within)) return;
    signalTo(id, "SIGKILL");
    if (!(await ended(id, 10_000))) throw new Error(`${this.name} on ${this.machine.name} does not end`);
  }

  kill(): Promise<void> {
    return this.stop({ signal: "SIGKILL" });
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The last lines of its log. */
  tail(lines = 15): string {
    return existsSync(this.log) ? lastLines(readFileSync(this.log, "utf8"), lines) : "";
  }
}
