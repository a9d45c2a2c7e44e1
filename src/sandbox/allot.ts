/**
 * Completes a world so that it can be built: every pod on a node, every node, pod and Service with an address, templates
 * replaced by pods. Engine and reference judge the completed world, so that nothing invented here can part them from the kernel.
 */
import {
  type Address,
  type Cidr,
  cidrRange,
  type Family,
  families,
  formatAddress,
  formatCidr,
  parseAddress,
  parseCidr,
} from "../net/address.ts";
import { isFinished, type Node, namespacedName, type Pod, type Service, type World } from "../policy/model/world.ts";
import { SandboxError } from "./error.ts";

export interface AllotOptions {
  /** Pods that stand for a workload; default 2. */
  readonly podsPerWorkload?: number;
  /** Families that allotted addresses may have; default both. */
  readonly families?: readonly Family[];
}

export interface Allotted {
  readonly world: World;
  /** What was added or left out, one sentence each. */
  readonly notes: readonly string[];
}

const invented = {
  nodes: { IPv4: "172.18.0.0/16", IPv6: "fd00:172:18::/64" },
  pods: { IPv4: "10.244.0.0/16", IPv6: "fd00:10:244::/64" },
  services: { IPv4: "10.96.0.0/16", IPv6: "fd00:10:96::/112" },
} as const;

/** @throws SandboxError when two live objects share an address */
export function allot(world: World, options: AllotOptions = {}): Allotted {
  const { podsPerWorkload = 2, families: wanted = families } = options;
  const notes: string[] = [];
  const pool = new Pool(world, wanted);

  const nodes = completeNodes(world, pool, notes);
  const live = world.pods.filter((pod) => !isFinished(pod));
  const finished = world.pods.filter((pod) => isFinished(pod) && !pod.template);
  const chosen = chooseReplicas(live, podsPerWorkload, nodes.length, notes);
  const placed = place(chosen, nodes, notes);
  const pods = addressPods(placed, nodes, world, pool, notes);
  const services = addressServices(world, pool, notes);
  return { world: { ...world, nodes, pods: [...pods, ...finished], services }, notes };
}

/** Hands out addresses that nobody in the world has. */
class Pool {
  readonly #taken = new Map<string, string>();
  readonly #next = new Map<string, bigint>();
  readonly families: readonly Family[];

  constructor(world: World, wanted: readonly Family[]) {
    this.families = wanted;
    for (const node of world.nodes) for (const ip of node.ips) this.#claim(ip, `node ${node.name}`);
    for (const pod of world.pods)
      if (!pod.hostNetwork && !isFinished(pod)) for (const ip of pod.ips) this.#claim(ip, `pod ${namespacedName(pod)}`);
    for (const service of world.services)
      for (const ip of service.clusterIPs) this.#claim(ip, `Service ${namespacedName(service)}`);
  }

  /** The next free address of the first range of `family` that has one. */
  take(family: Family, ranges: readonly Cidr[], fallback: string): string {
    const own = ranges.filter((range) => range.family === family);
    const tried = own.length > 0 ? own : [parseCidr(fallback)!.cidr];
    for (const cidr of tried) {
      const range = cidrRange(cidr);
      const key = `${family}|${cidr.value}|${cidr.prefix}`;
      // The first and last address of a range are left free: routers and humans think of them as special.
      let value = this.#next.get(key) ?? range.start + 1n;
      while (value < range.end && this.#taken.has(keyOf({ family, value }))) value++;
      this.#next.set(key, value + 1n);
      if (value >= range.end) continue;
      this.#taken.set(keyOf({ family, value }), "");
      return formatAddress({ family, value });
    }
    throw new SandboxError(
      `no free address is left in ${tried.map(formatCidr).join(", ")}`,
      "Give a larger range with --pod-cidr or --service-cidr.",
    );
  }

  #claim(text: string, owner: string): void {
    const address = parseAddress(text);
    if (address === null) throw new SandboxError(`${owner} has an address that is none: ${text}`);
    const other = this.#taken.get(keyOf(address));
    if (other !== undefined && other !== owner)
      throw new SandboxError(`${other} and ${owner} have the same address, ${text}`);
    this.#taken.set(keyOf(address), owner);
  }
}

const keyOf = ({ family, value }: Address): string => `${family}|${value}`;

const cidrs = (texts: readonly string[]): Cidr[] =>
  texts.map((text) => parseCidr(text)?.cidr).filter((cidr) => cidr !== undefined);

function completeNodes(world: World, pool: Pool, notes: string[]): Node[] {
  const known = new Set(world.nodes.map((node) => node.name));
  const live = world.pods.filter((pod) => !isFinished(pod));
  const named = new Set(live.map((pod) => pod.node).filter((name) => name !== null && !known.has(name)));
  const make = (name: string): Node => ({
    name,
    labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" },
    ips: [],
    podCIDRs: [],
    source: null,
  });
  const added = [...named].filter((name) => name !== null).map(make);
  if (added.length > 0) notes.push(`Nodes that only pods name were added: ${list(added.map((node) => node.name))}.`);
  if (added.length + world.nodes.length === 0) {
    added.push(make("node-1"), make("node-2"));
    notes.push("No node is given: two were added, node-1 and node-2.");
  }
  const addressed: string[] = [];
  const nodes = [...world.nodes, ...added].map((node) => {
    if (node.ips.length > 0) return node;
    const ips = pool.families.map((family) => pool.take(family, [], invented.nodes[family]));
    addressed.push(`${node.name} ${ips.join(" ")}`);
    return { ...node, ips };
  });
  if (addressed.length > 0) notes.push(`Nodes without an address got one: ${list(addressed)}.`);
  return nodes;
}

