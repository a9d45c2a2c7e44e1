/**
 * Endpoints that a picture can show as one: same namespace and kind, and swapping one for the other changes nothing, so
 * all of them reach, and are reached by, the same others on the same ports. Exact: a group hides nothing.
 */
import type { Connectivity, EndpointEntry } from "../policy/analyze/types.ts";
import { connectionPorts, endpointLabel, orderedEndpoints } from "./endpoint.ts";
import { oneLine } from "./escape.ts";

export interface Group {
  readonly kind: EndpointEntry["kind"];
  readonly namespace: string;
  /** At least one; in the order of the map. */
  readonly endpoints: readonly EndpointEntry[];
}

/** Addresses and nodes: no policy selects them. */
export const isOutside = ({ kind }: Group): boolean => kind === "cidr" || kind === "node";

/** Is a missing connection a denied one? Not between two ends that are no pods, and not from an endpoint to itself: maps leave those out. */
export const isJudged = (from: Group, to: Group): boolean =>
  !(isOutside(from) && isOutside(to)) && (from !== to || from.endpoints.length > 1);

export interface Edge {
  readonly from: Group;
  readonly to: Group;
  /** As text: `5432/TCP`. */
  readonly ports: string;
}

export interface Groups {
  readonly members: readonly Group[];
  /** What `from` may open to `to`; undefined: nothing. A group and itself: between its members. */
  ports(from: Group, to: Group): string | undefined;
  edges(): Iterable<Edge>;
}

export function groupEndpoints(map: Connectivity): Groups {
  const endpoints = orderedEndpoints(map);
  const size = endpoints.length;
  const index = new Map(endpoints.map(({ ref }, i) => [ref, i]));
  const texts: string[] = [""];
  const numbers = new Map<string, number>([["", 0]]);
  // cell[from * size + to]: which text of ports; 0 = denied
  const cell = new Uint32Array(size * size);
  for (const connection of map.connections) {
    const from = index.get(connection.from);
    const to = index.get(connection.to);
    if (from === undefined || to === undefined) continue;
    const text = connectionPorts(connection);
    let number = numbers.get(text);
    if (number === undefined) {
      number = texts.push(text) - 1;
      numbers.set(text, number);
    }
    cell[from * size + to] = number;
  }

  const alike = (a: number, b: number): boolean => {
    if (cell[a * size + b] !== cell[b * size + a]) return false;
    for (let c = 0; c < size; c++) {
      if (c === a || c === b) continue;
      if (cell[a * size + c] !== cell[b * size + c] || cell[c * size + a] !== cell[c * size + b]) return false;
    }
    return true;
  };

  // Being alike is an equivalence, so comparing with the first of each group is enough.
  const found: { readonly first: number; readonly list: EndpointEntry[]; readonly key: string }[] = [];
  for (const [i, endpoint] of endpoints.entries()) {
    const key = `${endpoint.kind}/${endpoint.namespace}`;
    const group = found.find((candidate) => candidate.key === key && alike(candidate.first, i));
    if (group === undefined) found.push({ first: i, list: [endpoint], key });
    else group.list.push(endpoint);
  }
  const members: Group[] = found.map(({ list }) => ({
    kind: list[0]!.kind,
    namespace: list[0]!.namespace,
    endpoints: list,
  }));
  const first = new Map(members.map((group, i) => [group, found[i]!.first]));

  const ports = (from: Group, to: Group): string | undefined => {
    const a = first.get(from)!;
    const b = from === to ? index.get(from.endpoints[1]?.ref ?? "") : first.get(to)!;
    const number = b === undefined ? 0 : cell[a * size + b]!;
    return number === 0 ? undefined : texts[number];
  };
  return {
    members,
    ports,
    *edges() {
      for (const from of members)
        for (const to of members) {
          const text = ports(from, to);
          if (text !== undefined) yield { from, to, ports: text };
        }
    },
  };
}

/** `shop/deployment/web`, or the first of several that are alike and how many more. */
export const groupName = (group: Group): string => {
  const [first, ...more] = group.endpoints;
  return `${endpointLabel(first!)}${more.length === 0 ? "" : ` +${more.length}`}`;
};

const clusterTitle = (group: Group): string =>
  group.kind === "cidr" ? "outside the cluster" : group.kind === "node" ? "nodes" : group.namespace;

/** Groups by namespace, in the order of the groups. */
export function byCluster(groups: readonly Group[]): Map<string, { readonly title: string; readonly groups: Group[] }> {
  const clusters = new Map<string, { title: string; groups: Group[] }>();
  for (const group of groups) {
    const key = `${group.kind === "cidr" || group.kind === "node" ? group.kind : "namespace"}/${group.namespace}`;
    const cluster = clusters.get(key) ?? { title: clusterTitle(group), groups: [] };
    cluster.groups.push(group);
    clusters.set(key, cluster);
  }
  return clusters;
}

const shortKinds: Readonly<Record<string, string>> = {
  deployment: "deploy",
  statefulset: "sts",
  daemonset: "ds",
  replicaset: "rs",
  cronjob: "cj",
};

/** Name inside its namespace's box, kinds as kubectl shortens them: `deploy/web`. */
export function shortName(group: Group): string {
  const first = group.endpoints[0]!;
  if (first.kind === "cidr" || first.kind === "node") return groupName(group);
  const names = group.endpoints.map(({ ref, namespace }) => {
    const name = oneLine(ref.startsWith(`${namespace}/`) ? ref.slice(namespace.length + 1) : ref);
    return name.replace(/^[a-z]+(?=\/)/, (kind) => shortKinds[kind] ?? kind);
  });
  return names.length <= 3 ? names.join(", ") : `${names[0]} +${names.length - 1}`;
}
