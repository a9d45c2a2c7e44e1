/** A program that runs beside the tests, and what it costs. It ends when they do, however they end. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";

export interface ProgramOptions {
  /** A file that what it writes is added to. */
  readonly log: string;
  /** A network namespace's descriptor; default: that of the calling thread. */
  readonly netns?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Of a process and all its descendants. */
export interface Usage {
  /** Memory now, and at its most; MB. */
  readonly memory: number;
  readonly peak: number;
  /** ms of CPU time since the start. */
  readonly cpu: number;
}

const tick = 10; // ms: USER_HZ is 100 on every Linux

export class Program {
  readonly name: string;
  readonly log: string;
  readonly #command: readonly string[];
  readonly #options: ProgramOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(name: string, command: readonly string[], options: ProgramOptions) {
    this.name = name;
    this.log = options.log;
    this.#command = command;
    this.#options = options;
  }

  /** null while it does not run. */
  get pid(): number | null {
    const { exitCode, signalCode, pid } = this.#child ?? {};
    return exitCode === null && signalCode === null ? (pid ?? null) : null;
  }

  /** Resolves when the process that runs now has ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  start(): void {
    const { netns, env = {} } = this.#options;
    const log = openSync(this.log, "a");
    const enter = netns === undefined ? [] : ["nsenter", "--net=/proc/self/fd/3", "--"];
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...enter, ...this.#command], {
      stdio: ["ignore", log, log, ...(netns === undefined ? [] : [netns])],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
  }

  /** Asks it to end, and kills it when it has not within `patience` ms. */
  async stop(patience = 10_000): Promise<void> {
    if (this.pid === null) return;
    this.#child!.kill("SIGTERM");
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), patience);
    await this.#ended;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  /** SIGSTOP and SIGCONT: it hangs, and goes on. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** What it has written: for the messages of failures. */
  tail(lines = 12): string {
    return readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  usage(): Usage {
    if (this.pid === null) throw new Error(`${this.name} does not run: ${this.tail()}`);
    return usageOf(this.pid);
  }
}

function usageOf(pid: number): Usage {
  let [memory, peak, cpu] = [0, 0, 0];
  for (const one of withDescendants(pid)) {
    const status = textOf(`/proc/${one}/status`);
    memory += kilobytes(status, "VmRSS") / 1024;
    peak += kilobytes(status, "VmHWM") / 1024;
    // utime, stime, and those of children that have ended
    const fields = statOf(one);
    cpu += tick * [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field] ?? 0), 0);
  }
  return { memory, peak, cpu };
}

/** Empty when the process has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

const kilobytes = (status: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(status)?.[1] ?? 0);

/** Fields of /proc/PID/stat (proc(5)) from the third on: the second may hold blanks. */
const statOf = (pid: number): readonly string[] =>
  textOf(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");

function withDescendants(pid: number): readonly number[] {
  const children = Map.groupBy(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number),
    (one) => Number(statOf(one)[1]),
  );
  const family = (one: number): readonly number[] => [one, ...(children.get(one) ?? []).flatMap(family)];
  return family(pid);
}
