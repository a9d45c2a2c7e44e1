/** Two nodes with pods in namespaces, and UDP packets that go between pods all the time. */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { namespace, node, pod } from "../../src/agent/worlds.arbitrary.ts";
import { addressBytes, socketAddress } from "../../src/netns/bytes.ts";
import { close, receive, sendTo, wouldBlock } from "../../src/netns/libc.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import { udpSocket } from "../../src/netns/sockets.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { Topology } from "../../src/sandbox/topology.ts";

const held = ["10.244.1.0/24", "fd00:10:244:1::/64"];

const twoFamilies = (number: number, n: number): readonly string[] => [
  `10.244.${number}.${n}`,
  `fd00:10:244:${number}::${n}`,
];

/** Pods of node n1, but `far`, which is on n2. `stranger` has an address of n1 that the cluster knows nothing of. */
export const pods: Readonly<Record<"web" | "db" | "evil" | "stranger" | "far", Pod>> = {
  web: pod("web", { ips: twoFamilies(1, 2) }),
  db: pod("db", { ips: twoFamilies(1, 3) }),
  evil: pod("evil", { ips: twoFamilies(1, 4) }),
  stranger: pod("stranger", { ips: twoFamilies(1, 5) }),
  far: pod("far", { node: "n2", ips: twoFamilies(2, 2) }),
};

const nodes = [
  node("n1", ["172.18.0.1", "fd00:172:18::1"], held),
  node("n2", ["172.18.0.2", "fd00:172:18::2"], ["10.244.2.0/24", "fd00:10:244:2::/64"]),
];

/** What the API server knows at first. */
export const world: World = {
  ...emptyWorld,
  namespaces: [namespace("shop")],
  nodes,
  pods: [pods.web, pods.db, pods.evil, pods.far],
};

type Name = keyof typeof pods;
type FamilyIndex = 0 | 1;

const port = 8080;

/** Packets that one socket sends to another, again and again. */
export class Stream {
  readonly #source: number;
  readonly #target: number;
  readonly #address: Uint8Array;
  readonly #number = new Uint8Array(8);
  readonly #buffer = new Uint8Array(64);
  sent = 0;
  arrived = 0;

  constructor(source: number, target: number, address: Uint8Array) {
    this.#source = source;
    this.#target = target;
    this.#address = address;
  }

  send(): void {
    this.sent++;
    new DataView(this.#number.buffer).setFloat64(0, this.sent);
    sendTo(this.#source, this.#number, this.#address);
  }

  take(): void {
    while (receive(this.#target, this.#buffer) !== wouldBlock) this.arrived++;
  }

  close(): void {
    close(this.#source);
    close(this.#target);
  }
}

export class TestNodes {
  readonly #topology: Topology;
  readonly #streams = new Set<Stream>();
  #port = port;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.#topology = Topology.build({ ...world, pods: Object.values(pods) });
  }

  get namespace(): Namespace {
    return this.#topology.node("n1");
  }

  /** A flow of one source port. It begins to send with the next `start`. */
  stream(from: Name, to: Name, family: FamilyIndex = 0): Stream {
    const own = this.#port++;
    const seat = (name: Name) => this.#topology.podSeat(`shop/${name}`, pods[name].ips[family]!);
    const source = udpSocket(seat(from), own);
    const target = udpSocket(seat(to), own);
    const stream = new Stream(source, target, socketAddress(addressBytes(pods[to].ips[family]!), own));
    this.#streams.add(stream);
    return stream;
  }

  /** All streams send about every millisecond. */
  start(): void {
    this.#timer ??= setInterval(() => {
      for (const stream of this.#streams) {
        stream.send();
        stream.take();
      }
    }, 1);
  }

  /** Stops sending, and waits for what is on its way. */
  async pause(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await sleep(20);
    for (const stream of this.#streams) stream.take();
  }

  /** Does a packet of each stream arrive? Sends one at a time, and waits for it for a moment. */
  async passes(stream: Stream): Promise<boolean> {
    const before = stream.arrived;
    stream.send();
    for (let i = 0; i < 20 && stream.arrived === before; i++) {
      await sleep(1);
      stream.take();
    }
    return stream.arrived > before;
  }

  /** A bridge of node n1, with an address and so with a route. */
  addBridge(name: string, address: string): void {
    const ip = (...args: readonly string[]): void => {
      const enter = `--net=/proc/${process.pid}/fd/${this.namespace.fd}`;
      const { status, stderr } = spawnSync("nsenter", [enter, "--", "ip", ...args], { encoding: "utf8" });
      if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
    };
    ip("link", "add", name, "type", "bridge");
    ip("address", "add", address, "dev", name);
    ip("link", "set", name, "up");
  }

  close(): void {
    clearInterval(this.#timer);
    for (const stream of this.#streams) stream.close();
    this.#topology.close();
  }
}
