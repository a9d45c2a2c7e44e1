/**
 * A real Kubernetes on this machine: control plane and nodes are machines of namespaces (see `Machine`), with real pods.
 *
 *     const cluster = await startCluster({ nodes: 2 });
 *     await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
 *     await cluster.nodes[0]!.exec(["nft", "list", "tables"]);
 *     await cluster.apiserver.restart();
 *     await cluster.down();
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Api } from "./api.ts";
import { assetFolder, assetPath, clusterFolder, hasAsset } from "./assets.ts";
import { makeCgroup, removeCgroup } from "./cgroups.ts";
import { apiserverNames, type ControlPlane, controlPlane, serverUrl } from "./control-plane.ts";
import type { Daemon } from "./daemon.ts";
import { Machine } from "./machine.ts";
import { linkNode, makeBridge } from "./network.ts";
import { ClusterNode, nodeName, nodeObject } from "./node.ts";
import { type ClusterOptions, defaults } from "./options.ts";
import { makeCredentials } from "./pki.ts";
import { identify, isAlive, type ProcessId } from "./processes.ts";
import { RunError, type RunOptions, until } from "./run.ts";

/** In the cluster's folder. */
interface Note {
  readonly options: ClusterOptions;
  /** Who started it; the cluster is a leftover when it is owned and this one is gone. */
  readonly owner: ProcessId | null;
}

const noteName = "cluster.json";

export class Cluster {
  readonly options: ClusterOptions;
  /** Credentials, logs and the machines' disks. */
  readonly folder: string;
  /** For programs that run in `control`'s network; see `kubectl`. */
  readonly kubeconfig: string;
  /** The control plane's machine, which is also the world outside: it routes to every pod. */
  readonly control: Machine;
  readonly nodes: readonly ClusterNode[];
  readonly #plane: ControlPlane;
  #api: Api | undefined;

  private constructor(options: ClusterOptions, control: Machine, machines: readonly Machine[]) {
    this.options = options;
    this.folder = folderOf(options.name);
    this.kubeconfig = join(this.folder, "kubeconfig");
    this.control = control;
    const power = { reboot: (node: ClusterNode) => this.#reboot(node) };
    this.nodes = machines.map(
      (machine, i) => new ClusterNode(machine, i + 1, this.folder, cgroupOf(options.name, i + 1), options, power),
    );
    this.#plane = controlPlane(control, this.folder, options);
  }

  get name(): string {
    return this.options.name;
  }

  get etcd(): Daemon {
    return this.#plane.etcd;
  }

  get apiserver(): Daemon {
    return this.#plane.apiserver;
  }

  get controllers(): Daemon {
    return this.#plane.controllers;
  }

  get scheduler(): Daemon {
    return this.#plane.scheduler;
  }

  /** See `startCluster`. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const folder = folderOf(options.name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const note: Note = { options, owner: options.owned ? identify(process.pid) : null };
    writeFileSync(join(folder, noteName), JSON.stringify(note));
    const indexes = Array.from({ length: options.nodes }, (_, i) => i + 1);
    for (const index of indexes) makeCgroup(cgroupOf(options.name, index));
    const [control, ...machines] = await Promise.all([
      Machine.boot(controlName, join(folder, controlName), options),
      ...indexes.map((index) => Machine.boot(nodeName(index), join(folder, nodeName(index)), options)),
      makeCredentials(folder, ...apiserverNames(options)),
    ]).then((all) => all.filter((one) => one !== undefined));
    const cluster = new Cluster(options, control!, machines);
    await makeBridge(control!);
    for (const node of cluster.nodes) await cluster.#link(node);
    await cluster.#startAll();
    return cluster;
  }

  /** A cluster that another program started. @throws Error that says what to do when there is none */
  static attach(name: string = defaults.name): Cluster {
    const note = readNote(name);
    if (note === null) throw new Error(`there is no cluster "${name}": start one with test/cluster/up`);
    const machine = (host: string): Machine => {
      const one = Machine.attach(host, join(folderOf(name), host));
      if (one === null)
        throw new Error(`cluster "${name}" is not complete: ${host} is down. test/cluster/up starts it anew`);
      return one;
    };
    const indexes = Array.from({ length: note.options.nodes }, (_, i) => i + 1);
    return new Cluster(note.options, machine(controlName), indexes.map(nodeName).map(machine));
  }

  /** Requests without kubectl, with the moment of the answer. */
  get api(): Api {
    this.#api ??= new Api(this.folder, serverUrl(this.options), this.control.netns);
    return this.#api;
  }

  /** Runs kubectl as cluster-admin; `-f` takes files of the host, `-f -` is `input`. @throws RunError with kubectl's words */
  kubectl(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return this.control.execInNetwork([assetPath("kubectl"), `--kubeconfig=${this.kubeconfig}`, ...args], options);
  }

  async apply(...objects: readonly object[]): Promise<void> {
    await this.kubectl(["apply", "-f", "-"], { input: objects.map((one) => JSON.stringify(one)).join("\n---\n") });
  }

  /** An object, or a list, as the API server has it now. */
  async get<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl(["get", "-o", "json", ...args])) as T;
  }

  async importImage(archive: string): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.importImage(archive)));
  }

  /** Until the API server says that it is ready. */
  async apiserverReady(): Promise<void> {
    await until("the API server", () => this.kubectl(["get", "--raw", "/readyz"]), { every: 50 }).catch(
      (error: Error) => {
        throw new Error(`${error.message}\n${this.apiserver.tail()}`);
      },
    );
  }

  async nodesReady(within = 60_000): Promise<void> {
    const names = this.nodes.map(({ name }) => `node/${name}`);
    const wait = ["wait", "--for=condition=Ready", `--timeout=${Math.ceil(within / 1000)}s`, ...names];
    await this.kubectl(wait, { within: within + 5_000 }).catch((error: unknown) => {
      const logs = this.nodes.map((node) => `${node.name}: ${node.kubelet.tail(3)}`).join("\n");
      throw new Error(`${error instanceof RunError ? error.message : String(error)}\n${logs}`);
    });
  }

  /** Kills all of it at once, and removes what it had. */
  down(): Promise<void> {
    this.#api?.close();
    return remove(this.name);
  }

  async #startAll(): Promise<void> {
    const { nodes, options } = this;
    for (const node of nodes) node.configure(this.folder, options);
    await this.etcd.start();
    await this.apiserver.start();
    await this.apiserverReady();
    await Promise.all([this.controllers.start(), this.scheduler.start()]);
    if (nodes.length > 0) await this.apply(...nodes.map(({ index }) => nodeObject(index, options)));
    await Promise.all(nodes.map((node) => node.start()));
    if (options.crds !== null)
      await this.kubectl(["apply", "--server-side", "-f", join(assetFolder, "crds", options.crds)]);
    if (nodes.length > 0) await this.nodesReady();
    await until("the default service account", () => this.kubectl(["get", "serviceaccount", "default"]));
  }

  #link(node: ClusterNode): Promise<void> {
    const others = this.nodes.map(({ index }) => index).filter((index) => index !== node.index);
    return linkNode(this.control, node.machine, node.index, others, this.options.bridgeNetfilter);
  }

  async #reboot(node: ClusterNode): Promise<void> {
    await node.machine.reboot(this.options);
    await this.#link(node);
    await node.start([]); // the images are on its disk
  }
}

