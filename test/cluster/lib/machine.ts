/** A machine: namespaces of its own for mounts, network, processes, host name and IPC, as a container engine would make. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { assetPath, searchPath } from "./assets.ts";
import { ended, isAlive, type ProcessId, signalTo } from "./processes.ts";
import { type RunOptions, run, until } from "./run.ts";

const script = join(import.meta.dirname, "machine.sh");

export class Machine {
  readonly name: string;
  /** What survives a reboot: /etc, /opt, /var/lib and /var/log of the machine are in it, /run is not. */
  readonly state: string;
  #init: ProcessId;

  private constructor(name: string, state: string, init: ProcessId) {
    this.name = name;
    this.state = state;
    this.#init = init;
  }

  /** Starts it. `owned`: it ends when this process ends, however that happens. */
  static async boot(name: string, state: string, { owned }: { readonly owned: boolean }): Promise<Machine> {
    mkdirSync(state, { recursive: true });
    const note = join(state, "init.json");
    rmSync(note, { force: true });
    const unshare = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"];
    const command = [...unshare, script, name, state, assetPath("init")];
    const [program, ...args] = owned ? ["setpriv", "--pdeathsig", "KILL", ...command] : command;
    const child = spawn(program!, args, {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, PATH: searchPath() },
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const failure = new Promise<never>((_, reject) => {
      child.on("error", reject);
      child.on("exit", () =>
        reject(new Error(`machine ${name} could not start: ${said.trim() || "it ended at once"}`)),
      );
    });
    failure.catch(() => {}); // it ends one day, when nobody waits here any more
    const init = await Promise.race([
      failure,
      until(`machine ${name}`, () => noted(note), { every: 5, within: 20_000 }),
    ]);
    child.stderr.destroy();
    child.unref();
    return new Machine(name, state, init);
  }

  /** One that another program started; null when it does not run any more. */
  static attach(name: string, state: string): Machine | null {
    const init = noted(join(state, "init.json"));
    return init === null ? null : new Machine(name, state, init);
  }

  /** The first process, as the host numbers it. */
  get pid(): number {
    return this.#init.pid;
  }

  get isUp(): boolean {
    return isAlive(this.#init);
  }

  /** The path of its network namespace, for `Namespace`, `nsenter --net=` or `ip netns attach`. */
  get netns(): string {
    return `/proc/${this.pid}/ns/net`;
  }

  /** The start of a command line that runs the rest inside. */
  get enter(): readonly string[] {
    return ["nsenter", "--target", String(this.pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--"];
  }

  /** Runs a program inside to its end. @throws RunError */
  exec(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const [program, ...args] = [...this.enter, ...command];
    return run(program!, args, { ...options, env: options.env ?? { ...process.env, PATH: searchPath() } });
  }

  /** Runs a program in its network only: it sees the files and processes of the host. @throws RunError */
  execInNetwork(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const env = options.env ?? { ...process.env, PATH: searchPath() };
    return run("nsenter", [`--net=${this.netns}`, "--", ...command], { ...options, env });
  }

  /** `net.<name>`, as in /proc/sys/net; false when this kernel has no such setting. */
  async sysctl(settings: Readonly<Record<string, string>>): Promise<void> {
    const write = 'while [ $# -gt 0 ]; do [ ! -e "$1" ] || printf %s "$2" >"$1"; shift 2; done';
    await this.exec([
      "sh",
      "-c",
      write,
      "sh",
      ...Object.entries(settings).flatMap(([name, value]) => [`/proc/sys/net/${name}`, value]),
    ]);
  }

  /** Power off: every process of it is killed at once, its mounts and its network are gone. */
  async powerOff(): Promise<void> {
    signalTo(this.#init, "SIGKILL");
    if (!(await ended(this.#init, 20_000))) throw new Error(`machine ${this.name} (process ${this.pid}) does not end`);
  }

  /** Power off and on again: a new network, an empty /run, the same disks. `owned` as for `boot`. */
  async reboot(options: { readonly owned: boolean }): Promise<void> {
    await this.powerOff();
    this.#init = (await Machine.boot(this.name, this.state, options)).#init;
  }
}

function noted(path: string): ProcessId | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  if (!text.endsWith("\n")) return null;
  const id = JSON.parse(text) as ProcessId;
  return isAlive(id) ? id : null;
}
