/**
 * A kubelet, a container runtime and a network plugin as far as policies see them: each pod that the API server has bound to the
 * node is a network namespace, and its status says so.
 */
import type { Manifest } from "../../bench/worlds.ts";
import { lines } from "../../src/kube/lines.ts";
import { namespacedName, type Pod } from "../../src/policy/model/world.ts";
import { podNamed } from "../../src/policy/objects.arbitrary.ts";
import type { Topology } from "../../src/sandbox/topology.ts";
import { type Api, isNotFound } from "./api.ts";
import { nodeAddresses, nodeName, podAddresses, runningStatus } from "./crowd.ts";

/** A pod that is realised: what the network plugin and the status of the API object say. */
export interface LightPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly ips: readonly string[];
}

export interface KubeletOptions {
  /** ms from the pod's network to its status in the API server; null: only when `report` is called. Default 0. */
  readonly statusDelay?: number | null;
  /** The end of a chain of network plugins: the pod has its network, its containers start when this resolves. */
  readonly setUp?: (pod: LightPod) => Promise<void>;
  /** The pod's network is going to be taken down. */
  readonly tearDown?: (pod: LightPod) => Promise<void>;
  /** Families that pods have addresses of; default both. */
  readonly families?: readonly ("IPv4" | "IPv6")[];
}

/** An annotation that asks for an address of the node: a number from 1 to `lastAddress`. */
const addressAnnotation = "light.test/address";
/** Higher ones are those of pods that are only objects. */
const lastAddress = 99;
const pause = 100; // ms before a broken watch is begun again

interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: {
    readonly metadata: {
      readonly name: string;
      readonly namespace: string;
      readonly uid: string;
      readonly resourceVersion: string;
      readonly deletionTimestamp?: string;
      readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly spec: { readonly hostNetwork?: boolean };
    readonly status?: { readonly podIPs?: readonly { readonly ip: string }[] };
  };
}

export class LightKubelet {
  readonly #api: Api;
  readonly #topology: Topology;
  readonly #node: number;
  readonly #options: KubeletOptions;
  readonly #stop = new AbortController();
  /** By name; of pods whose network is up. */
  readonly #pods = new Map<string, LightPod & { readonly slot: number }>();
  /** By name: those that someone waits for. */
  readonly #waiting = new Map<string, PromiseWithResolvers<LightPod>>();
  readonly #running: Promise<void>;
  #nextSlot = 0;

  constructor(api: Api, topology: Topology, node: number, options: KubeletOptions = {}) {
    this.#api = api;
    this.#topology = topology;
    this.#node = node;
    this.#options = options;
    this.#running = this.#run();
  }

  get pods(): ReadonlyMap<string, LightPod> {
    return this.#pods;
  }

  /** Resolves when a pod has its network. */
  async pod(key: string): Promise<LightPod> {
    const up = this.#pods.get(key);
    if (up !== undefined) return up;
    const waiting = this.#waiting.get(key) ?? Promise.withResolvers<LightPod>();
    this.#waiting.set(key, waiting);
    return waiting.promise;
  }

