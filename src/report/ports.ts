/** Port lists of results, as people write them. */
import { maxPort, minPort, type PortRange, PortSet, type Protocol, protocols } from "../net/ports.ts";

const span = ({ start, end }: { start: number; end: number }): string =>
  start === end ? `${start}` : `${start}-${end}`;

function protocolText(protocol: Protocol, ranges: readonly { start: number; end: number }[]): string {
  if (protocol === "other") return "other protocols";
  const whole = ranges.length === 1 && ranges[0]!.start === minPort && ranges[0]!.end === maxPort;
  return whole ? `all ${protocol}` : `${ranges.map(span).join(",")}/${protocol}`;
}

const words = (ports: PortSet): string[] =>
  protocols.filter((p) => ports.byProtocol[p].length > 0).map((p) => protocolText(p, ports.byProtocol[p]));

/**
 * `5432/TCP` · `80,443/TCP 53/UDP` · `all UDP` · `any` (all of TCP, UDP and SCTP) · `any but 53/UDP` · `other protocols` · `none`.
 * The protocols without ports are named only where nothing else is allowed: questions are about ports.
 */
export function formatPorts(list: Iterable<PortRange>): string {
  const all = PortSet.of(list);
  const ports = all.intersect(PortSet.allPorts);
  if (ports.isEmpty) return all.isEmpty ? "none" : "other protocols";
  if (ports.equals(PortSet.allPorts)) return "any";
  const positive = words(ports).join(" ");
  const negative = `any but ${words(PortSet.allPorts.minus(ports)).join(" ")}`;
  return negative.length < positive.length ? negative : positive;
}

/** `5432/TCP`; `other` for the protocols without ports. */
export const formatPort = (protocol: Protocol, port: number): string =>
  protocol === "other" ? "other" : `${port}/${protocol}`;
