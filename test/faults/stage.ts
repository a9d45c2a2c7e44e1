/**
 * Where faults are made: two nodes with pods that may and may not reach each other, an agent on each, traffic that never stops, and
 * a storm of changes that leaves every verdict on that traffic as it was.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Manifest } from "../../bench/worlds.ts";
import { addressBytes } from "../../src/netns/bytes.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import type { NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import { type Pod, plainPod } from "../../src/policy/model/world.ts";
import { now } from "../fire/native.ts";
import type { AgentArguments, LightAgent } from "../light/agent.ts";
import { LightCluster } from "../light/cluster.ts";
import { nodeAddresses, nodeName, podAddresses } from "../light/crowd.ts";
import type { LightPod } from "../light/kubelet.ts";
import { differences } from "./kernel-state.ts";
import { ApiProxy } from "./proxy.ts";
import { Storm } from "./storm.ts";
import { type End, type Stream, Traffic } from "./traffic.ts";

export const namespace = "faults";
export const nodes = [0, 1] as const;
export type NodeIndex = (typeof nodes)[number];

/**
 * On each node: `web` may reach `db` on its ports and `evil` may not; `caged` may open nothing; nothing rules `free`; `fickle` is
 * what the tests change policies of; `stranger` has an address of the node's, and the cluster knows nothing of it.
 */
const roles = ["web", "db", "evil", "caged", "free", "fickle"] as const;
type Role = (typeof roles)[number];
const strangerSlot = 90;
const ports = { open: 8080, other: 9090, flows: 8000, changing: 7000 } as const;
/** At the most, of one call of `openFlows`. */
const flowsAtOnce = 20;
const external = ["203.0.113.7", "2001:db8::7"] as const;
const families = ["IPv4", "IPv6"] as const;
type Family = (typeof families)[number];

export const networkPolicy = (name: string, spec: NetworkPolicySpec): Manifest => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name, namespace },
  spec,
});

const both = (first: number, last?: number) =>
  ["TCP", "UDP"].map((protocol) => ({ protocol, port: first, ...(last === undefined ? {} : { endPort: last }) }));

const basePolicies = [
  networkPolicy("db", {
    podSelector: { matchLabels: { app: "db" } },
    ingress: [
      {
        from: [{ podSelector: { matchLabels: { app: "web" } } }],
        ports: [...both(ports.open), ...both(ports.flows, ports.flows + 99)],
      },
    ],
  }),
  networkPolicy("caged", { podSelector: { matchLabels: { app: "caged" } }, policyTypes: ["Egress"], egress: [] }),
];

export interface StageOptions {
  /** What runs the agent; see `LightAgent`. */
  readonly command?: readonly string[];
  readonly say?: (line: string) => void;
}

/** What changes while a fault lasts, and what its packets say of that. */
export interface Changing {
  /** Closes or opens; resolves with the API server's answer. */
  set(isOpen: boolean): Promise<void>;
  readonly isOpen: boolean;
  /** Of new flows and of one that goes on, over both families, from both nodes. */
  readonly streams: readonly Stream[];
}

export class Stage {
  readonly cluster: LightCluster;
  readonly traffic = new Traffic();
  readonly storm: Storm;
  /** Between agents and API server, for agents that are started with it. */
  readonly proxy: ApiProxy;
  readonly #agents: LightAgent[] = [];
  readonly #command: readonly string[] | undefined;
  #flowPort: number = ports.flows;
  #changing = 0;

  static async build({ command, say = () => undefined }: StageOptions = {}): Promise<Stage> {
    const cluster = await LightCluster.start({ nodes: nodes.length, say });
    let stage: Stage | null = null;
    try {
      await cluster.createNamespace(namespace);
      for (const policy of basePolicies) await cluster.api.create(policy);
      say("making pods");
      await cluster.createPods(
        nodes.flatMap((node) =>
          roles.map((role) => ({ namespace, name: `${role}-${node}`, node, labels: { app: role, node: `n${node}` } })),
        ),
      );
      cluster.topology.addPods(nodes.map(strangerPod));
      stage = new Stage(cluster, command);
      await stage.proxy.start();
      say("starting agents");
      await Promise.all(nodes.map((node) => stage!.startAgent(node)));
      for (const node of nodes) forgetSoon(cluster.node(node));
      say("starting traffic");
      await stage.#begin();
      return stage;
    } catch (error) {
      if (stage !== null) await stage.close();
      else await cluster.close();
      throw error;
    }
  }

  private constructor(cluster: LightCluster, command: readonly string[] | undefined) {
    this.cluster = cluster;
    this.#command = command;
    this.storm = new Storm(cluster, namespace);
    this.proxy = new ApiProxy(cluster.controlPlane.connection.server);
  }

  agent(node: NodeIndex): LightAgent {
    return this.#agents[node]!;
  }

  /** Starts an agent; the one before on that node must have ended. Resolves when it is ready. */
  async startAgent(node: NodeIndex, options: Partial<AgentArguments> = {}): Promise<LightAgent> {
    const agent = this.launchAgent(node, options);
    await agent.ready(600_000);
    return agent;
  }

  launchAgent(node: NodeIndex, options: Partial<AgentArguments> = {}): LightAgent {
    const command = this.#command === undefined ? {} : { command: this.#command };
    const agent = this.cluster.startAgent(node, { ...command, ...options });
    this.#agents[node] = agent;
    return agent;
  }

  end(role: Role, node: NodeIndex, family: Family): End {
    const pod = this.cluster.kubelet(node).pods.get(`${namespace}/${role}-${node}`) as LightPod;
    return { name: `${role}-${node}`, seat: this.cluster.seat(pod, family) };
  }

