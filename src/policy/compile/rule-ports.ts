/** The ports of a rule, of every policy kind, as sets of numbers and names still to be looked up (spec A13, A14, C9, C16.4). */
import { maxPort, minPort, type PortProtocol, type PortRange, PortSet, portProtocols } from "../../net/ports.ts";
import { effectiveProtocol } from "../decode/defaults.ts";
import type { AdminPort, ClusterProtocol, NetworkPolicyPort } from "../model/policy.ts";
import type { NamedPort, RulePorts } from "./plan.ts";

/** No restriction: every protocol, ICMP included (spec A15.3, C9.1). */
export const everyPort: RulePorts = { fixed: PortSet.all, named: [] };
export const noPort: RulePorts = { fixed: PortSet.empty, named: [] };

/** What one element of a list of ports matches; `unknown` when we do not understand it. */
type Element = PortRange | NamedPort | "unknown";

const portProtocol = (text: string): PortProtocol | null => portProtocols.find((protocol) => protocol === text) ?? null;

/** NetworkPolicy ports; absent and empty are no restriction (spec A2.7). What is not understood matches nothing. */
export function networkPolicyPorts(ports: readonly NetworkPolicyPort[] | null | undefined): RulePorts {
  return combine(ports, networkPolicyPort, false);
}

/** v1alpha2 protocols. An element that is not understood matches everything in rules that do not accept (spec C12.2). */
export function clusterProtocols(list: readonly ClusterProtocol[] | null | undefined, accepts: boolean): RulePorts {
  return combine(list, clusterProtocol, !accepts);
}

/** v1alpha1 ports, as `clusterProtocols`. */
export function adminPorts(list: readonly AdminPort[] | null | undefined, accepts: boolean): RulePorts {
  return combine(list, adminPort, !accepts);
}

function combine<T>(
  list: readonly T[] | null | undefined,
  read: (element: T) => Element,
  unknownMatchesAll: boolean,
): RulePorts {
  if (!list || list.length === 0) return everyPort;
  const ranges: PortRange[] = [];
  const named = new Map<string, NamedPort>();
  for (const item of list) {
    const element = read(item);
    if (element === "unknown") {
      if (unknownMatchesAll) return everyPort;
    } else if ("name" in element) {
      named.set(`${element.protocol}/${element.name}`, element);
    } else {
      ranges.push(element);
    }
  }
  return { fixed: PortSet.of(ranges), named: [...named.values()] };
}

function networkPolicyPort({ protocol: written, port, endPort }: NetworkPolicyPort): Element {
  const protocol = portProtocol(effectiveProtocol(written));
  if (protocol === null) return "unknown";
  if (typeof port === "number") return { protocol, start: port, end: endPort ?? port };
  if (isNumber(endPort)) return "unknown"; // cannot be stored (B4.7, B4.8)
  return typeof port === "string" ? { name: port, protocol } : { protocol, start: minPort, end: maxPort }; // A13.2
}

function clusterProtocol(element: ClusterProtocol): Element {
  const known: Element[] = [];
  for (const protocol of portProtocols) {
    const match = element[protocol === "TCP" ? "tcp" : protocol === "UDP" ? "udp" : "sctp"];
    if (!match) continue;
    const port = match.destinationPort;
    if (!port)
      known.push({ protocol, start: minPort, end: maxPort }); // C9.2
    else if (isNumber(port.number) && !port.range) known.push({ protocol, start: port.number, end: port.number });
    else if (port.range && !isNumber(port.number)) known.push({ protocol, ...port.range });
    else known.push("unknown");
  }
  if (element.destinationNamedPort) known.push({ name: element.destinationNamedPort, protocol: null }); // C9.5, C9.8
  return known.length === 1 ? known[0]! : "unknown";
}

function adminPort({ portNumber, portRange, namedPort }: AdminPort): Element {
  const known: Element[] = [];
  const numbers = (written: string | null | undefined, start: number, end: number): void => {
    const protocol = portProtocol(effectiveProtocol(written));
    known.push(protocol === null ? "unknown" : { protocol, start, end });
  };
  if (portNumber) numbers(portNumber.protocol, portNumber.port, portNumber.port);
  if (portRange) numbers(portRange.protocol, portRange.start, portRange.end); // inverted: matches nothing (C16.4)
  if (namedPort) known.push({ name: namedPort, protocol: null });
  return known.length === 1 ? known[0]! : "unknown";
}

const isNumber = (value: number | null | undefined): value is number => typeof value === "number";
