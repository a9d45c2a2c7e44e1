/** The endpoints of two maps side by side: the same object on either side, and address classes that both sides tell apart. */
import { type AddressSet, formatCidr } from "../../net/address.ts";
import { type AddressEndpoint, addressEndpoint, type PodEndpoint } from "./endpoint.ts";
import type { MapEndpoint, MapEndpoints } from "./map-endpoints.ts";
import type { MapRow } from "./map-rows.ts";
import { podReference } from "./reference.ts";
import type { EndpointEntry } from "./types.ts";

/** One endpoint of a comparison; null where the side does not have it. */
export interface CommonEndpoint {
  readonly entry: EndpointEntry;
  readonly before: MapRow | null;
  readonly after: MapRow | null;
}

/**
 * Endpoints are the same by kind, namespace and name. A workload that is split on a side is split on both, by the names
 * of its pods.
 */
export function commonEndpoints(before: MapEndpoints, after: MapEndpoints): readonly CommonEndpoint[] {
  const identity = ({ entry: { kind, namespace, name, workload } }: MapEndpoint): string =>
    `${kind}/${namespace}/${kind === "workload" ? workload?.kind : ""}/${name}`;
  const objects = (side: MapEndpoints) => side.endpoints.filter(({ entry }) => entry.kind !== "cidr");
  const old = Map.groupBy(objects(before), identity);
  const now = Map.groupBy(objects(after), identity);
  const keys = new Set([...now.keys(), ...old.keys()]);
  return [
    ...Array.from(keys).flatMap((key) => sameObject(old.get(key) ?? [], now.get(key) ?? [])),
    ...commonAddresses(before, after),
  ];
}

function sameObject(old: readonly MapEndpoint[], now: readonly MapEndpoint[]): readonly CommonEndpoint[] {
  if (old.length <= 1 && now.length <= 1) {
    const [before, after] = [old[0] ?? null, now[0] ?? null];
    return [{ entry: (after ?? before)!.entry, before, after }];
  }
  const pieces = new Map<string, { before: Piece | null; after: Piece | null }>();
  const beforeOf = piecesByPod(old);
  const afterOf = piecesByPod(now);
  for (const pod of new Set([...afterOf.keys(), ...beforeOf.keys()])) {
    const [before, after] = [beforeOf.get(pod) ?? null, afterOf.get(pod) ?? null];
    const key = `${before?.part ?? ""}|${after?.part ?? ""}`;
    const piece = pieces.get(key);
    if (piece === undefined) pieces.set(key, { before, after });
    else {
      piece.before = joined(piece.before, before);
      piece.after = joined(piece.after, after);
    }
  }
  return Array.from(pieces.values(), ({ before, after }) => ({
    entry: partEntry((after ?? before)!),
    before,
    after,
  }));
}

/** Some of the pods of one part of a workload. */
interface Piece extends MapRow {
  readonly part: number;
  readonly endpoint: MapEndpoint;
  readonly members: readonly PodEndpoint[];
}

function piecesByPod(parts: readonly MapEndpoint[]): Map<string, Piece> {
  const pods = parts.flatMap((endpoint, part) =>
    endpoint.members.flatMap((end) => (end.kind === "pod" ? [{ endpoint, part, end }] : [])),
  );
  return new Map(
    pods.map(({ endpoint, part, end }) => [end.ref, { part, endpoint, class: endpoint.class, members: [end] }]),
  );
}

const joined = (a: Piece | null, b: Piece | null): Piece | null =>
  a === null || b === null ? a : { ...a, members: [...a.members, ...b.members] };

function partEntry({ endpoint: { entry }, members }: Piece): EndpointEntry {
  const { namespace, name } = members[0]!.pod;
  return {
    ...entry,
    ref: podReference(namespace, name),
    ips: members.flatMap(({ pod }) => pod.ips),
    pods: members.map(({ pod }) => `${pod.namespace}/${pod.name}`),
    part: true,
  };
}

function commonAddresses(before: MapEndpoints, after: MapEndpoints): readonly CommonEndpoint[] {
  const found: CommonEndpoint[] = [];
  for (const old of addressRows(before))
    for (const now of addressRows(after)) {
      const set = old.end.set.intersect(now.end.set);
      if (set.isEmpty) continue;
      const unnamed = old.end.ref === "external" && now.end.ref === "external";
      const entry = addressEntry(set, unnamed);
      found.push({ entry, before: narrowed(old, set), after: narrowed(now, set) });
    }
  return found;
}

function addressRows({ endpoints }: MapEndpoints) {
  return endpoints.flatMap((row) => row.members.flatMap((end) => (end.kind === "addresses" ? [{ row, end }] : [])));
}

const narrowed = ({ row, end }: { row: MapRow; end: AddressEndpoint }, set: AddressSet): MapRow => ({
  class: row.class,
  members: [addressEndpoint(set, (end.faces.IPv4[0] ?? end.faces.IPv6[0])!.peers)],
});

function addressEntry(set: AddressSet, unnamed: boolean): EndpointEntry {
  const ips = set.cidrs().map(formatCidr);
  const ref = unnamed ? "external" : ips[0]!;
  return { ref, kind: "cidr", namespace: "", name: ref, ips, labels: {} };
}
