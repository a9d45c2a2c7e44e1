/** Random policies of every kind. */
import fc from "fast-check";
import type {
  AdminPort,
  ClusterPeer,
  ClusterPolicy,
  ClusterPolicyKind,
  ClusterPolicySpec,
  ClusterProtocol,
  ClusterRule,
  ClusterSubject,
  DestinationPort,
  NamespacedPods,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicySpec,
  Policy,
  PolicyKind,
} from "./model/policy.ts";
import {
  absent,
  cidrs,
  type Field,
  ipBlock,
  list,
  maybe,
  namespaceKeys,
  namespaceNames,
  networkPolicyPort,
  nodeKeys,
  object,
  pick,
  podKeys,
  portNames,
  portNumbers,
  protocol,
  range,
  selector,
  weighted,
} from "./words.arbitrary.ts";

export interface PolicyOptions {
  /** Kinds that may occur; default: every kind, v1alpha1 and v1alpha2 together in some worlds (spec C18). */
  readonly kinds?: readonly PolicyKind[];
  /** May things occur that must fail closed: unparsable selectors, unknown actions, tiers, peers, protocols? Default true. */
  readonly notUnderstood?: boolean;
}

const metadata = (namespace: string, name: string) => ({ name, namespace });

function networkPolicyPeer(broken: boolean): fc.Arbitrary<NetworkPolicyPeer> {
  const pods = selector(podKeys, broken);
  const namespaces = selector(namespaceKeys, broken);
  return weighted<NetworkPolicyPeer>(
    [3, pods.map((podSelector) => ({ podSelector }))],
    [3, namespaces.map((namespaceSelector) => ({ namespaceSelector, podSelector: null }))],
    [3, fc.record({ podSelector: pods, namespaceSelector: namespaces })],
    [5, ipBlock.map((block) => ({ ipBlock: block }))],
    [
      broken ? 0.3 : 0,
      pick<NetworkPolicyPeer>(
        {},
        { podSelector: null, ipBlock: null },
        { podSelector: {}, ipBlock: { cidr: "0.0.0.0/0" } },
        { ipBlock: { cidr: "10.244.0.0" } },
        { ipBlock: { cidr: "0.0.0.0/0", except: ["10.244.1.0/33"] } },
      ),
    ],
  );
}

function networkPolicySpec(broken: boolean): fc.Arbitrary<NetworkPolicySpec> {
  const peers = list(networkPolicyPeer(broken), 3);
  const ports = list(networkPolicyPort(broken), 3, 3);
  const rule = fc.record({ peers, ports });
  const from = rule.chain((r) => object({ from: fc.constant(r.peers), ports: fc.constant(r.ports) }));
  const to = rule.chain((r) => object({ to: fc.constant(r.peers), ports: fc.constant(r.ports) }));
  return object<NetworkPolicySpec>({
    podSelector: maybe(selector(podKeys, broken, 10)),
    policyTypes: list(pick("Ingress", "Egress"), 2, 6),
    ingress: list(from, 2, 6),
    egress: list(to, 2, 6),
  });
}

const networkPolicy = (name: string, broken: boolean): fc.Arbitrary<NetworkPolicy> =>
  fc
    .record({
      namespace: pick(...namespaceNames),
      spec: weighted<NetworkPolicySpec | null | typeof absent>(
        [20, networkPolicySpec(broken)],
        [1, null],
        [0.5, absent],
      ),
    })
    .map(({ namespace, spec }) => ({
      kind: "NetworkPolicy",
      metadata: metadata(namespace, name),
      ...(spec === absent ? {} : { spec }),
      source: null,
    }));

const namespacedPods = (broken: boolean, all = 4): fc.Arbitrary<NamespacedPods> =>
  object<NamespacedPods>({
    podSelector: selector(podKeys, broken, all),
    namespaceSelector: maybe(selector(namespaceKeys, broken, all), 4),
  });

