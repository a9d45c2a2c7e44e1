/** Agents of the tests' clusters: in this process, or in one of their own that can be killed. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type AgentOptions, runAgent } from "../../src/agent/agent.ts";
import { type Events, noEvents } from "../../src/agent/events.ts";
import { FakeFeed } from "../../src/agent/fake-feed.arbitrary.ts";
import { LogBook } from "../../src/agent/worlds.arbitrary.ts";
import type { PolicyProblem } from "../../src/kube/feed.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
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

async function freePort(): Promise<number> {
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

/** What all agents of the tests have. */
abstract class TestAgent {
  readonly options: AgentOptions;
  /** All that it wrote. */
  output = "";

  constructor(options: AgentOptions) {
    this.options = options;
  }

  abstract begin(world: Partial<World>): void;
  abstract tell(...changes: readonly Change[]): void;
  /** Why it has ended; null while it runs. */
  protected abstract ended(): string | null;

  /** What a page says, with its status; null while nobody listens. */
  async page(path: string): Promise<{ readonly status: number; readonly text: string } | null> {
    const { host, port } = this.options.health;
    try {
      const response = await fetch(`http://${host}:${port}${path}`, { headers: { connection: "close" } });
      return { status: response.status, text: await response.text() };
    } catch {
      return null;
    }
  }

  async ready(): Promise<void> {
    for (;;) {
      const page = await this.page("/readyz");
      if (page?.status === 200) return;
      const why = this.ended();
      if (why !== null) throw new Error(`the agent ended: ${why}`);
      await sleep(5);
    }
  }
}

export interface InProcessDeps {
  /** In place of the kernel of the namespace. */
  readonly runner?: (real: Runner) => Runner;
  readonly events?: Events;
}

/** One of this process: starts faster. */
export class Agent extends TestAgent {
  readonly feed = new FakeFeed(null);
  readonly log = new LogBook();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #failure: string | null = null;

  constructor(namespace: Namespace, options: AgentOptions, deps: InProcessDeps = {}) {
    super(options);
    this.#running = this.#run(namespace, deps).catch((error: unknown) => {
      this.#failure = String(error);
    });
  }

  begin(world: Partial<World>, problems: readonly PolicyProblem[] = []): void {
    this.feed.begin(world, problems);
  }

  tell(...changes: readonly Change[]): void {
    this.feed.tell(changes);
  }

  protected ended(): string | null {
    return this.#failure;
  }

  async end(): Promise<void> {
    this.#stop.abort(new Error("the test ends"));
    await this.#running;
  }

  async #run(namespace: Namespace, { runner = (real) => real, events = noEvents }: InProcessDeps): Promise<void> {
    const real = await openRunner({ netns: namespace.fd });
    const { feed, log } = this;
    const { signal } = this.#stop;
    try {
      await runAgent(this.options, {
        openFeed: () => feed,
        runner: runner(real),
        network: namespace,
        log,
        events,
        signal,
      });
    } finally {
      await real.close();
    }
  }
}

export class AgentProcess extends TestAgent {
  readonly child: ChildProcess;

  private constructor(child: ChildProcess, options: AgentOptions) {
    super(options);
    this.child = child;
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

  protected ended(): string | null {
    return this.child.exitCode === null && this.child.signalCode === null ? null : this.output;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.ended() !== null) return this.child.exitCode;
    const gone = once(this.child, "exit");
    this.child.kill(signal);
    const [code] = (await gone) as [number | null];
    return code;
  }
}
