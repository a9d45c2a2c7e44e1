/** Where the agent is measured: a cluster of some size, twenty pods of its first node that send and receive, and the agent. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import type { LightAgent } from "../../test/light/agent.ts";
import { LightCluster } from "../../test/light/cluster.ts";
import type { CrowdSize } from "../../test/light/crowd.ts";
import type { LightPod } from "../../test/light/kubelet.ts";
import type { Manifest } from "../worlds.ts";
import { Probes } from "./probes.ts";

export const namespace = "probe";
const realPods = 20;

/** What the agent says about one change that it brought into the kernel, in ms. */
export interface Passage {
  readonly watch: number;
  readonly plan: number;
  readonly kernel: number;
  readonly transactions: readonly string[];
}

/** The agent's way to its first rules. */
export interface Started {
  /** From the start of its process until it was ready. */
  readonly milliseconds: number;
  /** Of these, for the plan and the kernel, with the cluster known. */
  readonly kernel: number;
  /** ms of CPU time */
  readonly cpu: number;
  /** MB */
  readonly peak: number;
}

export interface StageOptions {
  readonly crowd?: CrowdSize;
  /** The agent's program; see `LightAgent`. */
  readonly command: readonly string[];
  readonly say: (line: string) => void;
}

export class Stage {
  readonly cluster: LightCluster;
  readonly agent: LightAgent;
  readonly probes = new Probes();
  readonly started: Started;
  /** `pod-0`, `pod-1`…, on node 0. */
  readonly pods: readonly LightPod[];

  static async build({ crowd, command, say }: StageOptions): Promise<Stage> {
    const cluster = await LightCluster.start({
      nodes: 2,
      ...(crowd === undefined ? {} : { crowd }),
      kubelet: { statusDelay: null },
      say,
    });
    try {
      await cluster.createNamespace(namespace);
      const pods = await cluster.createPods(
        Array.from({ length: realPods }, (_, i) => ({
          namespace,
          name: `pod-${i}`,
          node: 0,
          labels: { app: `pod-${i}` },
        })),
      );
      for (const { name } of pods) await cluster.kubelet(0).report(`${namespace}/${name}`);
      say("starting the agent");
      const begun = performance.now();
      const agent = cluster.startAgent(0, { command, args: ["--verbose"] });
      await agent.ready(300_000);
      const { cpu, peak } = agent.usage();
      const started = { milliseconds: performance.now() - begun, kernel: firstRules(agent), cpu, peak };
      forgetFlowsSoon(cluster);
      return new Stage(cluster, agent, pods, started);
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  private constructor(cluster: LightCluster, agent: LightAgent, pods: readonly LightPod[], started: Started) {
    this.started = started;
    this.cluster = cluster;
    this.agent = agent;
    this.pods = pods;
  }

  policy(name: string, spec: NetworkPolicySpec): Manifest {
    return { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name, namespace }, spec };
  }

  /** Changes that the agent brought into the kernel, in order. */
  passages(): readonly Passage[] {
    return readFileSync(this.agent.program.log, "utf8")
      .split("\n")
      .filter((line) => line.includes('"changes are in force"') && !line.includes('"watch":null'))
      .map((line) => JSON.parse(line) as Passage);
  }

  /** Until the agent has had nothing to do for a while. */
  async quiet(): Promise<void> {
    for (let before = -1, count = this.passages().length; count !== before; ) {
      await sleep(150);
      before = count;
      count = this.passages().length;
    }
  }

  async close(): Promise<void> {
    await this.probes.close();
    await this.cluster.close();
  }
}

/** ms that the agent says its first rules took. */
function firstRules({ program }: LightAgent): number {
  const line = readFileSync(program.log, "utf8")
    .split("\n")
    .find((one) => one.includes("the first rules are in force"));
  return line === undefined ? Number.NaN : (JSON.parse(line) as { milliseconds: number }).milliseconds;
}

/** Thousands of flows of one packet a second must not fill connection tracking. */
function forgetFlowsSoon(cluster: LightCluster): void {
  cluster.node(0).sysctl("netfilter/nf_conntrack_udp_timeout", "2");
}
