/** Ports in questions: `5432`, `53/UDP`, `8000-8100/TCP`, `http`, `any`, `any/UDP`, `icmp`. */
import { maxPort, minPort, type PortProtocol, PortSet, type Protocol, portProtocols } from "../../net/ports.ts";
import type { ContainerPort } from "../model/world.ts";
import type { Problem } from "./types.ts";

/** `http`: a container port of the destination by its name, after `svc/` a port of the Service by its name. */
export type PortReference =
  | { readonly kind: "set"; readonly set: PortSet }
  | { readonly kind: "name"; readonly name: string; readonly protocol: PortProtocol | null };

/** What a question without a port asks: all of TCP, UDP and SCTP. */
export const anyPort: PortReference = { kind: "set", set: PortSet.allPorts };

const syntax = (message: string): Problem => ({ problem: "syntax", message });

const protocolOf = (text: string): Protocol | undefined => {
  const upper = text.toUpperCase();
  if (upper === "ICMP" || upper === "ICMPV6" || upper === "OTHER") return "other";
  return portProtocols.find((protocol) => protocol === upper);
};

/** A port without a protocol is TCP, as everywhere in the API; a name brings its own. */
export function parsePort(text: string): PortReference | Problem {
  const [port, protocolText, more] = text.trim().split("/");
  if (port === undefined || port === "" || more !== undefined)
    return syntax(`"${text}" is no port; expected 5432, 53/UDP, 8000-8100/TCP, a port name, icmp or any`);
  const protocol = protocolText === undefined ? null : protocolOf(protocolText);
  if (protocol === undefined || protocol === "other")
    return syntax(`"${protocolText}" in "${text}" is no protocol with ports; expected TCP, UDP or SCTP`);
  if (port.toLowerCase() === "any")
    return protocol === null ? anyPort : { kind: "set", set: PortSet.protocol(protocol) };
  const numbers = /^([0-9]{1,9})(?:-([0-9]{1,9}))?$/.exec(port);
  if (numbers !== null) {
    const start = Number(numbers[1]);
    const end = Number(numbers[2] ?? numbers[1]);
    if (start < minPort || end > maxPort) return syntax(`port ${port} is outside ${minPort}-${maxPort}`);
    if (start > end) return syntax(`port range ${port} ends before it starts`);
    return { kind: "set", set: PortSet.of([{ protocol: protocol ?? "TCP", start, end }]) };
  }
  if (protocol === null && protocolOf(port) === "other") return { kind: "set", set: PortSet.protocol("other") };
  // IANA_SVC_NAME, as the API server demands of port names
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(port) || port.length > 15 || !/[a-z]/.test(port) || port.includes("--"))
    return syntax(`"${port}" is neither a port number nor a port name`);
  return { kind: "name", name: port, protocol };
}

/** Canonical spelling: `5432/TCP`, `any`, `icmp`, `http`. Parses back to the same reference where one port was asked. */
export function formatPort(reference: PortReference): string {
  if (reference.kind === "name")
    return reference.protocol === null ? reference.name : `${reference.name}/${reference.protocol}`;
  return formatPorts(reference.set);
}

/** `80/TCP`, `any/UDP`, `any`; several pieces are joined by commas. */
export function formatPorts(set: PortSet): string {
  if (set.equals(PortSet.allPorts)) return "any";
  return Array.from(set.ranges(), ({ protocol, start, end }) => {
    if (protocol === "other") return "icmp";
    if (start === minPort && end === maxPort) return `any/${protocol}`;
    return `${start === end ? start : `${start}-${end}`}/${protocol}`;
  }).join(",");
}

/** The numbers that a name stands for on one destination (spec A14.3, A14.8: several containers may declare it). */
export function portsNamed(
  ports: readonly ContainerPort[],
  { name, protocol }: { name: string; protocol: PortProtocol | null },
): PortSet {
  return PortSet.of(
    ports
      .filter((port) => port.name === name && (protocol === null || port.protocol === protocol))
      .map((port) => ({ protocol: port.protocol, start: port.number, end: port.number })),
  );
}
