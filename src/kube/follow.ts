/** A whole cluster, followed: one reflector a kind, their changes in one queue. */
import type { Change } from "../policy/compile/plan.ts";
import { policyKey } from "../policy/compile/plan.ts";
import type { Policy, PolicyKind } from "../policy/model/policy.ts";
import type { Namespace, Node, Pod, World } from "../policy/model/world.ts";
import { Assembly } from "./assembly.ts";
import { realTiming, type Timing } from "./backoff.ts";
import type { Client } from "./client.ts";
import { NetworkError } from "./errors.ts";
import type { ClusterFeed, FeedBatch, PolicyProblem, SourceStatus } from "./feed.ts";
import { podResource } from "./pods.ts";
import { Reachability } from "./reachability.ts";
import { Reflector, type ReflectorOptions } from "./reflector.ts";
import type { Resource } from "./resource.ts";
import { type FollowedPolicy, namespaceResource, nodeResource, policyResource, type WithUid } from "./resources.ts";
import type { Sink } from "./store.ts";

export interface FollowOptions {
  /** Kinds of policies; default: all four. */
  readonly policies?: readonly PolicyKind[];
  /** Take both generations of cluster policies, in the order of spec C18; default: the first that is there. */
  readonly mixedGenerations?: boolean;
  /** CIDRs of pods that no Node names. */
  readonly podCIDRs?: readonly string[];
  readonly serviceCIDRs?: readonly string[];
  /** Told of objects that can't even be identified. */
  readonly warn?: (message: string) => void;
  readonly timing?: Timing;
  /** See `ReflectorOptions`. */
  readonly watchSeconds?: number;
}

const allPolicies: readonly PolicyKind[] = [
  "NetworkPolicy",
  "ClusterNetworkPolicy",
  "AdminNetworkPolicy",
  "BaselineAdminNetworkPolicy",
];

/**
 * Follows Namespaces, Nodes, Pods and policies. Needs `list` and `watch` on `namespaces`, `nodes` and `pods` (core group), on
 * `networkpolicies` (networking.k8s.io), and on `clusternetworkpolicies`, `adminnetworkpolicies` and
 * `baselineadminnetworkpolicies` (policy.networking.k8s.io), each in the whole cluster; and `watch` on the CRDs of the last three
 * (`customresourcedefinitions`, apiextensions.k8s.io, of these names), without which it takes 5 to 10 s to notice that they are
 * installed. Nothing else.
 */
export function followCluster(client: Client, options: FollowOptions = {}): ClusterFeed {
  return new Feed(client, options);
}

class Feed implements ClusterFeed {
  readonly first: ClusterFeed["first"];
  readonly #options: FollowOptions;
  readonly #stop = new AbortController();
  readonly #reflectors: readonly Pick<Reflector<unknown>, "status" | "synced" | "run">[];
  readonly #namespaces: Reflector<WithUid<Namespace>>;
  readonly #nodes: Reflector<WithUid<Node>>;
  readonly #pods: Reflector<Pod>;
  readonly #policies: readonly Reflector<FollowedPolicy>[];
  readonly #assembly: Assembly;
  /** Before the first world is given, the reflectors' own stores are all there is. */
  #started = false;
  #queue: Change[] = [];
  readonly #problems = new Map<string, PolicyProblem>();
  /** Of the oldest change in the queue; null: it is empty, or not complete. */
  #receivedAt: number | null = null;
  #wake: (() => void) | null = null;

