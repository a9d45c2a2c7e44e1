/** A world that runs: built, programmed, asked. What the kernel suites and `verify` have in common. */
import { bindRequests } from "../flows/nflog.ts";
import { addressBytes } from "../netns/bytes.ts";
import { raiseOpenFiles } from "../netns/libc.ts";
import type { Namespace } from "../netns/namespace.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "../netns/netlink.ts";
import type { Seat } from "../netns/sockets.ts";
import { Enforcer } from "../nftables/enforcer.ts";
import { openRunner, type Runner } from "../nftables/runner.ts";
import type { Plan, PlanDelta } from "../policy/compile/plan.ts";
import { namespacedName, type Pod, type World } from "../policy/model/world.ts";
import { SandboxError } from "./error.ts";
import type { Face } from "./faces.ts";
import { type Drop, type Listener, type Observation, type Probe, Prober, type RunOptions } from "./prober.ts";
import type { Question } from "./questions.ts";
import { frontends, servicesScript } from "./services.ts";
import { slice } from "./slices.ts";
import { forgetSoon, Topology } from "./topology.ts";

const logGroup = 4789;
/** Room for the drop records of everything in flight, many times over. */
const logBuffer = 8 << 20;

/** What runs on a node. */
interface NodeState {
  readonly runner: Runner;
  readonly log: NetlinkSocket;
  enforcer: Enforcer | null;
}

export class Sandbox {
  readonly world: World;
  readonly #topology: Topology;
  readonly #prober = new Prober();
  readonly #nodes = new Map<string, NodeState>();
  readonly #seats = new Map<string, Seat>();
  /** By `ref|address`; a listener's id is its index. */
  readonly #destinations = new Map<string, number>();
  readonly #faces: Face[] = [];
  readonly #warnings: string[] = [];

  /** Builds a complete world (see `allot`), Services included, without policies. */
  static async up(world: World): Promise<Sandbox> {
    raiseOpenFiles();
    const sandbox = new Sandbox(world, Topology.build(world));
    try {
      await sandbox.#start();
      return sandbox;
    } catch (error) {
      await sandbox.down();
      throw error;
    }
  }

  private constructor(world: World, topology: Topology) {
    this.world = world;
    this.#topology = topology;
  }

  async #start(): Promise<void> {
    const services = frontends(this.world);
    for (const name of this.#topology.nodes) {
      const namespace = this.#topology.node(name);
      const runner = await workingRunner(namespace);
      const log = new NetlinkSocket(NETLINK_NETFILTER, namespace);
      this.#nodes.set(name, { runner, log, enforcer: null });
      log.setReceiveBuffer(logBuffer);
      log.request(bindRequests(logGroup));
      this.#prober.watchDrops(name, log);
      if (services.length > 0) await runner.run(servicesScript(services));
      forgetSoon(namespace);
    }
  }

  /** Makes every node enforce a plan over this world. */
  async program(plan: Plan): Promise<void> {
    for (const [node, state] of this.#nodes) {
      await state.enforcer?.remove();
      state.enforcer = null;
      const warn = (message: string): void => void this.#warnings.push(`node ${node}: ${message}`);
      state.enforcer = await Enforcer.start(plan, { node, runner: state.runner, logGroup, warn });
      forgetSoon(this.#topology.node(node));
    }
  }

  /** Brings every node from the plan before to the plan after a change. */
  async apply(plan: Plan, delta: PlanDelta): Promise<void> {
    for (const { enforcer } of this.#nodes.values()) await enforcer?.apply(plan, delta);
  }

  addPods(pods: readonly Pod[]): void {
    this.#leave(pods); // until now their addresses were somewhere outside
    this.#topology.addPods(pods);
  }

  removePods(pods: readonly Pod[]): void {
    this.#leave(pods);
    this.#topology.removePods(pods.map(namespacedName));
  }

  enforcer(node: string): Enforcer {
    const enforcer = this.#nodes.get(node)?.enforcer ?? null;
    if (enforcer === null) throw new Error(`node ${node} is not programmed`);
    return enforcer;
  }

  /** Opens the connections, all of them, and says what became of each. */
  probe(questions: readonly Question[], options?: RunOptions): Promise<Observation[]> {
    return this.#prober.run(
      questions.map((question) => this.#probe(question)),
      options,
    );
  }

  /** The destination that signs its answers with `id`. */
  destination(id: number): Face | undefined {
    return this.#faces[id];
  }

  /** Drops of packets that no probe sent, since the last call. */
  takeStrays(): Drop[] {
    return this.#prober.takeStrays();
  }

  /** Drop records read so far. */
  get records(): number {
    return this.#prober.records;
  }

  /** Packets that the nodes' drop counters have counted since they were programmed. */
  async counted(): Promise<number> {
    let packets = 0n;
    for (const { enforcer } of this.#nodes.values())
      for (const counter of (await enforcer?.counters())?.values() ?? []) packets += counter.packets;
    return Number(packets);
  }

  /** What nodes had to say while they enforced. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** How often a node's log overflowed. */
  get overruns(): number {
    return this.#prober.overruns;
  }

  async down(): Promise<void> {
    for (const { runner, log, enforcer } of this.#nodes.values()) {
      this.#prober.unwatchDrops(log);
      log.close();
      await enforcer?.stop();
      await runner.close();
    }
    this.#nodes.clear();
    this.#prober.close();
    this.#topology.close();
  }

  /** Where sockets of a face are. */
  seat({ end, address }: Face): Seat {
    const known = this.#seats.get(address);
    if (known !== undefined) return known;
    const seat =
      end.kind === "pod"
        ? this.#topology.podSeat(namespacedName(end.pod), address)
        : end.kind === "node"
          ? this.#topology.nodeSeat(end.node.name, address)
          : this.#topology.outsideSeat(address);
    this.#seats.set(address, seat);
    return seat;
  }

  /** Their addresses are about to be elsewhere. */
  #leave(pods: readonly Pod[]): void {
    for (const ip of pods.flatMap((pod) => (pod.hostNetwork ? [] : pod.ips))) {
      this.#seats.delete(ip);
      this.#prober.leave(addressBytes(ip));
    }
  }

  #probe({ from, to, protocol, port, via }: Question): Probe {
    const listener: Listener = { id: this.#idOf(to), seat: this.seat(to), protocol, port };
    const base = { from: this.seat(from), protocol, listener };
    if (via === null) return { ...base, address: listener.seat.address, port };
    const { frontend, backend } = via;
    return {
      ...base,
      address: addressBytes(frontend.address),
      port: frontend.port,
      sourcePorts: slice(backend, frontend.backends.length),
    };
  }

  #idOf(face: Face): number {
    const key = `${face.ref}|${face.address}`;
    const known = this.#destinations.get(key);
    if (known !== undefined) return known;
    this.#destinations.set(key, this.#faces.length);
    return this.#faces.push(face) - 1;
  }
}

/** @throws SandboxError where nftables cannot be used */
async function workingRunner(namespace: Namespace): Promise<Runner> {
  try {
    const runner = await openRunner({ netns: namespace.fd });
    await runner.run("list tables");
    return runner;
  } catch (error) {
    throw new SandboxError(
      `nftables cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      "It needs the package nftables (1.0.6 or newer) and a kernel with nf_tables.",
    );
  }
}