  /** Writes a pod's status: running, with its addresses. @returns when the server answered, in ms of `performance.now()` */
  async report(key: string): Promise<number> {
    const pod = this.#pods.get(key)!;
    const status = runningStatus(pod.ips, nodeAddresses(this.#node));
    await this.#api.patch({ kind: "Pod", namespace: pod.namespace, name: pod.name }, { status }, "status");
    return performance.now();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch {
        // the API server is away, or this is: pods stay as they are
      }
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const fieldSelector = `spec.nodeName=${nodeName(this.#node)}`;
    const query = { fieldSelector, watch: true, allowWatchBookmarks: true, sendInitialEvents: true };
    const stream = await this.#api.client.stream(
      "/api/v1/pods",
      { ...query, resourceVersionMatch: "NotOlderThan" },
      { signal },
    );
    const seen = new Set<string>();
    let isInitial = true;
    for await (const some of lines(stream)) {
      for (const line of some) {
        const { type, object } = JSON.parse(line.toString()) as WatchEvent;
        if (type === "ERROR") return;
        if (type === "BOOKMARK") {
          if (isInitial) for (const key of this.#pods.keys()) if (!seen.has(key)) this.#remove(key);
          isInitial = false;
          continue;
        }
        const key = namespacedName(object.metadata);
        seen.add(key);
        this.#see(type, key, object);
      }
    }
  }

  #see(type: WatchEvent["type"], key: string, { metadata, spec, status }: WatchEvent["object"]): void {
    const known = this.#pods.get(key);
    if (type === "DELETED") {
      if (known?.uid === metadata.uid) this.#remove(key);
      return;
    }
    if (metadata.deletionTimestamp !== undefined) return void this.#terminate(key);
    if (known?.uid === metadata.uid || spec.hostNetwork === true || isObjectOnly(status?.podIPs ?? [])) return;
    if (known !== undefined) this.#remove(key);
    this.#add(key, metadata);
  }

  #add(key: string, { namespace, name, uid, annotations }: WatchEvent["object"]["metadata"]): void {
    const asked = annotations?.[addressAnnotation];
    const slot = asked === undefined ? this.#freeSlot() : Number(asked);
    const { families = ["IPv4", "IPv6"] } = this.#options;
    const ips = podAddresses(this.#node, slot).filter((ip) => families.includes(ip.includes(":") ? "IPv6" : "IPv4"));
    const pod = { namespace, name, uid, ips, slot };
    this.#topology.addPods([topologyPod(pod, nodeName(this.#node))]);
    this.#pods.set(key, pod);
    this.#waiting.get(key)?.resolve(pod);
    this.#waiting.delete(key);
    void this.#start(key, pod);
  }

  async #start(key: string, pod: LightPod): Promise<void> {
    const { setUp, statusDelay = 0 } = this.#options;
    await setUp?.(pod);
    if (statusDelay === null) return;
    if (statusDelay > 0) await new Promise((resolve) => setTimeout(resolve, statusDelay));
    while (!this.#stop.signal.aborted && this.#pods.get(key) === pod) {
      try {
        await this.report(key);
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  async #terminate(key: string): Promise<void> {
    const pod = this.#pods.get(key);
    if (pod === undefined) return;
    await this.#options.tearDown?.(pod);
    this.#remove(key);
    await this.#api.delete({ kind: "Pod", namespace: pod.namespace, name: pod.name });
  }

  #remove(key: string): void {
    if (!this.#pods.delete(key)) return;
    this.#topology.removePods([key]);
  }

  /** In turn: an address that has become free comes again as late as can be, as host-local does it. */
  #freeSlot(): number {
    const taken = new Set(Array.from(this.#pods.values(), ({ slot }) => slot));
    for (let tried = 0; tried < lastAddress; tried++) {
      this.#nextSlot = (this.#nextSlot % lastAddress) + 1;
      if (!taken.has(this.#nextSlot)) return this.#nextSlot;
    }
    throw new Error(`node ${nodeName(this.#node)} has no address left`);
  }
}

/** Addresses of the crowd. A pod that is more, and has another address, had it before the node was started again. */
const isObjectOnly = (podIPs: readonly { readonly ip: string }[]): boolean =>
  podIPs.some(({ ip }) => Number(/^[0-9.]+\.(\d+)$/.exec(ip)?.[1] ?? 0) > lastAddress);

/** What the topology builds a namespace by. */
const topologyPod = ({ namespace, name, ips }: LightPod, node: string): Pod =>
  podNamed(name, { namespace, ips, node, labels: {} });

/** A pod for a light node, as someone would create it. */
export function podManifest(pod: {
  readonly namespace: string;
  readonly name: string;
  readonly node: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** See `addressAnnotation`. */
  readonly address?: number;
}): Manifest {
  const { namespace, name, node, labels = {}, address } = pod;
  const annotations = address === undefined ? {} : { annotations: { [addressAnnotation]: String(address) } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, labels, ...annotations },
    spec: {
      nodeName: nodeName(node),
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      tolerations: [{ operator: "Exists" }],
      containers: [{ name: "main", image: "registry.example/app:1.0.0" }],
    },
  };
}