  constructor(client: Client, options: FollowOptions) {
    this.#options = options;
    this.#assembly = new Assembly((change, problem) => this.#push(change, problem), options.mixedGenerations ?? false);
    const assembly = this.#assembly;
    const { timing = realTiming, watchSeconds, policies = allPolicies } = options;
    const reachability = new Reachability(timing, this.#stop.signal);
    const reflectorOptions: ReflectorOptions = {
      timing,
      reachability,
      ...(watchSeconds === undefined ? {} : { watchSeconds }),
    };
    const follow = <T>(resource: Resource<T>, put: Sink<T>["put"], remove: Sink<T>["remove"]): Reflector<T> =>
      new Reflector(resource, client, this.#sink(put, remove), reflectorOptions);
    this.#namespaces = follow(
      namespaceResource,
      (_, { object }) => assembly.putNamespace(object),
      (name) => assembly.removeNamespace(name),
    );
    this.#nodes = follow(
      nodeResource,
      (_, { object }) => assembly.putNode(object),
      (name) => assembly.removeNode(name),
    );
    this.#pods = follow(
      podResource(),
      (key, pod, before) => assembly.putPod(key, pod, before === undefined),
      (key, pod) => assembly.removePod(key, pod),
    );
    this.#policies = policies.map((kind) =>
      follow(
        policyResource(kind),
        (_, followed) => assembly.putPolicy(followed),
        (_, followed) => assembly.removePolicy(followed),
      ),
    );
    this.#reflectors = [this.#namespaces, this.#nodes, ...this.#policies, this.#pods];
    for (const reflector of this.#reflectors) void reflector.run(this.#stop.signal);
    this.first = this.#start();
    this.first.catch(() => undefined);
  }

  async next(signal?: AbortSignal): Promise<FeedBatch> {
    await this.first;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#stop.signal.aborted) throw closed();
      if (this.#receivedAt !== null) return this.#take(this.#receivedAt);
      await this.#changed(signal);
    }
  }

  status(): readonly SourceStatus[] {
    return this.#reflectors.map(({ status }) => status);
  }

  close(): void {
    this.#stop.abort(closed());
    this.#wake?.();
  }

  async #start(): Promise<{ world: World; problems: readonly PolicyProblem[] }> {
    const stopped = new Promise<never>((_, reject) => {
      this.#stop.signal.addEventListener("abort", () => reject(closed()), { once: true });
    });
    await Promise.race([Promise.all(this.#reflectors.map(({ synced }) => synced)), stopped]);
    this.#started = true;
    for (const { object } of this.#namespaces.objects.values()) this.#assembly.putNamespace(object);
    for (const { object } of this.#nodes.objects.values()) this.#assembly.putNode(object);
    for (const { objects } of this.#policies) for (const object of objects.values()) this.#assembly.putPolicy(object);
    for (const [key, pod] of this.#pods.objects) this.#assembly.putPod(key, pod, true);
    const changes = this.#queue;
    const problems = [...this.#problems.values()];
    this.#clear();
    return { world: this.#world(changes), problems };
  }

  #world(changes: readonly Change[]): World {
    const nodes: Node[] = [];
    const namespaces: Namespace[] = [];
    const pods: Pod[] = [];
    const policies: Policy[] = [];
    for (const change of changes) {
      if (change.op !== "put") continue;
      if (change.kind === "node") nodes.push(change.object);
      else if (change.kind === "namespace") namespaces.push(change.object);
      else if (change.kind === "pod") pods.push(change.object);
      else if (change.kind === "policy") policies.push(change.object);
    }
    const podCIDRs = new Set([...nodes.flatMap((node) => node.podCIDRs), ...(this.#options.podCIDRs ?? [])]);
    const cluster = { podCIDRs: [...podCIDRs], serviceCIDRs: this.#options.serviceCIDRs ?? [] };
    return { nodes, namespaces, pods, services: [], policies, cluster };
  }

  #sink<T>(put: Sink<T>["put"], remove: Sink<T>["remove"]): Sink<T> {
    return {
      put: (key, object, before) => {
        if (this.#started) put(key, object, before);
      },
      remove: (key, object) => {
        if (this.#started) remove(key, object);
      },
      flush: (receivedAt) => this.#flush(receivedAt),
      unreadable: (resource, why) => this.#options.warn?.(`${resource}: ${why} is left out`),
    };
  }

  #push(change: Change, problem: PolicyProblem | null): void {
    this.#queue.push(change);
    if (change.kind !== "policy") return;
    const key = change.op === "put" ? keyOf(change.object) : change.key;
    if (problem === null) this.#problems.delete(key);
    else this.#problems.set(key, problem);
  }

  #flush(receivedAt: number): void {
    if (this.#queue.length === 0) return;
    this.#receivedAt ??= receivedAt;
    this.#wake?.();
  }

  #take(receivedAt: number): FeedBatch {
    const batch = { changes: this.#queue, problems: [...this.#problems.values()], receivedAt };
    this.#clear();
    return batch;
  }

  #clear(): void {
    this.#queue = [];
    this.#problems.clear();
    this.#receivedAt = null;
  }

  async #changed(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const aborted = (): void => resolve();
    signal?.addEventListener("abort", aborted);
    await promise;
    signal?.removeEventListener("abort", aborted);
    this.#wake = null;
  }
}

const keyOf = ({ kind, metadata: { namespace, name } }: Policy): string => policyKey({ kind, namespace, name });

const closed = (): Error => new NetworkError("the cluster is not followed any more");
