/** The rows and columns of a map: workloads or pods, nodes, and the classes of addresses that policies tell apart. */
import { AddressSet, type Family, families, formatCidr } from "../../net/address.ts";
import type { Plan } from "../compile/plan.ts";
import type { Labels } from "../model/labels.ts";
import { namespacedName, type Pod } from "../model/world.ts";
import type { ConnectivityOptions } from "./connectivity.ts";
import {
  type AddressEndpoint,
  addressClasses,
  addressEndpoint,
  type Endpoint,
  externalAddresses,
  isEndpointPod,
  nodeEndpoint,
  type PodEndpoint,
  podEndpoint,
} from "./endpoint.ts";
import type { MapRow } from "./map-rows.ts";
import { ClassMatrix } from "./matrix.ts";
import { podReference } from "./reference.ts";
import type { EndpointEntry, Level } from "./types.ts";

export interface MapEndpoint extends MapRow {
  readonly entry: EndpointEntry;
}

export interface MapEndpoints {
  readonly matrix: ClassMatrix;
  /** Pods and workloads by namespace and name, then nodes by name, then addresses. */
  readonly endpoints: readonly MapEndpoint[];
}

export function mapEndpoints(plan: Plan, options: ConnectivityOptions, level: Level): MapEndpoints {
  const pods = Array.from(plan.pods.values())
    .filter(isEndpointPod)
    .map((pod) => podEndpoint(plan, pod));
  const nodes = options.nodes === false ? [] : Array.from(plan.nodes.values(), (node) => nodeEndpoint(plan, node));
  const outside = options.external === false ? [] : outsideClasses(plan);
  const matrix = new ClassMatrix(plan, [...pods, ...nodes, ...outside]);
  const classOf = new Map(matrix.classes.flatMap(({ members }, index) => members.map((end) => [end, index] as const)));
  const single = (end: Endpoint, entry: EndpointEntry): MapEndpoint => ({
    entry,
    class: classOf.get(end)!,
    members: [end],
  });
  const rows =
    level === "pod"
      ? pods.map((end) => single(end, podEntry(end.pod)))
      : workloads(pods).flatMap((members) =>
          partsOf(matrix, members, classOf).map((part, _, parts) => ({
            entry: workloadEntry(part, parts.length > 1),
            class: classOf.get(part[0]!)!,
            members: part,
          })),
        );
  rows.sort(({ entry: a }, { entry: b }) => compare(a.namespace, b.namespace) || compare(a.ref, b.ref));
  const hosts = nodes.map((end) => single(end, nodeEntry(end.ref, end.node.name, end.node.ips, end.node.labels)));
  hosts.sort(({ entry: a }, { entry: b }) => compare(a.name, b.name));
  return { matrix, endpoints: [...rows, ...hosts, ...outside.map((end) => single(end, cidrEntry(end)))] };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Classes of addresses with at least one address outside the cluster. Their CIDRs are shown as policies write them, unbroken by pods. */
function outsideClasses(plan: Plan): readonly AddressEndpoint[] {
  const external = externalAddresses(plan);
  return addressClasses(plan)
    .filter(({ set }) => !set.intersect(external).isEmpty)
    .map(({ set, peers }) => {
      const unnamed = peers.egress.groups.length === 0 && peers.ingress.groups.length === 0;
      // a family in which the whole class is the cluster's own is not outside
      const shown = families
        .filter((family) => external.intersect(set).byFamily[family].length > 0)
        .map((family) => AddressSet.ofRanges(family, set.byFamily[family]))
        .reduce((a, b) => a.union(b), AddressSet.empty);
      const end = addressEndpoint(shown, peers);
      return unnamed ? { ...end, ref: "external" } : { ...end, ref: formatCidr(shown.cidrs()[0]!) };
    });
}

function workloads(pods: readonly PodEndpoint[]): readonly (readonly PodEndpoint[])[] {
  return Array.from(
    Map.groupBy(pods, ({ pod }) => `${pod.namespace}/${pod.workload.kind}/${pod.workload.name}`).values(),
  );
}

/** The pods of a workload, split where they differ in what they may open or accept. */
function partsOf(
  matrix: ClassMatrix,
  pods: readonly PodEndpoint[],
  classOf: ReadonlyMap<Endpoint, number>,
): readonly (readonly PodEndpoint[])[] {
  const byClass = Array.from(Map.groupBy(pods, (end) => classOf.get(end)!));
  if (byClass.length === 1) return [pods];
  const own = new Set<Endpoint>(pods);
  const others = matrix.classes.flatMap(({ members }, index) => (members.some((end) => !own.has(end)) ? [index] : []));
  const alike = (over: readonly number[]) =>
    Array.from(Map.groupBy(byClass, ([index]) => effectOf(matrix, index, over)).values());
  if (alike(others).length === 1) return [pods];
  // parts of one workload are endpoints to each other: now its own classes count too
  return alike(Array.from(matrix.classes.keys())).map((part) => part.flatMap(([, members]) => members));
}

/** Everything that a class may open and accept, as text: equal text = the same lines in the map. */
function effectOf(matrix: ClassMatrix, index: number, others: readonly number[]): string {
  const rows = matrix.rows(index);
  const of = (family: Family): string =>
    others.map((other) => `${rows[family][other]}<${matrix.cell(other, index, family)}`).join(" ");
  return families.map(of).join("|");
}

function podEntry({ namespace, name, ips, labels, workload, replicas }: Pod): EndpointEntry {
  return {
    ref: podReference(namespace, name),
    kind: "pod",
    namespace,
    name,
    ips,
    labels,
    workload,
    ...(replicas === null ? {} : { replicas }),
  };
}

function workloadEntry(members: readonly PodEndpoint[], part: boolean): EndpointEntry {
  const { pod } = members[0]!;
  if (pod.workload.kind === "Pod") return podEntry(pod);
  const { namespace, workload, replicas } = pod;
  return {
    ref: part ? podReference(namespace, pod.name) : `${namespace}/${workload.kind.toLowerCase()}/${workload.name}`,
    kind: "workload",
    namespace,
    name: workload.name,
    ips: members.flatMap((end) => end.pod.ips),
    labels: members.map((end) => end.pod.labels).reduce(commonLabels),
    workload,
    pods: members.map((end) => namespacedName(end.pod)),
    ...(replicas === null ? {} : { replicas }),
    ...(part ? { part } : {}),
  };
}

const commonLabels = (a: Labels, b: Labels): Labels =>
  a === b ? a : Object.fromEntries(Object.entries(a).filter(([key, value]) => b[key] === value));

const nodeEntry = (ref: string, name: string, ips: readonly string[], labels: Labels): EndpointEntry => ({
  ref,
  kind: "node",
  namespace: "",
  name,
  ips,
  labels,
});

const cidrEntry = ({ ref, set }: AddressEndpoint): EndpointEntry => ({
  ref,
  kind: "cidr",
  namespace: "",
  name: ref,
  ips: set.cidrs().map(formatCidr),
  labels: {},
});
