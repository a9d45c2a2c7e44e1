/** Services by destination NAT on every node, such as kube-proxy's nftables mode does it. */
import { type Family, parseAddress } from "../net/address.ts";
import type { PortProtocol } from "../net/ports.ts";
import { isFinished, type Pod, type Service, type World } from "../policy/model/world.ts";
import { slice } from "./slices.ts";

/** One endpoint behind a Service's port. */
export interface Backend {
  /** null: an address that is no pod's. */
  readonly pod: Pod | null;
  readonly address: string;
  readonly port: number;
}

/** One port of a Service at one of its cluster addresses. */
export interface Frontend {
  readonly service: Service;
  readonly family: Family;
  readonly address: string;
  readonly protocol: PortProtocol;
  readonly port: number;
  /** Backend `k` answers source ports of slice `k`. */
  readonly backends: readonly Backend[];
}

const familyOf = (address: string): Family | null => parseAddress(address)?.family ?? null;

/** Every port of every Service that has a cluster address and a backend of its family. `world` must be complete, see `allot`. */
export function frontends(world: World): Frontend[] {
  const live = world.pods.filter((pod) => !isFinished(pod));
  const owner = new Map(live.flatMap((pod) => (pod.hostNetwork ? [] : pod.ips.map((ip) => [ip, pod] as const))));
  const out: Frontend[] = [];
  for (const service of world.services) {
    if (service.headless || service.type === "ExternalName") continue;
    const pods = selected(service, live);
    for (const address of service.clusterIPs) {
      const family = familyOf(address);
      if (family === null) continue;
      for (const { protocol, port, targetPort } of service.ports) {
        const backends = [
          ...pods.flatMap((pod) => podBackend(pod, family, protocol, targetPort)),
          ...service.endpoints.flatMap((endpoint) =>
            pods.length > 0 || familyOf(endpoint) !== family || typeof targetPort === "string"
              ? []
              : [{ pod: owner.get(endpoint) ?? null, address: endpoint, port: targetPort }],
          ),
        ];
        if (backends.length > 0) out.push({ service, family, address, protocol, port, backends });
      }
    }
  }
  return out;
}

function selected(service: Service, live: readonly Pod[]): Pod[] {
  const { selector, namespace } = service;
  if (selector === null || Object.keys(selector).length === 0) return [];
  return live.filter(
    (pod) => pod.namespace === namespace && Object.entries(selector).every(([key, value]) => pod.labels[key] === value),
  );
}

function podBackend(pod: Pod, family: Family, protocol: PortProtocol, target: number | string): Backend[] {
  const address = pod.ips.find((ip) => familyOf(ip) === family);
  const port =
    typeof target === "number"
      ? target
      : pod.ports.find((one) => one.name === target && one.protocol === protocol)?.number;
  return address === undefined || port === undefined ? [] : [{ pod, address, port }];
}

const table = "bulkhead_services";

/**
 * The table as an nft script. Where kube-proxy picks a backend at random, this picks it by source port: see `slice`. Like
 * kube-proxy it masquerades only what a backend sends to itself (the answer would not come back this way otherwise).
 */
export function servicesScript(list: readonly Frontend[]): string {
  const lines = [`table inet ${table} {`];
  const keyTypes = { IPv4: "ipv4_addr", IPv6: "ipv6_addr" } as const;
  for (const family of ["IPv4", "IPv6"] as const) {
    const v = family === "IPv4" ? "4" : "6";
    const own = list.map((one, i) => ({ one, i })).filter(({ one }) => one.family === family);
    lines.push(`  map frontends${v} {`, `    type ${keyTypes[family]} . inet_proto . inet_service : verdict`);
    if (own.length > 0) {
      const elements = own.map(
        ({ one, i }) => `${one.address} . ${one.protocol.toLowerCase()} . ${one.port} : goto frontend${i}`,
      );
      lines.push(`    elements = { ${elements.join(", ")} }`);
    }
    lines.push("  }");
    const loops = [...new Set(own.flatMap(({ one }) => one.backends.map(({ address }) => address)))];
    lines.push(`  set loops${v} {`, `    type ${keyTypes[family]} . ${keyTypes[family]}`);
    if (loops.length > 0) lines.push(`    elements = { ${loops.map((ip) => `${ip} . ${ip}`).join(", ")} }`);
    lines.push("  }");
  }
  for (const [i, { protocol, family, backends }] of list.entries()) {
    lines.push(`  chain frontend${i} {`);
    for (const [k, { address, port }] of backends.entries()) {
      const { start, end } = slice(k, backends.length);
      const to = family === "IPv4" ? `ip to ${address}:${port}` : `ip6 to [${address}]:${port}`;
      const sport = k === backends.length - 1 ? "" : ` th sport ${start}-${end}`;
      lines.push(`    meta l4proto ${protocol.toLowerCase()}${sport} dnat ${to}`);
    }
    lines.push("  }");
  }
  lines.push("  chain services {");
  lines.push("    ip daddr . meta l4proto . th dport vmap @frontends4");
  lines.push("    ip6 daddr . meta l4proto . th dport vmap @frontends6");
  lines.push("  }");
  for (const hook of ["prerouting", "output"])
    lines.push(`  chain ${hook} {`, `    type nat hook ${hook} priority -100`, "    jump services", "  }");
  lines.push("  chain postrouting {", "    type nat hook postrouting priority 100");
  lines.push("    ip saddr . ip daddr @loops4 masquerade", "    ip6 saddr . ip6 daddr @loops6 masquerade");
  lines.push("  }", "}");
  return `${lines.join("\n")}\n`;
}

/** How answers name a Service. */
export const serviceReference = ({ service }: Frontend): string => `${service.namespace}/service/${service.name}`;