  stranger(node: NodeIndex, family: Family): End {
    const { name, ips } = strangerPod(node);
    return { name, seat: this.cluster.topology.podSeat(`${namespace}/${name}`, addressOf(ips, family)) };
  }

  outside(family: Family): End {
    return { name: "outside", seat: this.cluster.topology.outsideSeat(addressOf(external, family)) };
  }

  ownNode(node: NodeIndex, family: Family): End {
    const address = addressBytes(addressOf(nodeAddresses(node), family));
    return { name: nodeName(node), seat: { namespace: this.cluster.node(node), address, foreign: false } };
  }

  /** Flows over ordinary sockets that go on until `remove`, opened now: they must come about. */
  async openFlows(): Promise<Stream[]> {
    const streams: Stream[] = [];
    for (const family of families) {
      const end = (role: Role, node: NodeIndex): End => this.end(role, node, family);
      const pairs: readonly (readonly [End, End])[] = [
        ...nodes.flatMap((from) => nodes.map((to) => [end("web", from), end("db", to)] as const)),
        [end("free", 0), end("caged", 1)],
        [end("free", 1), end("caged", 1)],
        [this.outside(family), end("free", 0)],
      ];
      for (const [from, to] of pairs) {
        const port = this.#flowPort++;
        if (this.#flowPort === ports.open) this.#flowPort = ports.flows + flowsAtOnce; // the first ones stay
        streams.push(await this.traffic.tcpFlow(from, to, port));
        streams.push(this.traffic.udpFlow(from, to, port));
      }
    }
    return streams;
  }

  /** A policy of pod `fickle` that comes and goes. */
  changing(): Changing {
    const port = ports.changing + this.#changing++;
    const name = `fickle-${port}`;
    const policy = networkPolicy(name, {
      podSelector: { matchLabels: { app: "fickle", node: "n0" } },
      policyTypes: ["Ingress"],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: "db" } } }] }],
    });
    const streams = families.flatMap((family) =>
      nodes.flatMap((node) =>
        (["all", "none"] as const).map((fresh) =>
          this.traffic.changing(this.end("web", node, family), this.end("fickle", 0, family), port, fresh),
        ),
      ),
    );
    const { api } = this.cluster;
    let isOpen = true;
    return {
      streams,
      get isOpen() {
        return isOpen;
      },
      set: async (open) => {
        if (open) await api.delete({ kind: "NetworkPolicy", namespace, name });
        else await api.create(policy);
        isOpen = open;
      },
    };
  }

  /** Waits until the kernels hold what the cluster says; nothing may change meanwhile. @returns ms @throws Error with the difference */
  async kernelsEqual(patience = 300_000): Promise<number> {
    const begun = now();
    for (const node of nodes) {
      for (;;) {
        const wrong = await differences(this.cluster, node);
        if (wrong.length === 0) break;
        if (now() - begun > patience)
          throw new Error(`${nodeName(node)}'s table is not what the plan says:\n${wrong.join("\n").slice(0, 2000)}`);
        await sleep(50);
      }
    }
    return now() - begun;
  }

  async close(): Promise<void> {
    await this.storm.stop();
    try {
      await this.traffic.close();
    } finally {
      await this.proxy.close();
      await this.cluster.close();
    }
  }

  async #begin(): Promise<void> {
    const { traffic } = this;
    for (const family of families) {
      const end = (role: Role, node: NodeIndex): End => this.end(role, node, family);
      const outside = this.outside(family);
      for (const here of nodes) {
        for (const there of nodes) {
          traffic.denied(end("evil", here), end("db", there), ports.open);
          traffic.denied(end("caged", here), end("free", there), ports.open);
          traffic.denied(this.stranger(here, family), end("free", there), ports.open);
          traffic.denied(end("free", here), this.stranger(there, family), ports.open);
          traffic.fresh(end("web", here), end("db", there), ports.open);
        }
        traffic.denied(end("web", here), end("db", here), ports.other);
        traffic.denied(outside, end("db", here), ports.open);
        traffic.denied(outside, this.stranger(here, family), ports.open);
        traffic.denied(end("caged", here), outside, ports.open);
        traffic.denied(end("caged", here), this.ownNode(here, family), ports.open);
        traffic.fresh(end("free", here), end("free", 0 === here ? 1 : 0), ports.open, ["syn", "udp", "echo"]);
        // The own node reaches its pods.
        traffic.fresh(this.ownNode(here, family), end("db", here), ports.other);
      }
    }
    await this.openFlows();
  }
}

/** Thousands of new flows a second must not fill connection tracking. */
function forgetSoon(place: Namespace): void {
  const names = ["udp_timeout", "tcp_timeout_close", "tcp_timeout_syn_recv", "icmp_timeout", "icmpv6_timeout"];
  for (const name of names) place.sysctl(`netfilter/nf_conntrack_${name}`, "2");
}

/** Kills the agents and starts others. */
export async function restartAgents(stage: Stage, options: Partial<AgentArguments> = {}): Promise<void> {
  await Promise.all(nodes.map((node) => stage.agent(node).program.kill()));
  await Promise.all(nodes.map((node) => stage.startAgent(node, options)));
}

const addressOf = (ips: readonly string[], family: Family): string =>
  ips.find((ip) => ip.includes(":") === (family === "IPv6"))!;

const strangerPod = (node: number): Pod =>
  plainPod(namespace, `stranger-${node}`, { ips: podAddresses(node, strangerSlot), node: nodeName(node) });
