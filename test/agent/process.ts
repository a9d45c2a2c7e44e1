/** Starts agents in processes of their own, and asks them how they are. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentOptions } from "../../src/agent/agent.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import type { World } from "../../src/policy/model/world.ts";

export interface Start {
  readonly netns: string;
  readonly options: AgentOptions;
  readonly verbose: boolean;
}

export type Order =
  | { readonly kind: "begin"; readonly world: Partial<World> }
  | { readonly kind: "tell"; readonly changes: readonly Change[] };

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export const agentOptions = async (more: Partial<AgentOptions> = {}): Promise<AgentOptions> => ({
  node: "n1",
  podCIDRs: [],
  podInterfaces: [],
  table: { table: "bulkhead" },
  health: { host: "127.0.0.1", port: await freePort() },
  metrics: null,
  cni: null,
  ...more,
});

export class AgentProcess {
  readonly child: ChildProcess;
  readonly options: AgentOptions;
  /** All that it wrote. */
  output = "";

  private constructor(child: ChildProcess, options: AgentOptions) {
    this.child = child;
    this.options = options;
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
  }

  /** Starts one that waits for its world. */
  static async start(namespace: Namespace, options: AgentOptions): Promise<AgentProcess> {
    const child = fork(new URL("./agent-process.ts", import.meta.url), {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      execArgv: ["--max-semi-space-size=8", "--disable-warning=ExperimentalWarning"],
    });
    const agent = new AgentProcess(child, options);
    await once(child, "message");
    const start: Start = { netns: `/proc/${process.pid}/fd/${namespace.fd}`, options, verbose: true };
    child.send(start);
    return agent;
  }

  begin(world: Partial<World>): void {
    this.#send({ kind: "begin", world });
  }

  tell(...changes: readonly Change[]): void {
    this.#send({ kind: "tell", changes });
  }

  /** To one that was killed nothing gets through. */
  #send(order: Order): void {
    if (this.child.connected) this.child.send(order, () => undefined);
  }

  /** What a page says, with its status; null while nobody listens. */
  async page(path: string): Promise<{ readonly status: number; readonly text: string } | null> {
    const { host, port } = this.options.health;
    try {
      const response = await fetch(`http://${host}:${port}${path}`);
      return { status: response.status, text: await response.text() };
    } catch {
      return null;
    }
  }

  async ready(): Promise<void> {
    for (;;) {
      const page = await this.page("/readyz");
      if (page?.status === 200) return;
      if (this.child.exitCode !== null) throw new Error(`the agent ended: ${this.output}`);
      await sleep(10);
    }
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const gone = once(this.child, "exit");
    this.child.kill(signal);
    const [code] = (await gone) as [number | null];
    return code;
  }
}
