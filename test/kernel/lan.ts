/** A node whose pods have Ethernet in earnest: MAC addresses, ARP and neighbour discovery; on a bridge, or routed as Calico does it. */
import { addressBytes } from "../../src/netns/bytes.ts";
import { Namespace } from "../../src/netns/namespace.ts";
import type { Seat } from "../../src/netns/sockets.ts";
import { pathOf, runIn } from "./programs.ts";

export type Wiring = "bridge" | "routed";

/** The node's address on the bridge: of pod space. */
export const gateway = { IPv4: "10.244.1.1", IPv6: "fd00:244:1::1" } as const;
/** The node's address elsewhere. */
export const nodeAddress = { IPv4: "172.18.0.11", IPv6: "fd00:18::b" } as const;
export const bridge = "cni0";

export class Lan {
  readonly node = Namespace.create();
  readonly #wiring: Wiring;
  readonly #pods = new Map<string, Namespace>();

  /** @throws Error with what `ip` said */
  static build(wiring: Wiring): Lan {
    const lan = new Lan(wiring);
    try {
      lan.#addNode();
      return lan;
    } catch (error) {
      lan.close();
      throw error;
    }
  }

  private constructor(wiring: Wiring) {
    this.#wiring = wiring;
  }

  /** Without addresses it has a link and a default route, and what an address would be asked for with comes from 0.0.0.0. */
  addPod(name: string, ips: readonly string[]): void {
    const pod = Namespace.create();
    this.#pods.set(name, pod);
    pod.sysctl("ipv6/conf/default/accept_dad", "0"); // a second each
    const link = `cali${this.#pods.size}`;
    ip(this.node, [
      `link add ${link} type veth peer name eth0 netns ${pathOf(pod)}`,
      ...(this.#wiring === "bridge" ? [`link set ${link} master ${bridge}`] : []),
      `link set ${link} up`,
    ]);
    ip(pod, ["link set lo up", "link set eth0 up"]);
    const bits = (address: string): number =>
      this.#wiring === "bridge" ? (address.includes(":") ? 64 : 24) : address.includes(":") ? 128 : 32;
    ip(
      pod,
      ips.map((address) => `address add ${address}/${bits(address)} dev eth0`),
    );
    if (ips.length === 0) ip(pod, ["route add default dev eth0"]);
    else if (this.#wiring === "bridge")
      ip(pod, [`route add default via ${gateway.IPv4}`, `route add default via ${gateway.IPv6}`]);
    else {
      this.node.sysctl(`ipv4/conf/${link}/proxy_arp`, "1");
      this.node.sysctl(`ipv4/neigh/${link}/proxy_delay`, "0");
      ip(
        this.node,
        ips.map((address) => `route add ${address}/${bits(address)} dev ${link}`),
      );
      ip(this.node, [`address add fe80::1/64 dev ${link}`]);
      ip(pod, ["route add 169.254.1.1 dev eth0", "route add default via 169.254.1.1 dev eth0"]);
      ip(pod, ["route add default via fe80::1 dev eth0"]);
    }
  }

  pod(name: string): Namespace {
    return this.#pods.get(name)!;
  }

  seat(name: string, address: string): Seat {
    return { namespace: this.pod(name), address: addressBytes(address), foreign: false };
  }

  nodeSeat(address: string): Seat {
    return { namespace: this.node, address: addressBytes(address), foreign: false };
  }

  close(): void {
    for (const pod of this.#pods.values()) pod.close();
    this.node.close();
  }

  #addNode(): void {
    this.node.sysctl("ipv4/ip_forward", "1");
    this.node.sysctl("ipv6/conf/all/forwarding", "1");
    this.node.sysctl("ipv6/conf/default/accept_dad", "0");
    ip(this.node, [
      "link set lo up",
      "link add uplink type veth peer name beyond",
      "link set uplink up",
      "link set beyond up",
      `address add ${nodeAddress.IPv4}/24 dev uplink`,
      `address add ${nodeAddress.IPv6}/64 dev uplink`,
      "route add default dev uplink",
      "-6 route add default dev uplink",
    ]);
    if (this.#wiring !== "bridge") return;
    ip(this.node, [
      `link add ${bridge} type bridge`,
      `link set ${bridge} up`,
      `address add ${gateway.IPv4}/24 dev ${bridge}`,
      `address add ${gateway.IPv6}/64 dev ${bridge}`,
    ]);
  }
}

/** Runs commands of iproute2. */
export function ip(namespace: Namespace, commands: readonly string[]): void {
  for (const command of commands) runIn(namespace, "ip", command.split(" "));
}
