/** Peers, ports and rules of proposed edits, in the form of each API. */
import { type Address, families, formatAddress, formatCidr, parseAddress } from "../../net/address.ts";
import { maxPort, minPort, type PortRange, PortSet } from "../../net/ports.ts";
import type { Plan } from "../compile/plan.ts";
import { type Labels, namespaceNameLabel } from "../model/labels.ts";
import type { PolicyKind } from "../model/policy.ts";
import type { Action, Direction } from "../model/verdict.ts";
import type { Pod } from "../model/world.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Resolved } from "./resolve.ts";
import type { Json } from "./types.ts";

/** What the rules of an edit are about: as narrow as selectors can say it. */
export type Target =
  | { readonly kind: "pods"; readonly namespace: string; readonly labels: Labels }
  | { readonly kind: "namespace"; readonly namespace: string | null }
  | {
      readonly kind: "networks";
      readonly blocks: readonly { readonly cidr: string; readonly except: readonly string[] }[];
    };

/** Labels that controllers write on each pod or revision: a policy that names them breaks at the next rollout. */
const volatileLabels = new Set([
  "pod-template-hash",
  "controller-revision-hash",
  "pod-template-generation",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "batch.kubernetes.io/controller-uid",
  "batch.kubernetes.io/job-name",
  "batch.kubernetes.io/job-completion-index",
  "controller-uid",
  "job-name",
]);

/** The labels by which a policy would select these pods. */
export function stableLabels(pods: readonly Pod[]): Labels {
  const [first, ...rest] = pods;
  const entries = Object.entries(first?.labels ?? {}).filter(
    ([key, value]) => !volatileLabels.has(key) && rest.every((pod) => pod.labels[key] === value),
  );
  return Object.fromEntries(entries);
}

/** How a rule would name the end `end` of a question that asked for `asked`; null: no rule can. */
export function targetOf(plan: Plan, asked: Resolved, end: Endpoint): Target | null {
  const { reference, ends } = asked;
  if (reference.kind === "pods") return { kind: "namespace", namespace: reference.namespace };
  if (end.kind === "pod") {
    const alike = ends.flatMap((one) =>
      one.kind === "pod" && one.pod.namespace === end.pod.namespace ? [one.pod] : [],
    );
    const pods = reference.kind === "addresses" ? [end.pod] : alike;
    return { kind: "pods", namespace: end.pod.namespace, labels: stableLabels(pods) };
  }
  if (end.kind === "node") {
    const faces = ends.flatMap((one) =>
      one.kind === "node" && one.node === end.node ? [...one.faces.IPv4, ...one.faces.IPv6] : [],
    );
    const ips = faces.flatMap(({ address }) => address ?? []);
    return end.node.ips.length === 0 ? null : { kind: "networks", blocks: ips.map(hostBlock) };
  }
  if (reference.kind === "addresses")
    return { kind: "networks", blocks: [{ cidr: formatCidr(reference.cidr), except: [] }] };
  const inside = [...plan.cluster.podCIDRs, ...plan.cluster.serviceCIDRs];
  const block = (cidr: string) => ({ cidr, except: inside.filter((one) => one.includes(":") === cidr.includes(":")) });
  return {
    kind: "networks",
    blocks: families.filter((f) => end.faces[f].length > 0).map((f) => block(f === "IPv4" ? "0.0.0.0/0" : "::/0")),
  };
}

function hostBlock(ip: string): { cidr: string; except: readonly string[] } {
  const address = parseAddress(ip) as Address;
  return { cidr: `${formatAddress(address)}/${address.family === "IPv4" ? 32 : 128}`, except: [] };
}

const named = (namespace: string): Json => ({ matchLabels: { [namespaceNameLabel]: namespace } });
const withLabels = (labels: Labels): Json => (Object.keys(labels).length === 0 ? {} : { matchLabels: labels });

/** Peers of a NetworkPolicy in `namespace`. */
export function networkPolicyPeers(target: Target, namespace: string): readonly Json[] {
  switch (target.kind) {
    case "pods": {
      const podSelector = withLabels(target.labels);
      return [
        target.namespace === namespace ? { podSelector } : { namespaceSelector: named(target.namespace), podSelector },
      ];
    }
    case "namespace":
      if (target.namespace === namespace) return [{ podSelector: {} }];
      return [{ namespaceSelector: target.namespace === null ? {} : named(target.namespace) }];
    case "networks":
      return target.blocks.map(({ cidr, except }) => ({ ipBlock: except.length === 0 ? { cidr } : { cidr, except } }));
  }
}

/** Peers of a cluster policy; null where its API can't name them (addresses as sources, excepts). */
function clusterPeers(target: Target, direction: Direction): readonly Json[] | null {
  switch (target.kind) {
    case "pods":
      return [{ pods: { namespaceSelector: named(target.namespace), podSelector: withLabels(target.labels) } }];
    case "namespace":
      return [{ namespaces: target.namespace === null ? {} : named(target.namespace) }];
    case "networks":
      return direction === "ingress" ? null : [{ networks: target.blocks.map(({ cidr }) => cidr) }];
  }
}

/** Does a rule for these ports leave `ports` out? Only such a rule matches protocols without ports. */
const needsNoPorts = (ports: PortSet): boolean => ports.equals(PortSet.allPorts) || ports.byProtocol.other.length > 0;

export function networkPolicyPorts(ports: PortSet): readonly Json[] {
  return Array.from(ports.ranges(), ({ protocol, start, end }) => {
    if (start === minPort && end === maxPort) return { protocol };
    return start === end ? { protocol, port: start } : { protocol, port: start, endPort: end };
  });
}

const v1alpha2Port = ({ protocol, start, end }: PortRange): Json => ({
  [protocol.toLowerCase()]: { destinationPort: start === end ? { number: start } : { range: { start, end } } },
});

const v1alpha1Port = ({ protocol, start, end }: PortRange): Json =>
  start === end ? { portNumber: { protocol, port: start } } : { portRange: { protocol, start, end } };

/** A rule of a NetworkPolicy. */
export function networkPolicyRule(target: Target, ports: PortSet, direction: Direction, namespace: string): Json {
  return {
    [direction === "ingress" ? "from" : "to"]: networkPolicyPeers(target, namespace),
    ...(needsNoPorts(ports) ? {} : { ports: networkPolicyPorts(ports) }),
  };
}

/** A rule of a cluster policy; null where its API can't say it. */
export function clusterRule(
  kind: Exclude<PolicyKind, "NetworkPolicy">,
  action: Action,
  target: Target,
  ports: PortSet,
  direction: Direction,
): Json | null {
  const peers = clusterPeers(target, direction);
  if (peers === null) return null;
  const v2 = kind === "ClusterNetworkPolicy";
  const list = Array.from(ports.ranges(), v2 ? v1alpha2Port : v1alpha1Port);
  return {
    action: action === "Accept" && !v2 ? "Allow" : action,
    [direction === "ingress" ? "from" : "to"]: peers,
    ...(needsNoPorts(ports) ? {} : { [v2 ? "protocols" : "ports"]: list }),
  };
}
