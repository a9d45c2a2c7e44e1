/**
 * Brings the changes of `test/fire` into the kernel as a cluster does: through an API server and the agents of its nodes, which are
 * killed now and then.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Manifest } from "../../bench/worlds.ts";
import { openClient } from "../../src/kube/client.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import type { Policy } from "../../src/policy/model/policy.ts";
import { type Node, namespacedName, type Pod } from "../../src/policy/model/world.ts";
import type { Driver, FireStage } from "../fire/fire.ts";
import { now } from "../fire/native.ts";
import { Changes, nodes } from "../fire/scenario.ts";
import { crd } from "../kube/crd.ts";
import { LightAgent } from "../light/agent.ts";
import { Api, isNotFound } from "../light/api.ts";
import { ControlPlane } from "../light/control-plane.ts";
import { runningStatus } from "../light/crowd.ts";
import { storeObjects } from "../light/store.ts";
import { tableDifferences } from "./kernel-state.ts";
import { type MarkedKind, Marks } from "./marks.ts";

export interface AgentDriverOptions {
  /** One step of so many kills an agent in the middle. */
  readonly killEvery: number;
  /** What runs the agent; see `LightAgent`. */
  readonly command?: readonly string[];
  readonly say?: (line: string) => void;
}

function kindOf(change: Change): MarkedKind {
  if (change.kind === "pod" || change.kind === "namespace") return change.kind;
  if (change.kind !== "policy") throw new Error(`no way to store a ${change.kind}`);
  const kind = change.op === "put" ? change.object.kind : change.key.split("/")[0];
  if (kind !== "NetworkPolicy" && kind !== "ClusterNetworkPolicy") throw new Error(`no way to store a ${kind}`);
  return kind;
}

/**
 * What agents see one after the other must never say less than before and after: policies that are written in other ways come
 * with their additions first, and what they replace goes last.
 */
const inSafeOrder = (changes: readonly Change[]): readonly Change[] => [
  ...changes.filter(({ op }) => op === "put").reverse(),
  ...changes.filter(({ op }) => op === "remove"),
];

const apiAddress = "192.0.2.1";
const patience = 180_000; // ms

export class AgentDriver implements Driver {
  readonly #stage: FireStage;
  readonly #options: AgentDriverOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "bulkhead-fire-"));
  readonly #controlPlane: ControlPlane;
  readonly #api: Api;
  readonly #leave: () => void;
  readonly #agents: LightAgent[] = [];
  readonly #changes: Changes;
  readonly #marks = new Marks();
  readonly #uids = new Map<string, string>();
  #steps = 0;
  kills = 0;

  static async start(stage: FireStage, options: AgentDriverOptions): Promise<AgentDriver> {
    const driver = new AgentDriver(stage, options);
    try {
      await driver.#start();
      return driver;
    } catch (error) {
      await driver.stop();
      throw error;
    }
  }

  private constructor(stage: FireStage, options: AgentDriverOptions) {
    this.#stage = stage;
    this.#options = options;
    this.#changes = new Changes(stage.world, stage.seed);
    this.#leave = stage.topology.outside.stay();
    this.#controlPlane = new ControlPlane({ folder: this.#folder, address: apiAddress });
    this.#api = new Api(openClient(this.#controlPlane.connection));
  }

