/**
 * A cluster without kubelets: a real API server, nodes and pods as network namespaces, and around them as many nodes, pods and
 * policies as are asked for that are objects only.
 *
 *     pod ── node-0 ── outside: kube-apiserver, etcd, this thread ── node-1 ── pod
 *
 * The calling thread lives in the network `outside` until the cluster is closed: what it opens and starts is there.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openClient } from "../../src/kube/client.ts";
import { raiseOpenFiles } from "../../src/netns/libc.ts";
import type { Namespace } from "../../src/netns/namespace.ts";
import type { Seat } from "../../src/netns/sockets.ts";
import { emptyWorld } from "../../src/policy/model/world.ts";
import { Topology } from "../../src/sandbox/topology.ts";
import { type AgentArguments, LightAgent } from "./agent.ts";
import { Api, forAll } from "./api.ts";
import { ControlPlane } from "./control-plane.ts";
import { type CrowdSize, crowd, nodeAddresses, nodeManifest, nodeName, podCIDRs } from "./crowd.ts";
import { type KubeletOptions, LightKubelet, type LightPod, podManifest } from "./kubelet.ts";
import { storeObjects } from "./store.ts";

export interface LightClusterOptions {
  /** Nodes with a network: `node-0`, `node-1`… Default 2. */
  readonly nodes?: number;
  /** Everything else that the API server holds; the nodes with a network are among these nodes. */
  readonly crowd?: CrowdSize;
  readonly seed?: number;
  /** What each node's kubelet does. */
  readonly kubelet?: KubeletOptions;
  readonly apiserverFlags?: readonly string[];
  /** Told how far the start has come. */
  readonly say?: (line: string) => void;
}

/** Where nodes reach the API server: any address that is no node's and no pod's leads to `outside`. */
const apiAddress = "192.0.2.1";

/** Those that create pods for the light nodes; names are free otherwise. */
export type PodRequest = Parameters<typeof podManifest>[0];

export class LightCluster {
  readonly api: Api;
  readonly controlPlane: ControlPlane;
  readonly topology: Topology;
  /** A folder for logs and state; goes with the cluster. */
  readonly folder: string;
  readonly #kubelets: LightKubelet[] = [];
  readonly #kubeletOptions: KubeletOptions;
  readonly #agents: LightAgent[] = [];
  readonly #leave: () => void;

  /** @throws Error when the programs are missing (`missingPrograms`), SystemError without the right to make namespaces */
  static async start(options: LightClusterOptions = {}): Promise<LightCluster> {
    const cluster = new LightCluster(options);
    try {
      await cluster.#start(options);
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  private constructor({ nodes = 2, kubelet = {}, apiserverFlags = [] }: LightClusterOptions) {
    raiseOpenFiles();
    this.#kubeletOptions = kubelet;
    this.folder = mkdtempSync(join(tmpdir(), "bulkhead-light-"));
    this.topology = Topology.build({
      ...emptyWorld,
      nodes: Array.from({ length: nodes }, (_, i) => ({
        name: nodeName(i),
        labels: {},
        ips: nodeAddresses(i),
        podCIDRs: podCIDRs(i),
        source: null,
      })),
    });
    this.#leave = this.topology.outside.stay();
    this.controlPlane = new ControlPlane({ folder: this.folder, address: apiAddress, flags: apiserverFlags });
    this.api = new Api(openClient(this.controlPlane.connection));
  }

  async #start({ nodes = 2, crowd: size, seed = 1, say = () => undefined }: LightClusterOptions): Promise<void> {
    say("starting etcd and kube-apiserver");
    await this.controlPlane.start();
    const { etcdUrl } = this.controlPlane;
    if (size === undefined) {
      await storeObjects(
        etcdUrl,
        Array.from({ length: nodes }, (_, i) => nodeManifest(i)),
      );
    } else {
      const objects = crowd(size, seed);
      const { pods, policies } = size;
      say(`storing ${size.nodes} nodes, ${objects.namespaces.length} namespaces, ${policies} policies, ${pods} pods`);
      const start = performance.now();
      const all = [...objects.namespaces, ...objects.nodes, ...objects.policies];
      const count = (await storeObjects(etcdUrl, all)) + (await storeObjects(etcdUrl, objects.pods()));
      say(`stored ${count} objects in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
    for (let i = 0; i < nodes; i++) this.startKubelet(i);
  }

  /** A new one, when the node is started again. */
  startKubelet(node: number): LightKubelet {
    const kubelet = new LightKubelet(this.api, this.topology, node, this.#kubeletOptions);
    this.#kubelets[node] = kubelet;
    return kubelet;
  }

  kubelet(node: number): LightKubelet {
    return this.#kubelets[node]!;
  }

  /** The network of a node. */
  node(node: number): Namespace {
    return this.topology.node(nodeName(node));
  }

  /** Namespaces as the API server makes them. */
  async createNamespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  }

  /** Creates pods; resolves when each has its network. @returns in the order of `pods` */
  async createPods(pods: readonly PodRequest[]): Promise<LightPod[]> {
    await forAll(pods, 8, (pod) => this.api.create(podManifest(pod)));
    return Promise.all(pods.map(({ namespace, name, node }) => this.kubelet(node).pod(`${namespace}/${name}`)));
  }

  /** Where a pod's sockets are. @param family default IPv4 */
  seat({ namespace, name, ips }: LightPod, family: "IPv4" | "IPv6" = "IPv4"): Seat {
    const address = ips.find((ip) => ip.includes(":") === (family === "IPv6"))!;
    return this.topology.podSeat(`${namespace}/${name}`, address);
  }

  /** Starts an agent, as a process of its own in the node's network. See `LightAgent.ready`. */
  startAgent(node: number, options: Partial<AgentArguments> = {}): LightAgent {
    const agent = new LightAgent({
      node: nodeName(node),
      netns: this.node(node),
      server: this.controlPlane.connection.server,
      serviceAccount: this.controlPlane.serviceAccount,
      folder: this.folder,
      ...options,
    });
    this.#agents.push(agent);
    agent.program.start();
    return agent;
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.program.kill();
    const closing = this.#kubelets.map((kubelet) => kubelet.close());
    await this.controlPlane.stop();
    await Promise.all(closing);
    this.api.close();
    this.#leave();
    this.topology.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