const subject = (broken: boolean): fc.Arbitrary<ClusterSubject> =>
  weighted<ClusterSubject>(
    [1, selector(namespaceKeys, broken, 12).map((namespaces) => ({ namespaces, pods: null }))],
    [1, namespacedPods(broken, 12).map((pods) => ({ pods }))],
    [broken ? 0.02 : 0, pick<ClusterSubject>({}, { namespaces: {}, pods: { podSelector: {} } })],
  );

function clusterPeer(direction: "ingress" | "egress", broken: boolean): fc.Arbitrary<ClusterPeer> {
  const pods: readonly (readonly [number, fc.Arbitrary<ClusterPeer>])[] = [
    [4, selector(namespaceKeys, broken).map((namespaces) => ({ namespaces }))],
    [4, namespacedPods(broken).map((one) => ({ pods: one, namespaces: null }))],
    [
      broken ? 0.4 : 0,
      pick<ClusterPeer>(
        {},
        { pods: null },
        { networks: ["0.0.0.0/0"], nodes: null },
        { networks: [] },
        { networks: ["10.244.1.0/24", "10.244.2.0"] },
        { namespaces: {}, pods: { podSelector: {} } },
      ),
    ],
  ];
  if (direction === "ingress") return weighted<ClusterPeer>(...pods);
  const networks = fc.uniqueArray(pick(...cidrs.IPv4, ...cidrs.IPv6), { minLength: 1, maxLength: 3 });
  return weighted<ClusterPeer>(
    ...pods,
    [5, networks.map((some) => ({ networks: some }))],
    [3, selector(nodeKeys, broken).map((nodes) => ({ nodes }))],
    [broken ? 0.5 : 0, { domainNames: ["*.example.com"] }],
  );
}

const destinationPort: fc.Arbitrary<DestinationPort> = weighted<DestinationPort>(
  [2, pick(...portNumbers).map((number) => ({ number }))],
  [2, range.map((one) => ({ range: one, number: null }))],
);

function clusterProtocol(broken: boolean): fc.Arbitrary<ClusterProtocol> {
  const port = object<{ destinationPort?: DestinationPort | null }>({ destinationPort: maybe(destinationPort, 10) });
  return weighted<ClusterProtocol>(
    [3, port.map((tcp) => ({ tcp }))],
    [3, port.map((udp) => ({ udp, tcp: null }))],
    [2, port.map((sctp) => ({ sctp }))],
    [3, pick(...portNames).map((name) => ({ destinationNamedPort: name }))],
    [
      broken ? 0.4 : 0,
      pick<ClusterProtocol>(
        {},
        { destinationNamedPort: "" },
        { tcp: null },
        { tcp: {}, udp: {} },
        { sctp: { destinationPort: {} } },
        { tcp: { destinationPort: { number: 80, range: { start: 79, end: 81 } } } },
      ),
    ],
  );
}

function adminPort(broken: boolean): fc.Arbitrary<AdminPort> {
  const asked = weighted<string | null>([4, protocol], [1, null], [broken ? 0.3 : 0, pick("ICMP", "tcp")]);
  const anyRange = fc.record({ start: pick(...portNumbers), end: pick(...portNumbers) }); // may be inverted: spec C16.4
  return weighted<AdminPort>(
    [3, fc.record({ protocol: asked, port: pick(...portNumbers) }).map((portNumber) => ({ portNumber }))],
    [
      3,
      fc.record({ protocol: asked, range: anyRange }).map((r) => ({ portRange: { protocol: r.protocol, ...r.range } })),
    ],
    [3, pick(...portNames).map((namedPort) => ({ namedPort, portNumber: null }))],
    [broken ? 0.4 : 0, pick<AdminPort>({}, { portRange: null }, { namedPort: "web", portNumber: { port: 80 } })],
  );
}