  async step(): Promise<number> {
    // Watches of different kinds are not in one order: the changes of one kind are in force before those of the next come.
    const groups = Map.groupBy(this.#changes.nextApart().flatMap(inSafeOrder), kindOf);
    let isFirst = true;
    for (const [kind, changes] of groups) {
      for (const change of [...changes, ...this.#marks.next(kind)]) await this.#write(change);
      if (isFirst && ++this.#steps % this.#options.killEvery === 0) await this.#kill();
      isFirst = false;
      await this.#inForce();
    }
    return groups.size;
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents) await agent.program.kill();
    await this.#controlPlane.stop();
    this.#api.close();
    this.#leave();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { world, plan, classes, histories } = this.#stage;
    await this.#controlPlane.start();
    await this.#api.client.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    const policies = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";
    for (const deadline = now() + patience; ; await sleep(100)) {
      const isServed = await this.#api.client.get(policies).then(
        () => true,
        () => false,
      );
      if (isServed) break;
      if (now() > deadline) throw new Error("the API server does not serve ClusterNetworkPolicies");
    }
    await storeObjects(this.#controlPlane.etcdUrl, world.nodes.map(nodeManifest));
    const made: Change[] = [
      ...world.namespaces.map((object): Change => ({ op: "put", kind: "namespace", object })),
      ...world.policies.map((object): Change => ({ op: "put", kind: "policy", object })),
      ...world.pods.map((object): Change => ({ op: "put", kind: "pod", object })),
      ...this.#marks.first(),
    ];
    const start = made.map((change) => this.#identified(change));
    for (const change of start) await this.#store(change);
    plan.apply(start);
    for (const history of histories) history.begin(plan, classes, 0);
    for (const i of nodes.keys()) this.#launch(i);
    await Promise.all(this.#agents.map((agent) => agent.ready(patience)));
    await this.#inForce(0);
  }

  #held(node: string): string[] {
    const ips = this.#stage.world.pods.filter((pod) => pod.node === node).flatMap((pod) => pod.ips);
    return ips.map((ip) => `${ip}/${ip.includes(":") ? 128 : 32}`);
  }

  #launch(i: number): void {
    const node = nodes[i]!;
    const { command } = this.#options;
    const agent = new LightAgent({
      node,
      netns: this.#stage.topology.node(node),
      server: this.#controlPlane.connection.server,
      serviceAccount: this.#controlPlane.serviceAccount,
      folder: this.#folder,
      args: this.#held(node).flatMap((cidr) => ["--pod-cidr", cidr]),
      ...(command === undefined ? {} : { command }),
    });
    this.#agents[i] = agent;
    agent.program.start();
  }

  async #kill(): Promise<void> {
    const i = this.kills % nodes.length;
    await sleep(Math.random() * 30);
    await this.#agents[i]!.program.kill();
    this.kills++;
    this.#launch(i);
  }

  /** One write is one plan: what agents put in force are these plans, some of them perhaps never alone. */
  async #write(made: Change): Promise<void> {
    const { plan, classes, histories } = this.#stage;
    const change = this.#identified(made);
    plan.apply([change]);
    for (const history of histories) history.begin(plan, classes, now());
    await this.#store(change);
  }

  /** Waits until every table is that of the plan. */
  async #inForce(at?: number): Promise<void> {
    const { plan, histories, runners, committed } = this.#stage;
    await Promise.all(
      nodes.map(async (node, i) => {
        const deadline = now() + patience;
        for (;;) {
          const wrong = await tableDifferences(plan, { node, held: this.#held(node), runner: runners[i]! });
          if (wrong.length === 0) break;
          if (now() > deadline)
            throw new Error(`${node}'s table does not become what the plan says: ${wrong.join("\n").slice(0, 1000)}`);
          await sleep(3);
        }
        histories[i]!.done(at ?? now());
        committed();
      }),
    );
  }

  /** A pod that comes again is another one: the plan must know it by the same uid as the agents. */
  #identified(change: Change): Change {
    if (change.kind !== "pod") return change;
    if (change.op === "put") {
      const { uid } = this.#identity(namespacedName(change.object));
      return { ...change, object: { ...change.object, uid } };
    }
    this.#uids.delete(change.key);
    return change;
  }

  async #store(change: Change): Promise<void> {
    const { etcdUrl } = this.#controlPlane;
    if (change.kind === "pod") {
      if (change.op === "put") {
        await storeObjects(etcdUrl, [this.#pod(change.object)]);
        return;
      }
      const [namespace, name] = change.key.split("/") as [string, string];
      return this.#api.delete({ kind: "Pod", namespace, name });
    }
    if (change.kind === "namespace" && change.op === "put") {
      const { name, labels } = change.object;
      const metadata = { name, labels, ...this.#identity(name) };
      const spec = { finalizers: ["kubernetes"] };
      await storeObjects(etcdUrl, [
        { apiVersion: "v1", kind: "Namespace", metadata, spec, status: { phase: "Active" } },
      ]);
      return;
    }
    if (change.kind !== "policy") throw new Error(`no way to store this ${change.kind}`);
    if (change.op === "put") return this.#storePolicy(change.object);
    const [kind, namespace, name] = change.key.split("/") as [string, string, string];
    return this.#api.delete({ kind, name, ...(namespace === "" ? {} : { namespace }) });
  }

  async #storePolicy({ kind, metadata: { name, namespace }, spec }: Policy): Promise<void> {
    if (kind === "NetworkPolicy") {
      const metadata = { name, namespace, ...this.#identity(`${kind} ${namespace}/${name}`) };
      await storeObjects(this.#controlPlane.etcdUrl, [{ apiVersion: "networking.k8s.io/v1", kind, metadata, spec }]);
      return;
    }
    const object = {
      apiVersion: "policy.networking.k8s.io/v1alpha2",
      kind,
      metadata: { name },
      spec,
    } as unknown as Manifest;
    try {
      await this.#api.patch({ kind, name }, object);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#api.create(object);
    }
  }

  #pod(pod: Pod): Manifest {
    const { namespace, name, labels, ips, node } = pod;
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name, labels, ...this.#identity(namespacedName(pod)) },
      spec: { nodeName: node, containers: [{ name: "main", image: "registry.example/app:1.0.0" }] },
      status: runningStatus(ips, ["192.0.2.9"]),
    };
  }

  /** One and the same as long as the object is there. */
  #identity(key: string): { readonly uid: string; readonly creationTimestamp: string } {
    const uid = this.#uids.get(key) ?? randomUUID();
    this.#uids.set(key, uid);
    return { uid, creationTimestamp: "2026-01-01T00:00:00Z" };
  }
}

const nodeManifest = ({ name, labels, ips }: Node): Manifest => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name, labels, uid: randomUUID(), creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: {},
  status: { addresses: ips.map((address) => ({ type: "InternalIP", address })) },
});
