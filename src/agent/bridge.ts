/**
 * Bridges with pods on them. A packet between two pods of one bridge is seen by the IP hooks, and so by policies, only
 * where br_netfilter hands it over: `net.bridge.bridge-nf-call-iptables` (and `-ip6tables`) of the node's namespace.
 */
import { readFileSync } from "node:fs";
import { type Cidr, cidrContains, type Family, families, parseCidr } from "../net/address.ts";
import { type Network, ownNetwork } from "../netns/namespace.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "../netns/netlink.ts";
import { linkKind } from "../netns/rtnetlink.ts";
import type { Condition } from "./condition.ts";

export interface BridgeReport {
  /** Bridges that lead to pods of this node, and the families that they carry. */
  readonly bridges: ReadonlyMap<string, ReadonlySet<Family>>;
  /** Settings that would have to be 1, and are something else; null: br_netfilter is not loaded. */
  readonly off: readonly { readonly setting: string; readonly value: string | null }[];
}

interface Route {
  readonly device: string;
  readonly destination: Cidr;
}

const setting: Readonly<Record<Family, string>> = { IPv4: "bridge-nf-call-iptables", IPv6: "bridge-nf-call-ip6tables" };

/** Bytes of an IPv4 address as /proc/net/route prints them: one number in the machine's byte order. */
function hostOrder(hex: string): Uint8Array {
  return new Uint8Array(Uint32Array.of(Number.parseInt(hex, 16)).buffer);
}

/** /proc/net/route: `Iface Destination Gateway Flags RefCnt Use Metric Mask …`. */
export function parseRoutes4(text: string): Route[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [device, destination, , , , , , mask] = line.trim().split(/\s+/);
      if (device === undefined || destination === undefined || mask === undefined) return [];
      const prefix = hostOrder(mask).reduce((bits, byte) => bits + byte.toString(2).replaceAll("0", "").length, 0);
      const parsed = parseCidr(`${hostOrder(destination).join(".")}/${prefix}`);
      return parsed === null ? [] : [{ device, destination: parsed.cidr }];
    });
}

/** /proc/net/ipv6_route: destination, prefix length, source, its prefix length, next hop, …, device. */
export function parseRoutes6(text: string): Route[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [destination, prefix] = fields;
    const device = fields.at(-1);
    if (fields.length < 10 || destination === undefined || prefix === undefined || device === undefined) return [];
    const parsed = parseCidr(`${destination.match(/.{4}/g)!.join(":")}/${Number.parseInt(prefix, 16)}`);
    return parsed === null ? [] : [{ device, destination: parsed.cidr }];
  });
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

const matches = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => (pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern));

/** @param held CIDRs of this node's pods. @param interfaces patterns of their links. */
export function lookAtBridges(network: Network, held: readonly string[], interfaces: readonly string[]): BridgeReport {
  const space = held.flatMap((text) => parseCidr(text)?.cidr ?? []);
  const leadsToPods = ({ device, destination }: Route): boolean =>
    matches(interfaces, device) ||
    space.some(
      (cidr) => cidr.family === destination.family && cidrContains(cidr, destination) && destination.prefix > 0,
    );
  return network.run<BridgeReport>(() => {
    // thread-self: what the calling thread's namespace has, not the process's first.
    const routes = [
      ...parseRoutes4(read("/proc/thread-self/net/route") ?? ""),
      ...parseRoutes6(read("/proc/thread-self/net/ipv6_route") ?? ""),
    ].filter(leadsToPods);
    const bridges = new Map<string, Set<Family>>();
    const netlink = new NetlinkSocket(NETLINK_ROUTE, ownNetwork);
    try {
      for (const [device, own] of Map.groupBy(routes, (route) => route.device)) {
        if (linkKind(netlink, device) === "bridge")
          bridges.set(device, new Set(own.map(({ destination }) => destination.family)));
      }
    } finally {
      netlink.close();
    }
    const needed = families.filter((family) => [...bridges.values()].some((own) => own.has(family)));
    const off = needed
      .map((family) => ({
        setting: `net.bridge.${setting[family]}`,
        value: read(`/proc/sys/net/bridge/${setting[family]}`)?.trim() ?? null,
      }))
      .filter(({ value }) => value !== "1");
    return { bridges, off };
  });
}

/** What there is to say about bridges. */
export function bridgeCondition({ bridges, off }: BridgeReport): Condition {
  const name = "bridge";
  const names = [...bridges.keys()].join(", ");
  if (bridges.size === 0) return { name, state: "ok", text: "no pods on a bridge" };
  if (off.length === 0) return { name, state: "ok", text: `pods on ${names}, whose packets pass the IP hooks` };
  const isMissing = off.some(({ value }) => value === null);
  const settings = off.map((one) => `${one.setting}=1`).join(" ");
  const first = isMissing ? "modprobe br_netfilter && " : "";
  return {
    name,
    state: "failed",
    text:
      `policies do NOT hold between the pods of this node on ${names}: their packets pass no IP hook. ` +
      `Run on the node: ${first}sysctl -w ${settings}`,
  };
}