const controlName = "control";
const folderOf = (name: string): string => join(clusterFolder, name);
const cgroupOf = (name: string, index: number): string => `bulkhead-${name}-${nodeName(index)}`;

function readNote(name: string): Note | null {
  const path = join(folderOf(name), noteName);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Note) : null;
}

/** Of these: clusters whose owner is gone. */
const leftovers = (): readonly string[] =>
  (existsSync(clusterFolder) ? readdirSync(clusterFolder) : []).filter((name) => {
    const note = readNote(name);
    return note !== null && note.owner !== null && !isAlive(note.owner);
  });

/** Ends a cluster, running or half dead, and removes what is left of it. */
async function remove(name: string): Promise<void> {
  const folder = folderOf(name);
  const note = readNote(name);
  if (note === null) return;
  const indexes = Array.from({ length: note.options.nodes }, (_, i) => i + 1);
  await Promise.all(
    [controlName, ...indexes.map(nodeName)].map((host) => Machine.attach(host, join(folder, host))?.powerOff()),
  );
  for (const index of indexes) await removeCgroup(cgroupOf(name, index));
  rmSync(folder, { recursive: true, force: true });
}

/** Ends the cluster of this name, if there is one. */
export const stopCluster = (name: string = defaults.name): Promise<void> => remove(name);

const controlPrograms = ["init", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];
const runtime = ["containerd", "containerd-shim-runc-v2", "ctr"];
const nodeAssets = ["kubelet", "kube-proxy", ...runtime, "pod-images/pause.tar", "pod-images/agnhost.tar"];

/** Programs and images that a cluster needs and that are not there. */
export const missingAssets = (nodes: number = defaults.nodes): readonly string[] =>
  [...controlPrograms, ...(nodes > 0 ? nodeAssets : [])].filter((name) => !hasAsset(name));

/**
 * Starts a cluster and waits until its nodes are ready. A cluster of the same name, and what killed runs left, is removed
 * first. Whoever starts one without `owned` has to call `down`.
 * @throws Error that says what is missing or what failed, with the last lines of the log concerned
 */
export async function startCluster(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const all = { ...defaults, ...options };
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(all.name))
    throw new Error(`"${all.name}" is no name for a cluster: use a-z, 0-9 and -`);
  const missing = missingAssets(all.nodes);
  if (missing.length > 0)
    throw new Error(`missing for a cluster: ${missing.join(", ")}; test/cluster/build makes them`);
  for (const name of new Set([all.name, ...leftovers()])) await remove(name);
  try {
    return await Cluster.start(all);
  } catch (error) {
    await remove(all.name);
    throw error;
  }
}