/** Equal priorities are likely: ties are broken by name (spec C4.3), CNP before ANP and BANP (C18.1). */
const priority = pick(0, 1, 10, 1000);

function clusterRule(kind: ClusterPolicyKind, direction: "ingress" | "egress", broken: boolean) {
  const v2 = kind === "ClusterNetworkPolicy";
  return fc
    .record({
      name: pick<string | null>(null, "r", ""),
      action: weighted<string>(
        [4, v2 ? "Accept" : "Allow"],
        [5, "Deny"],
        [kind === "BaselineAdminNetworkPolicy" ? 0 : 3, "Pass"],
        [broken ? 0.5 : 0, pick("Reject", v2 ? "Allow" : "Accept", "Pass")],
      ),
      peers: weighted<readonly ClusterPeer[]>(
        [40, fc.array(clusterPeer(direction, broken), { minLength: 1, maxLength: 3 })],
        [broken ? 1 : 0, fc.constant<readonly ClusterPeer[]>([])],
      ),
      ports: v2 ? list<ClusterProtocol | AdminPort>(clusterProtocol(broken), 2, 3) : list(adminPort(broken), 2, 3),
    })
    .map(({ name, action, peers, ports }) => ({
      name,
      action,
      [direction === "ingress" ? "from" : "to"]: peers,
      ...(ports === absent ? {} : { [v2 ? "protocols" : "ports"]: ports }),
    }));
}

function clusterPolicy(kind: ClusterPolicyKind, name: string, broken: boolean): fc.Arbitrary<ClusterPolicy> {
  const ingress: Field<readonly ClusterRule[] | null> = list(clusterRule(kind, "ingress", broken), 3, 6);
  const egress: Field<readonly ClusterRule[] | null> = list(clusterRule(kind, "egress", broken), 3, 6);
  const tier = weighted<string>([5, "Admin"], [4, "Baseline"], [broken ? 0.3 : 0, "Middle"]);
  return object<ClusterPolicySpec>({
    tier: kind === "ClusterNetworkPolicy" ? tier : fc.constant(absent),
    priority: kind === "BaselineAdminNetworkPolicy" ? fc.constant(absent) : priority,
    subject: subject(broken),
    ingress,
    egress,
  }).map((spec) => ({ kind, metadata: metadata("", name), spec, source: null }));
}

const policyNames = ["p", "a", "q", "b", "p-1", "p.1"] as const;

export function arbitraryPolicy({ kinds, notUnderstood = true }: PolicyOptions): fc.Arbitrary<Policy> {
  const allowed = kinds ?? [
    "NetworkPolicy",
    "ClusterNetworkPolicy",
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
  ];
  const weights: Readonly<Record<PolicyKind, number>> = {
    NetworkPolicy: 8,
    ClusterNetworkPolicy: 6,
    AdminNetworkPolicy: 3,
    BaselineAdminNetworkPolicy: 1,
  };
  return weighted(...allowed.map((kind) => [weights[kind], pick(kind)] as const)).chain(
    (kind): fc.Arbitrary<Policy> => {
      if (kind === "BaselineAdminNetworkPolicy") return clusterPolicy(kind, "default", notUnderstood); // singleton: spec C16.3
      return pick(...policyNames).chain(
        (name): fc.Arbitrary<Policy> =>
          kind === "NetworkPolicy" ? networkPolicy(name, notUnderstood) : clusterPolicy(kind, name, notUnderstood),
      );
    },
  );
}

/** Which kinds stand together: mostly one generation of cluster policies, sometimes both (spec C18). */
export const kindMixes: fc.Arbitrary<readonly PolicyKind[]> = weighted<readonly PolicyKind[]>(
  [3, ["NetworkPolicy"]],
  [5, ["NetworkPolicy", "ClusterNetworkPolicy"]],
  [2, ["ClusterNetworkPolicy"]],
  [4, ["NetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"]],
  [2, ["NetworkPolicy", "ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"]],
);
