/**
 * A world in network namespaces: one for each pod and node, and one, `outside`, that is the network between the nodes and
 * everything beyond. All links are routed veth pairs; a pod's traffic always passes its node.
 *
 *     pod ── eth0 … p10 ── node ── eth0 … n10 ── outside (takes in packets for every address that is no pod and no node)
 */
import { addressBytes } from "../netns/bytes.ts";
import { hasIPv6, Namespace } from "../netns/namespace.ts";
import { NETLINK_ROUTE, type NetlinkMessage, NetlinkSocket } from "../netns/netlink.ts";
import {
  addAddress,
  addRoute,
  isOperational,
  linkUp,
  loopback,
  removeLink,
  removeRoute,
  vethPair,
} from "../netns/rtnetlink.ts";
import type { Seat } from "../netns/sockets.ts";
import { isFinished, type Node, namespacedName, type Pod, type World } from "../policy/model/world.ts";
import { SandboxError } from "./error.ts";

/** `eth0` of pods and nodes. */
const uplink = 2;
const firstLink = 10;

/**
 * Of a node that has no address of a family (RFC 7600, RFC 6666): what a pod sends to itself through a Service is masqueraded,
 * and needs some address to come from.
 */
const dummies = [addressBytes("192.0.0.8"), addressBytes("100::8")];

const anyV4 = new Uint8Array(4);
const anyV6 = new Uint8Array(16);
const defaults = (link: number, local: boolean): NetlinkMessage[] =>
  usable([anyV4, anyV6]).map((destination) => addRoute({ destination, prefix: 0, link, local }));

/** Without IPv6 in the kernel, IPv4 addresses are all that can be used. */
const usable = (addresses: readonly Uint8Array[]): readonly Uint8Array[] =>
  hasIPv6() ? addresses : addresses.filter((address) => address.length === 4);

/** Settings of a namespace that forwards; the defaults before any link is made, since links copy them. */
function makeRouter(namespace: Namespace): void {
  for (const scope of ["default", "all"]) {
    namespace.sysctl(`ipv4/conf/${scope}/rp_filter`, "0");
    namespace.sysctl(`ipv4/conf/${scope}/send_redirects`, "0");
  }
  namespace.sysctl("ipv4/ip_forward", "1");
  namespace.sysctl("ipv6/conf/all/forwarding", "1");
}

/** Thousands of probes must not fill connection tracking. Only once a rule uses it are there settings to change. */
export function forgetSoon(namespace: Namespace): void {
  namespace.sysctl("netfilter/nf_conntrack_udp_timeout", "10");
  namespace.sysctl("netfilter/nf_conntrack_icmp_timeout", "5");
  namespace.sysctl("netfilter/nf_conntrack_icmpv6_timeout", "5");
  namespace.sysctl("netfilter/nf_conntrack_tcp_timeout_close", "5");
}

/** A namespace with its routing socket. */
class Place {
  readonly namespace = Namespace.create();
  readonly netlink: NetlinkSocket;
  nextLink = firstLink;

  constructor() {
    this.netlink = new NetlinkSocket(NETLINK_ROUTE, this.namespace);
  }

  close(): void {
    this.netlink.close();
    this.namespace.close();
  }
}

interface PodPlace {
  readonly namespace: Namespace;
  readonly node: string;
  /** Index of the node's end of the link. */
  readonly link: number;
  readonly ips: readonly string[];
}

export class Topology {
  readonly #outside = new Place();
  readonly #nodes = new Map<string, Place & { readonly uplink: number }>();
  readonly #pods = new Map<string, PodPlace>();