/** At most `limit` pods a workload; templates become pods. */
function chooseReplicas(pods: readonly Pod[], limit: number, nodeCount: number, notes: string[]): Pod[] {
  const byWorkload = Map.groupBy(pods, (pod) => `${pod.workload.kind} ${pod.namespace}/${pod.workload.name}`);
  const templates: string[] = [];
  const shortened: string[] = [];
  const out: Pod[] = [];
  for (const [workload, members] of byWorkload) {
    const real = members.filter((pod) => !pod.template);
    if (real.length > limit) shortened.push(`${workload} (${real.length})`);
    out.push(...spread(real, limit));
    for (const template of members.filter((pod) => pod.template)) {
      const most = template.workload.kind === "DaemonSet" ? nodeCount : (template.replicas ?? limit);
      const count = Math.max(1, Math.min(limit, most));
      templates.push(template.replicas === 0 ? `${workload} (replicas: 0)` : workload);
      for (let i = 0; i < count; i++) out.push({ ...template, name: `${template.name}-${i}`, template: false });
    }
  }
  if (templates.length > 0) notes.push(`Pods were made from templates, at most ${limit} each: ${list(templates)}.`);
  if (shortened.length > 0) notes.push(`Only ${limit} pods each were built of: ${list(shortened)}.`);
  return out;
}

/** The first `limit` pods, from as many nodes as can be. */
function spread(pods: readonly Pod[], limit: number): readonly Pod[] {
  if (pods.length <= limit) return pods;
  const chosen: Pod[] = [];
  const seen = new Set<string | null>();
  for (const pod of pods) {
    if (chosen.length < limit && !seen.has(pod.node)) {
      chosen.push(pod);
      seen.add(pod.node);
    }
  }
  for (const pod of pods) if (chosen.length < limit && !chosen.includes(pod)) chosen.push(pod);
  return chosen;
}

function place(pods: readonly Pod[], nodes: readonly Node[], notes: string[]): Pod[] {
  let next = 0;
  const counts = new Map<string, number>();
  const placed = pods.map((pod) => {
    if (pod.node !== null) return pod;
    const node = nodes[next++ % nodes.length]!;
    counts.set(node.name, (counts.get(node.name) ?? 0) + 1);
    return { ...pod, node: node.name };
  });
  if (counts.size > 0)
    notes.push(`Pods without a node were placed: ${list([...counts].map(([node, count]) => `${count} on ${node}`))}.`);
  return placed;
}

function addressPods(pods: readonly Pod[], nodes: readonly Node[], world: World, pool: Pool, notes: string[]): Pod[] {
  const nodeByName = new Map(nodes.map((node) => [node.name, node]));
  const all = cidrs([...world.cluster.podCIDRs, ...world.nodes.flatMap((node) => node.podCIDRs)]);
  const addressed: string[] = [];
  const out = pods.map((pod) => {
    const node = nodeByName.get(pod.node!)!;
    if (pod.hostNetwork) return { ...pod, ips: node.ips };
    if (pod.ips.length > 0) return pod;
    const own = cidrs(node.podCIDRs);
    // A cluster whose ranges are of one family has pods of that family only.
    const wanted = pool.families.filter((family) => all.length === 0 || all.some((cidr) => cidr.family === family));
    const ips = wanted.map((family) =>
      pool.take(family, own.some((cidr) => cidr.family === family) ? own : all, invented.pods[family]),
    );
    addressed.push(`${namespacedName(pod)} ${ips.join(" ")}`);
    return { ...pod, ips };
  });
  if (addressed.length > 0) notes.push(`Pods without an address got one: ${list(addressed)}.`);
  return out;
}

function addressServices(world: World, pool: Pool, notes: string[]): Service[] {
  const ranges = cidrs(world.cluster.serviceCIDRs);
  const addressed: string[] = [];
  const out = world.services.map((service) => {
    if (service.clusterIPs.length > 0 || service.headless || service.type === "ExternalName") return service;
    const clusterIPs = pool.families.map((family) => pool.take(family, ranges, invented.services[family]));
    addressed.push(`${namespacedName(service)} ${clusterIPs.join(" ")}`);
    return { ...service, clusterIPs };
  });
  if (addressed.length > 0) notes.push(`Services without a cluster address got one: ${list(addressed)}.`);
  return out;
}

const listed = 4;

/** The first few, and how many more. */
function list(items: readonly string[]): string {
  if (items.length <= listed) return items.join(", ");
  return `${items.slice(0, listed).join(", ")} and ${items.length - listed} more`;
}
