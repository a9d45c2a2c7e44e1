/** Endpoints and connections of a map: their order, their names, their ports. */
import { families } from "../net/address.ts";
import type { ConnectionEntry, Connectivity, EndpointEntry } from "../policy/analyze/types.ts";
import { oneLine } from "./escape.ts";
import { formatPorts } from "./ports.ts";

/** What a connection allows; both families where they differ. */
export const connectionPorts = ({ ports, families: byFamily }: Pick<ConnectionEntry, "ports" | "families">): string =>
  byFamily === undefined
    ? formatPorts(ports)
    : families
        .filter((family) => byFamily[family].length > 0)
        .map((family) => `${family} ${formatPorts(byFamily[family])}`)
        .join(", ");

/** `external` and CIDRs as they are, workloads without what every reader knows. */
export function endpointLabel({ ref, ips, kind }: EndpointEntry): string {
  const more = kind === "cidr" && ref !== "external" && ips.length > 1 ? ` and ${ips.length - 1} more` : "";
  return `${oneLine(ref)}${more}`;
}

/** Pods and workloads first, then addresses, then nodes. */
const kindOrder = ({ kind }: EndpointEntry): number => (kind === "cidr" ? 1 : kind === "node" ? 2 : 0);

/** Pods and workloads by namespace and name, then addresses, then nodes. */
export const orderedEndpoints = (map: Connectivity): readonly EndpointEntry[] =>
  [...map.endpoints].sort(
    (a, b) =>
      kindOrder(a) - kindOrder(b) ||
      compare(a.namespace, b.namespace) ||
      compare(a.name, b.name) ||
      compare(a.ref, b.ref),
  );

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