  /** Builds everything; @throws SandboxError, SystemError. `world` must be complete, see `allot`. */
  static build(world: World): Topology {
    const topology = new Topology();
    try {
      for (const node of world.nodes) topology.#addNode(node);
      for (const { uplink: link } of topology.#nodes.values()) waitFor(topology.#outside.netlink, link);
      topology.addPods(world.pods);
      return topology;
    } catch (error) {
      topology.close();
      throw error;
    }
  }

  private constructor() {
    makeRouter(this.#outside.namespace);
    this.#outside.netlink.request([linkUp(loopback), ...defaults(loopback, true)]);
  }

  node(name: string): Namespace {
    const place = this.#nodes.get(name);
    if (place === undefined) throw new SandboxError(`no node ${name} was built`);
    return place.namespace;
  }

  /** The network between the nodes: every address that is no pod's and no node's is its own. */
  get outside(): Namespace {
    return this.#outside.namespace;
  }

  get nodes(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  podSeat(key: string, address: string): Seat {
    const pod = this.#pods.get(key);
    if (pod === undefined) throw new SandboxError(`no pod ${key} was built`);
    return { namespace: pod.namespace, address: addressBytes(address), foreign: false };
  }

  nodeSeat(name: string, address: string): Seat {
    return { namespace: this.node(name), address: addressBytes(address), foreign: false };
  }

  outsideSeat(address: string): Seat {
    return { namespace: this.#outside.namespace, address: addressBytes(address), foreign: true };
  }

  /** Pods that take part in traffic on their own; the others are left out. */
  addPods(pods: readonly Pod[]): void {
    const own = pods.filter((pod) => !pod.hostNetwork && !isFinished(pod));
    const outsideRoutes: NetlinkMessage[] = [];
    for (const [name, members] of Map.groupBy(own, (pod) => pod.node ?? "")) {
      const node = this.#nodes.get(name);
      if (node === undefined) throw new SandboxError(`pod ${namespacedName(members[0]!)} is on no node that was built`);
      const links: NetlinkMessage[] = [];
      const routes: NetlinkMessage[] = [];
      const places: PodPlace[] = [];
      for (const pod of members) {
        const namespace = Namespace.create();
        const link = node.nextLink++;
        const place = { namespace, node: name, link, ips: pod.ips };
        this.#pods.set(namespacedName(pod), place);
        places.push(place);
        links.push(vethPair({ name: `p${link}`, index: link }, { name: "eth0", index: uplink }, namespace.fd));
        routes.push(...podRoutes(place, link).map(addRoute));
        outsideRoutes.push(...podRoutes(place, node.uplink).map(addRoute));
      }
      node.netlink.request(links);
      for (const place of places) configurePod(place);
      node.netlink.request(routes);
    }
    this.#outside.netlink.request(outsideRoutes);
    for (const pod of own) {
      const { node, link } = this.#pods.get(namespacedName(pod))!;
      waitFor(this.#nodes.get(node)!.netlink, link);
    }
  }

  removePods(keys: Iterable<string>): void {
    for (const key of keys) {
      const place = this.#pods.get(key);
      if (place === undefined) continue;
      this.#pods.delete(key);
      const node = this.#nodes.get(place.node)!;
      node.netlink.request([removeLink(place.link)]); // its routes go with it
      this.#outside.netlink.request(podRoutes(place, node.uplink).map(removeRoute));
      place.namespace.close();
    }
  }

  /** Lets go of everything; the kernel takes it down. */
  close(): void {
    for (const pod of this.#pods.values()) pod.namespace.close();
    for (const node of this.#nodes.values()) node.close();
    this.#outside.close();
    this.#pods.clear();
    this.#nodes.clear();
  }

  #addNode(node: Node): void {
    const place = Object.assign(new Place(), { uplink: this.#outside.nextLink++ });
    this.#nodes.set(node.name, place);
    makeRouter(place.namespace);
    const link = place.uplink;
    this.#outside.netlink.request([
      vethPair({ name: `n${link}`, index: link }, { name: "eth0", index: uplink }, place.namespace.fd),
    ]);
    const ips = usable(node.ips.map(addressBytes));
    const missing = usable(dummies).filter((dummy) => ips.every((ip) => ip.length !== dummy.length));
    place.netlink.request([
      linkUp(loopback),
      linkUp(uplink),
      ...[...ips, ...missing].flatMap(ownAddress),
      ...defaults(uplink, false),
    ]);
    this.#outside.netlink.request(ips.map((ip) => addRoute({ destination: ip, prefix: ip.length * 8, link })));
  }
}

const patience = 10_000; // ms

/** Until a link passes packets. */
function waitFor(netlink: NetlinkSocket, link: number): void {
  const deadline = performance.now() + patience;
  while (!isOperational(netlink, link)) {
    if (performance.now() > deadline) throw new SandboxError(`link ${link} was made but does not come up`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

const podRoutes = (place: PodPlace, link: number) =>
  usable(place.ips.map(addressBytes)).map((ip) => ({ destination: ip, prefix: ip.length * 8, link }));

/**
 * An address that packets reach at once. The kernel itself makes the local route of an IPv6 address later, in a worker that can
 * wait long for a lock when namespaces come and go; until then what a pod sends to itself would leave it.
 */
function ownAddress(ip: Uint8Array): NetlinkMessage[] {
  const address = addAddress(uplink, ip);
  if (ip.length === 4) return [address];
  return [address, addRoute({ destination: ip, prefix: 128, link: uplink, local: true, first: true })];
}

function configurePod(place: PodPlace): void {
  const netlink = new NetlinkSocket(NETLINK_ROUTE, place.namespace);
  netlink.request([
    linkUp(loopback),
    linkUp(uplink),
    ...usable(place.ips.map(addressBytes)).flatMap(ownAddress),
    ...defaults(uplink, false),
  ]);
  netlink.close();
}
