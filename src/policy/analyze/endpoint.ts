/**
 * The ends that questions are about, as the plan sees them: an endpoint is everything that is judged alike, so that an
 * answer for one of its addresses is the answer for all of them.
 */
import {
  type Address,
  AddressSet,
  type Family,
  families,
  formatAddress,
  parseAddress,
  parseCidr,
} from "../../net/address.ts";
import type { NetClass, PeerClass, Plan, PolicyClass } from "../compile/plan.ts";
import type { Direction, End } from "../model/verdict.ts";
import { type ContainerPort, isFinished, type Node, type Pod } from "../model/world.ts";
import { podReference } from "./reference.ts";

/** How an end looks to rules of either direction, at one of its addresses; `ingress` = as the source. */
export interface Face {
  /** null: a pod that has no address yet. */
  readonly address: string | null;
  readonly peers: Readonly<Record<Direction, PeerClass>>;
}

interface EndpointBase {
  /** Names the single end in examples: a pod, a node, an address. */
  readonly ref: string;
  /** Named container ports that port names in a question are looked up in. */
  readonly ports: readonly ContainerPort[];
  /** A family without faces is one that the end does not have. */
  readonly faces: Readonly<Record<Family, readonly Face[]>>;
}

export interface PodEndpoint extends EndpointBase {
  readonly kind: "pod";
  readonly pod: Pod;
  readonly subject: Readonly<Record<Direction, PolicyClass>>;
}

export interface NodeEndpoint extends EndpointBase {
  readonly kind: "node";
  readonly node: Node;
  /** A hostNetwork pod on an unknown node: on this one or another, never on the peer's. */
  readonly elsewhere: boolean;
}

export interface AddressEndpoint extends EndpointBase {
  readonly kind: "addresses";
  readonly set: AddressSet;
}

export type Endpoint = PodEndpoint | NodeEndpoint | AddressEndpoint;

/** The families over which an end with these addresses can be reached; none known: both. */
export function familiesOf(ips: readonly string[]): readonly Family[] {
  if (ips.length === 0) return families;
  const known = new Set(ips.map((ip) => parseAddress(ip)?.family));
  return families.filter((family) => known.has(family));
}

const byFamily = <T>(of: (family: Family) => T): Record<Family, T> => ({ IPv4: of("IPv4"), IPv6: of("IPv6") });

/** A running pod with an address of its own network; `only` keeps some of its families. */
export function podEndpoint(plan: Plan, pod: Pod, only: readonly Family[] = families): PodEndpoint {
  const own = familiesOf(pod.ips);
  const face = (family: Family): readonly Face[] => {
    if (!own.includes(family) || !only.includes(family)) return [];
    const peers = { egress: plan.podPeer(pod, family, "egress"), ingress: plan.podPeer(pod, family, "ingress") };
    return [{ address: pod.ips.find((ip) => parseAddress(ip)?.family === family) ?? null, peers }];
  };
  return {
    kind: "pod",
    ref: podReference(pod.namespace, pod.name),
    pod,
    ports: pod.ports,
    subject: { egress: plan.policyClass(pod, "egress"), ingress: plan.policyClass(pod, "ingress") },
    faces: byFamily(face),
  };
}

/** A node's host network. A node without known addresses could have any: every class of addresses is a face of it. */
export function nodeEndpoint(
  plan: Plan,
  node: Node,
  { ips = node.ips, ports = [], elsewhere = false, ref = `node/${node.name}` }: Partial<NodeOptions> = {},
): NodeEndpoint {
  const face = (address: string): Face => ({
    address,
    peers: { egress: plan.nodePeer(node, address, "egress"), ingress: plan.nodePeer(node, address, "ingress") },
  });
  const faces = byFamily((family) =>
    ips.length > 0
      ? ips.filter((ip) => parseAddress(ip)?.family === family).map(face)
      : addressEndpoints(plan, AddressSet.all).flatMap((endpoint) => endpoint.faces[family]),
  );
  return { kind: "node", ref, node, ports, faces, elsewhere };
}

interface NodeOptions {
  readonly ips: readonly string[];
  readonly ports: readonly ContainerPort[];
  readonly elsewhere: boolean;
  readonly ref: string;
}

/** A piece of the address space in which all addresses look the same to rules of both directions. */
export interface AddressClass {
  readonly set: AddressSet;
  readonly peers: Readonly<Record<Direction, PeerClass>>;
}

