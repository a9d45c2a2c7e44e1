/** A node with traffic between its pods, and programs run in its network namespace. */
import { spawn } from "node:child_process";
import type { Namespace } from "../../src/netns/namespace.ts";
import type { Seat } from "../../src/netns/sockets.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { namespacedName, type World } from "../../src/policy/model/world.ts";
import { Topology } from "../../src/sandbox/topology.ts";
import { Traffic } from "./traffic.ts";
import { isClient, isServer, node, serverPort } from "./world.ts";

/** Thousands of short connections must not fill connection tracking. */
export function forgetConnectionsSoon(space: Namespace): void {
  for (const state of ["close", "time_wait", "fin_wait", "last_ack"]) {
    space.sysctl(`netfilter/nf_conntrack_tcp_timeout_${state}`, "1");
  }
}

export class Place {
  readonly runner: Runner;
  readonly #topology: Topology;
  readonly #traffic: Traffic;

  /** The pods with traffic are built, the others are not. */
  static async build(world: World): Promise<Place> {
    const topology = Topology.build({
      ...world,
      nodes: world.nodes.filter(({ name }) => name === node),
      pods: world.pods.filter((pod) => isClient(pod) || isServer(pod)),
    });
    const space = topology.node(node);
    forgetConnectionsSoon(space);
    return new Place(world, topology, await openRunner({ netns: space.fd }));
  }

  private constructor(world: World, topology: Topology, runner: Runner) {
    this.#topology = topology;
    this.runner = runner;
    const seats = (which: typeof isClient): Seat[] =>
      world.pods.filter(which).map((pod) => topology.podSeat(namespacedName(pod), pod.ips[0]!));
    const servers = seats(isServer);
    const pairs = seats(isClient).map((client, i) => ({ client, server: servers[(i + 3) % servers.length]! }));
    this.#traffic = new Traffic(pairs, serverPort);
  }

  /** Runs a program in the node's namespace. @throws Error with what it said */
  exec(program: string, args: readonly string[], input: string): Promise<void> {
    const { fd } = this.#topology.node(node);
    const child = spawn("nsenter", ["--net=/proc/self/fd/3", "--", program, ...args], {
      stdio: ["pipe", "ignore", "pipe", fd],
    });
    let said = "";
    child.stderr!.on("data", (part: Buffer) => {
      said += part.toString();
    });
    child.stdin!.on("error", () => undefined); // a program that ends early says why
    child.stdin!.end(input);
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => {
        if (status === 0) resolve();
        else reject(new Error(`${program}: ${said.slice(0, 500)}`));
      });
    });
  }

  connections(ms: number): ReturnType<Traffic["connections"]> {
    return this.#traffic.connections(ms);
  }

  packets(ms: number): number {
    return this.#traffic.packets(ms);
  }

  async close(): Promise<void> {
    this.#traffic.close();
    await this.runner.close();
    this.#topology.close();
  }
}