/** The common refinement of the splits of both directions; disjoint, covers everything. */
export function addressClasses(plan: Plan): readonly AddressClass[] {
  const pieces = new Map<string, { peers: AddressClass["peers"]; sets: AddressSet[] }>();
  for (const family of families) {
    const egress = labelledRanges(plan.netClasses("egress"), family);
    const ingress = labelledRanges(plan.netClasses("ingress"), family);
    let i = 0;
    let j = 0;
    // INVARIANT: both lists cover the family without gaps, so their current ranges always overlap
    while (i < egress.length && j < ingress.length) {
      const a = egress[i]!;
      const b = ingress[j]!;
      const start = a.start > b.start ? a.start : b.start;
      const end = a.end < b.end ? a.end : b.end;
      const key = `${a.peer.id}|${b.peer.id}`;
      const piece = pieces.get(key) ?? { peers: { egress: a.peer, ingress: b.peer }, sets: [] };
      pieces.set(key, piece);
      piece.sets.push(AddressSet.ofRanges(family, [{ start, end }]));
      if (a.end === end) i++;
      if (b.end === end) j++;
    }
  }
  return Array.from(pieces.values(), ({ peers, sets }) => ({ peers, set: unionOf(sets) }));
}

function labelledRanges(classes: readonly NetClass[], family: Family) {
  return classes
    .flatMap(({ set, peer }) => set.byFamily[family].map((range) => ({ ...range, peer })))
    .sort((a, b) => (a.start < b.start ? -1 : 1));
}

/** One normalisation for the whole list. */
function unionOf(sets: readonly AddressSet[]): AddressSet {
  const one = (family: Family) =>
    AddressSet.ofRanges(
      family,
      sets.flatMap((set) => set.byFamily[family]),
    );
  return one("IPv4").union(one("IPv6"));
}

/** The addresses of a set, none of which is a pod's or a node's, one endpoint for each class of them. */
export function addressEndpoints(plan: Plan, set: AddressSet): readonly AddressEndpoint[] {
  return addressClasses(plan).flatMap((one) => {
    const part = one.set.intersect(set);
    return part.isEmpty ? [] : [addressEndpoint(part, one.peers)];
  });
}

export function addressEndpoint(set: AddressSet, peers: AddressClass["peers"]): AddressEndpoint {
  const faces = byFamily((family): readonly Face[] => {
    const first = exampleAddress(set, family);
    return first === null ? [] : [{ address: formatAddress(first), peers }];
  });
  const ref = (faces.IPv4[0] ?? faces.IPv6[0])?.address ?? "";
  return { kind: "addresses", ref, set, ports: [], faces };
}

/** The address that stands for the set in examples: one that could be a host somewhere, if there is one. */
function exampleAddress(set: AddressSet, family: Family): Address | null {
  const first = set.intersect(hostAddresses).byFamily[family][0] ?? set.byFamily[family][0];
  return first === undefined ? null : { family, value: first.start };
}

/** The end of a flow at one face of an endpoint. */
export function endOf(endpoint: Endpoint, face: Face): End {
  if (endpoint.kind === "pod") return { kind: "pod", pod: endpoint.pod };
  if (endpoint.kind === "addresses") return { kind: "address", address: face.address! };
  return { kind: "node", node: face.address === null ? endpoint.node : { ...endpoint.node, ips: [face.address] } };
}

/** Pods that take part in traffic with an identity of their own. */
export const isEndpointPod = (pod: Pod): boolean => !pod.hostNetwork && !isFinished(pod);

/** Addresses of running pods and of nodes. */
export function takenAddresses(plan: Plan): AddressSet {
  const ips: string[] = [];
  for (const pod of plan.pods.values()) if (!isFinished(pod)) ips.push(...pod.ips);
  for (const node of plan.nodes.values()) ips.push(...node.ips);
  return AddressSet.ofAddresses(ips.map(parseAddress).filter((address) => address !== null));
}

const networks = (texts: readonly string[]): AddressSet =>
  AddressSet.ofCidrs(texts.map((text) => parseCidr(text)?.cidr).filter((cidr) => cidr !== undefined));

/** Unspecified, loopback, multicast and broadcast: no address of another host. 169.254.0.0/16 stays, it holds metadata services. */
const neverExternal = networks([
  "0.0.0.0/32",
  "127.0.0.0/8",
  "224.0.0.0/4",
  "255.255.255.255/32",
  "::/128",
  "::1/128",
  "ff00::/8",
]);

/** Unicast space that is given out: 1.0.0.1–126.255.255.255 and up to 223.255.255.255, 2000::/3, and unique local fc00::/7. */
const hostAddresses = networks(["0.0.0.0/0", "2000::/3", "fc00::/7"]).minus(
  networks(["0.0.0.0/8", "1.0.0.0/32", "127.0.0.0/8", "224.0.0.0/3", "2000::/128"]),
);

/** What `external` means: any address that belongs to no pod, node or known network of the cluster. */
export function externalAddresses(plan: Plan): AddressSet {
  const serviceIPs = Array.from(plan.services.values(), (service) => service.clusterIPs).flat();
  return AddressSet.all
    .minus(neverExternal)
    .minus(networks([...plan.cluster.podCIDRs, ...plan.cluster.serviceCIDRs]))
    .minus(AddressSet.ofAddresses(serviceIPs.map(parseAddress).filter((address) => address !== null)))
    .minus(takenAddresses(plan));
}
