/**
 * Random worlds for property tests. Alphabets are small so that selectors, CIDRs, names and ports meet each other often;
 * every absent, null and empty form that the API knows occurs.
 *
 * Left out, because no answer exists to compare: facts that contradict each other (a pod with a node's address).
 */
import fc from "fast-check";
import { type Family, families, parseAddress } from "../net/address.ts";
import { maxPort, minPort, type PortProtocol, type Protocol, portProtocols } from "../net/ports.ts";
import { type Change, policyKey } from "./compile/plan.ts";
import { type LabelSelector, type LabelSelectorRequirement, type Labels, namespaceNameLabel } from "./model/labels.ts";
import {
  type AdminPort,
  type ClusterPeer,
  type ClusterPolicy,
  type ClusterPolicyKind,
  type ClusterPolicySpec,
  type ClusterProtocol,
  type ClusterRule,
  type ClusterSubject,
  type DestinationPort,
  type IPBlock,
  type NamespacedPods,
  type NetworkPolicy,
  type NetworkPolicyPeer,
  type NetworkPolicyPort,
  type NetworkPolicySpec,
  type Policy,
  type PolicyKind,
  policyRef,
} from "./model/policy.ts";
import type { End, Flow } from "./model/verdict.ts";
import {
  type ContainerPort,
  isFinished,
  type Namespace,
  type Node,
  namespacedName,
  type Pod,
  type World,
} from "./model/world.ts";

export interface WorldOptions {
  readonly maxPods?: number;
  readonly maxNodes?: number;
  readonly maxPolicies?: number;
  /** Kinds that may occur; default: every kind, v1alpha1 and v1alpha2 together in some worlds (spec C18). */
  readonly kinds?: readonly PolicyKind[];
  /** May pods lack an address? Default true. */
  readonly addressless?: boolean;
  /** May things occur that must fail closed: unparsable selectors, unknown actions, tiers, peers, protocols? Default true. */
  readonly notUnderstood?: boolean;
}

// ---- forms ----------------------------------------------------------------------------------------------------------

const absent = Symbol("absent");
type Field<T> = fc.Arbitrary<T | typeof absent>;

/** A record whose fields may be missing. */
function object<T extends object>(fields: { readonly [K in keyof T]-?: Field<T[K]> }): fc.Arbitrary<T> {
  return fc
    .record(fields as Record<string, fc.Arbitrary<unknown>>)
    .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== absent)) as T);
}

function weighted<T>(...choices: readonly (readonly [number, fc.Arbitrary<T> | T])[]): fc.Arbitrary<T> {
  return fc.oneof(
    ...choices.map(([weight, choice]) => ({
      weight: Math.round(weight * 100), // fast-check takes whole numbers
      arbitrary: choice instanceof fc.Arbitrary ? choice : (fc.constant(choice) as fc.Arbitrary<T>),
    })),
  );
}

/** A field that is missing, null or set; `set` is the weight of being set, against 2. */
const maybe = <T>(arbitrary: fc.Arbitrary<T>, set = 6): Field<T | null> =>
  weighted<T | null | typeof absent>([set, arbitrary], [1, null], [1, absent]);

/** A list that is missing, null, empty or filled. */
const list = <T>(item: fc.Arbitrary<T>, maxLength: number, filled = 8): Field<readonly T[] | null> =>
  maybe(
    weighted<readonly T[]>([filled, fc.array(item, { minLength: 1, maxLength })], [1, fc.constant<readonly T[]>([])]),
    filled,
  );

const pick = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

// ---- labels ---------------------------------------------------------------------------------------------------------

const podKeys = ["app", "tier", "env"] as const;
const namespaceKeys = ["team", "env", namespaceNameLabel] as const;
const nodeKeys = ["kubernetes.io/os", "pool"] as const;
const namespaceNames = ["x", "y", "z"] as const;
const values: Readonly<Record<string, readonly string[]>> = {
  app: ["a", "b", ""],
  tier: ["front", "back"],
  env: ["", "prod"],
  team: ["red", "blue", ""],
  [namespaceNameLabel]: namespaceNames,
  "kubernetes.io/os": ["linux", "windows"],
  pool: ["web", "db"],
};

const label = (keys: readonly string[]): fc.Arbitrary<readonly [string, string]> =>
  pick(...keys).chain((key) => pick(...values[key]!).map((value) => [key, value] as const));

const labels = (keys: readonly string[], maxLength: number): fc.Arbitrary<Labels> =>
  fc.array(label(keys), { maxLength }).map((pairs) => Object.fromEntries(pairs));

function requirement(keys: readonly string[]): fc.Arbitrary<LabelSelectorRequirement> {
  return pick(...keys).chain((key) => {
    const some = fc.uniqueArray(pick(...values[key]!), { minLength: 1, maxLength: 2 });
    return weighted<LabelSelectorRequirement>(
      [3, some.map((v) => ({ key, operator: "In", values: v }))],
      [4, some.map((v) => ({ key, operator: "NotIn", values: v }))],
      [2, { key, operator: "Exists" }],
      [1, { key, operator: "Exists", values: [] }],
      [2, { key, operator: "DoesNotExist", values: null }],
    );
  });
}

/** Selectors that no API server takes today, but that stored objects hold (spec A10.9, C1.4). */
const unparsableSelector: fc.Arbitrary<LabelSelector> = pick<LabelSelector>(
  { matchExpressions: [{ key: "app", operator: "Gt", values: ["1"] }] },
  { matchExpressions: [{ key: "app", operator: "in", values: ["a"] }] },
  { matchExpressions: [{ key: "app", operator: "In", values: [] }] },
  { matchExpressions: [{ key: "app", operator: "NotIn" }] },
  { matchExpressions: [{ key: "app", operator: "DoesNotExist", values: ["a"] }] },
  { matchExpressions: [{ key: "app", operator: "NotIn", values: ["not valid"] }] },
  { matchLabels: { "bad key": "a" } },
  { matchLabels: { app: "-a" } },
);

/** `all` is the weight of selecting everything, against 13. */
const selector = (keys: readonly string[], broken: boolean, all = 4): fc.Arbitrary<LabelSelector> =>
  weighted<LabelSelector>(
    [all, {}],
    [1, { matchLabels: null, matchExpressions: [] }],
    [5, label(keys).map(([key, value]) => ({ matchLabels: { [key]: value } }))],
    [5, requirement(keys).map((one) => ({ matchExpressions: [one] }))],
    [
      2,
      object<LabelSelector>({
        matchLabels: maybe(labels(keys, 2), 2),
        matchExpressions: list(requirement(keys), 2, 2),
      }),
    ],
    [broken ? 0.5 : 0, unparsableSelector],
  );

// ---- addresses ------------------------------------------------------------------------------------------------------

/** The addresses of the pod slot `slot`; the CIDR alphabet below knows those of the first slots. */
const podIPv4 = (slot: number): string => `10.244.${(slot % 2) + 1}.${10 + slot}`;
const podIPv6 = (slot: number): string => `fd00:244:${(slot % 2) + 1}::${(10 + slot).toString(16)}`;

const cidrs: Readonly<Record<Family, readonly string[]>> = {
  IPv4: [
    "0.0.0.0/0",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.244.0.0/16",
    "10.244.0.0/16",
    "10.244.1.0/24",
    "10.244.1.77/24", // host bits (spec A11.5)
    "010.244.002.0/24", // leading zeros (A11.6)
    "10.244.2.0/024",
    "10.244.1.10/32",
    "10.244.2.11/31",
    "::ffff:10.244.0.0/112", // IPv4-mapped (A11.7)
    "::ffff:10.244.1.10/128",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "172.18.0.0/16",
    "172.18.0.11/32",
    "192.0.2.0/24",
    "203.0.113.0/24",
    "203.0.113.9/32",
  ],
  IPv6: [
    "::/0",
    "::/0",
    "fd00::/8",
    "fd00:244::/32",
    "fd00:244:1::/64",
    "FD00:0244:0002:0::5/64",
    "fd00:244:1::a/128",
    "fd00:244:2::b/127",
    "fd00:18::/64",
    "fd00:18::b/128",
    "2001:db8::/32",
    "2001:db8::9/128",
    "::ffff:0.0.0.0/90", // wider than the mapped range: an IPv6 network
  ],
};

/** Addresses outside: no pod slot and no node has one of these. */
const externalAddresses = [
  "203.0.113.9",
  "198.51.100.7",
  "10.244.1.200",
  "10.9.9.9",
  "2001:db8::9",
  "2001:db8:ffff::1",
  "fd00:244:1::ffff",
] as const;

const familyOf = (address: string): Family => parseAddress(address)!.family;

const ipBlock: fc.Arbitrary<IPBlock> = pick(...families).chain((family) =>
  object<IPBlock>({
    cidr: weighted<string>([4, pick(...cidrs[family])], [2, cidrs[family][0]!]),
    except: list(weighted<string>([9, pick(...cidrs[family].slice(2))], [1, pick(...cidrs.IPv4, ...cidrs.IPv6)]), 3, 2),
  }),
);

// ---- ports ----------------------------------------------------------------------------------------------------------

const portNames = ["web", "dns", "sig"] as const;
const portNumbers = [1, 53, 79, 80, 81, 443, 8080, 9003, 65535] as const;

const containerPorts: readonly ContainerPort[] = [
  { name: "web", number: 80, protocol: "TCP" },
  { name: "web", number: 8080, protocol: "TCP" },
  { name: "web", number: 80, protocol: "UDP" },
  { name: "dns", number: 53, protocol: "UDP" },
  { name: "dns", number: 53, protocol: "TCP" },
  { name: "sig", number: 9003, protocol: "SCTP" },
];

const protocol: fc.Arbitrary<PortProtocol> = weighted<PortProtocol>([4, "TCP"], [3, "UDP"], [2, "SCTP"]);

const range = fc
  .tuple(pick(...portNumbers), pick(...portNumbers))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));

const networkPolicyPort = (broken: boolean): fc.Arbitrary<NetworkPolicyPort> =>
  weighted<NetworkPolicyPort>(
    [broken ? 0.3 : 0, pick<NetworkPolicyPort>({ endPort: 90 }, { port: "web", endPort: 90 }, { protocol: "ICMP" })],
    [1, {}],
    [
      1,
      object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(null, absent), endPort: pick(null, absent) }),
    ],
    [
      5,
      object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(...portNumbers), endPort: pick(null, absent) }),
    ],
    [
      4,
      object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(...portNames), endPort: pick(null, absent) }),
    ],
    [
      4,
      fc
        .tuple(
          object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(absent), endPort: pick(absent) }),
          range,
        )
        .map(([one, { start, end }]) => ({ ...one, port: start, endPort: end })),
    ],
  );

// ---- policies -------------------------------------------------------------------------------------------------------

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

function arbitraryPolicy({ kinds, notUnderstood = true }: WorldOptions): fc.Arbitrary<Policy> {
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
const kindMixes: fc.Arbitrary<readonly PolicyKind[]> = weighted<readonly PolicyKind[]>(
  [3, ["NetworkPolicy"]],
  [5, ["NetworkPolicy", "ClusterNetworkPolicy"]],
  [2, ["ClusterNetworkPolicy"]],
  [4, ["NetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"]],
  [2, ["NetworkPolicy", "ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"]],
);

// ---- things that policies judge -------------------------------------------------------------------------------------

const arbitraryNamespace = (name: string): fc.Arbitrary<Namespace> =>
  labels(namespaceKeys.slice(0, 2), 2).map((own) => ({
    name,
    labels: { ...own, [namespaceNameLabel]: name },
    defined: true,
    source: null,
  }));

const nodeNames = ["n1", "n2", "n3"] as const;
type AddressForm = "v4" | "dual" | "several" | "v6" | "none";

/** `number` 1 gives 172.18.0.11: addresses follow from the name, so CIDRs can name them. */
function nodeIPs(number: number, form: AddressForm): string[] {
  const v4 = `172.18.0.${10 + number}`;
  const v6 = `fd00:18::${(10 + number).toString(16)}`;
  if (form === "v4") return [v4];
  if (form === "v6") return [v6];
  return form === "dual" ? [v4, v6] : [v4, v6, `192.0.2.${10 + number}`, `2001:db8:18::${number}`];
}

/** `podCIDRs` stay what the cluster facts say, for every version of a node. */
const arbitraryNode = (name: string): fc.Arbitrary<Node> =>
  fc
    .record({
      labels: labels(nodeKeys, 2),
      form: weighted<AddressForm>([2, "v4"], [3, "dual"], [3, "several"], [1, "v6"]),
    })
    .map(({ labels: own, form }) => ({
      name,
      labels: own,
      ips: nodeIPs(Number(name.slice(1)), form),
      podCIDRs: [],
      source: null,
    }));

const podNames = ["a", "b", "c"] as const;
type PodForm = "plain" | "template" | "pending" | "host" | "finished";

/** What sets a form of pod apart from a plain running one. */
function different(form: PodForm, { name, node }: Pod, slot: number): Partial<Pod> {
  switch (form) {
    case "plain":
      return {};
    case "template":
      return {
        ips: [],
        node: null,
        phase: "Pending",
        workload: { kind: "Deployment", name },
        template: true,
        replicas: 2,
      };
    case "pending":
      return { ips: [], phase: "Pending" };
    case "host":
      return { ips: node?.startsWith("n") ? nodeIPs(Number(node.slice(1)), "dual") : [], hostNetwork: true };
    case "finished":
      return { phase: slot % 2 === 0 ? "Succeeded" : "Failed" };
  }
}

/** A pod at address slot `slot`; `addressless` false makes every form have addresses. */
function arbitraryPod(slots: readonly number[], addressless: boolean): fc.Arbitrary<Pod> {
  return fc
    .record({
      namespace: pick(...namespaceNames),
      name: pick(...podNames),
      labels: labels(podKeys, 3),
      slot: pick(...slots),
      addresses: weighted<AddressForm>([5, "dual"], [2, "v4"], [1, "v6"]),
      node: weighted<string | null>([6, pick(...nodeNames)], [1, null], [0.3, "gone"]),
      form: weighted<PodForm>(
        [16, "plain"],
        [addressless ? 3 : 0, "template"],
        [addressless ? 1 : 0, "pending"],
        [1, "host"],
        [1, "finished"],
      ),
      ports: fc.subarray([...containerPorts]),
    })
    .map(({ form, slot, addresses, ...pod }): Pod => {
      const ips = [...(addresses === "v6" ? [] : [podIPv4(slot)]), ...(addresses === "v4" ? [] : [podIPv6(slot)])];
      const base: Pod = {
        ...pod,
        ips,
        hostNetwork: false,
        phase: "Running",
        workload: { kind: "Pod", name: pod.name },
        template: false,
        replicas: null,
        source: null,
      };
      return { ...base, ...different(form, base, slot) };
    });
}

const podCIDRs: fc.Arbitrary<readonly string[]> = weighted<readonly string[]>(
  [3, fc.constant<readonly string[]>([])],
  [3, fc.constant<readonly string[]>(["10.244.0.0/16", "fd00:244::/32"])],
  [2, fc.constant<readonly string[]>(["10.244.1.0/24", "10.244.2.0/24", "fd00:244:1::/64", "fd00:244:2::/64"])],
  [1, fc.constant<readonly string[]>(["10.244.0.0/16"])],
);

/** A world of up to three namespaces, three nodes, six pods and six policies. */
export function arbitraryWorld(options: WorldOptions = {}): fc.Arbitrary<World> {
  const { maxPods = 6, maxNodes = 3, maxPolicies = 6, addressless = true } = options;
  const slots = [0, 1, 2, 3, 4, 5];
  return fc
    .record({
      nodes: fc.tuple(...nodeNames.slice(0, maxNodes).map(arbitraryNode)),
      nodeCount: fc.nat({ max: maxNodes }),
      namespaces: fc.tuple(...namespaceNames.map(arbitraryNamespace)),
      pods: fc.uniqueArray(arbitraryPod(slots, addressless), {
        minLength: Math.min(3, maxPods),
        maxLength: maxPods,
        size: "max",
        selector: namespacedName,
      }),
      policies: (options.kinds === undefined ? kindMixes : fc.constant(options.kinds)).chain((kinds) =>
        fc.uniqueArray(arbitraryPolicy({ ...options, kinds }), {
          minLength: Math.min(2, maxPolicies),
          maxLength: maxPolicies,
          size: "max",
          selector: (policy) => policyKey(policyRef(policy)),
        }),
      ),
      podCIDRs,
    })
    .map(({ nodes, nodeCount, namespaces, pods, policies, podCIDRs: known }) => ({
      nodes: nodes.slice(0, nodeCount).map((node, i) => ({
        ...node,
        podCIDRs: known.filter((cidr) => cidr.includes(`244:${i + 1}`) || cidr.includes(`244.${i + 1}`)),
      })),
      namespaces,
      pods: distinctAddresses(pods),
      services: [],
      policies,
      cluster: { podCIDRs: known, serviceCIDRs: ["10.96.0.0/12"] },
    }));
}

/** Moves running pods that share an address to a slot of their own; finished pods keep their stale, shared one (spec A17.4). */
function distinctAddresses(pods: readonly Pod[]): Pod[] {
  const taken = new Set<string>();
  return pods.map((pod) => {
    if (pod.hostNetwork || isFinished(pod) || pod.ips.length === 0) return pod;
    let ips = pod.ips;
    for (let slot = 0; ips.some((ip) => taken.has(ip)); slot++)
      ips = pod.ips.map((ip) => (ip.includes(":") ? podIPv6(slot) : podIPv4(slot)));
    for (const ip of ips) taken.add(ip);
    return { ...pod, ips };
  });
}

// ---- questions ------------------------------------------------------------------------------------------------------

/** Ports at which some rule or container port of any generated world begins, ends, or just does not. */
export const boundaryPorts: readonly number[] = [
  ...new Set(portNumbers.flatMap((number) => [number - 1, number, number + 1])),
].filter((number) => number >= minPort && number <= maxPort);

/** The families over which an end can be reached; a pod without an address counts as dual-stack. */
export function endFamilies(end: End): readonly Family[] {
  if (end.kind === "address") return [familyOf(end.address)];
  const ips = end.kind === "pod" ? end.pod.ips : end.node.ips;
  if (end.kind === "pod" && ips.length === 0) return families;
  return families.filter((family) => ips.some((ip) => familyOf(ip) === family));
}

/** Every end that can be asked about: pods that are neither finished nor hostNetwork, nodes, and addresses outside. */
export function endsOf(world: World): readonly End[] {
  return [
    ...world.pods.filter((pod) => !isFinished(pod) && !pod.hostNetwork).map((pod): End => ({ kind: "pod", pod })),
    ...world.nodes.map((node): End => ({ kind: "node", node })),
    ...externalAddresses.map((address): End => ({ kind: "address", address })),
  ];
}

/**
 * Ends that mean another one: hostNetwork pods (their node), addresses of pods and nodes, and the stale address of a
 * finished pod (whoever has it now). Where two live pods report one address nothing says whom it means: left out.
 */
export function aliasesOf(world: World): readonly End[] {
  const live = world.pods.filter((pod) => !isFinished(pod) && !pod.hostNetwork);
  const addresses = [...world.pods.filter((pod) => !pod.hostNetwork), ...world.nodes].flatMap(({ ips }) => ips);
  return [
    ...world.pods
      .filter((pod) => pod.hostNetwork && !isFinished(pod) && world.nodes.some(({ name }) => name === pod.node))
      .map((pod): End => ({ kind: "pod", pod })),
    ...[...new Set(addresses)]
      .filter((address) => live.filter(({ ips }) => ips.includes(address)).length < 2)
      .map((address): End => ({ kind: "address", address })),
  ];
}

/** Every protocol with every boundary port; `other` with its one point. */
export const protocolPorts: readonly { readonly protocol: Protocol; readonly port: number }[] = [
  ...portProtocols.flatMap((name) => boundaryPorts.map((port) => ({ protocol: name, port }))),
  { protocol: "other", port: 0 },
];

export type Pair = Pick<Flow, "from" | "to" | "family" | "viaService">;

/** Every pair of `endsOf`, over every family that both have. */
export function pairsOf(world: World): readonly Pair[] {
  const ends = endsOf(world);
  return pairsBetween(ends, ends);
}

/** Pairs of ends with a family that both have; an end with itself plain and through a Service. */
export function pairsBetween(sources: readonly End[], destinations: readonly End[]): readonly Pair[] {
  return sources.flatMap((from) =>
    destinations.flatMap((to) =>
      endFamilies(from)
        .filter((family) => endFamilies(to).includes(family))
        .flatMap((family): Pair[] => {
          const pair = { from, to, family };
          return from === to ? [pair, { ...pair, viaService: true }] : [pair];
        }),
    ),
  );
}

/** One connection attempt between ends of the world: mostly between two pods, seldom without any. */
export function arbitraryFlow(world: World): fc.Arbitrary<Flow> {
  const choices: readonly (readonly [number, (pair: Pair) => boolean])[] = [
    [16, ({ from, to }) => from.kind === "pod" && to.kind === "pod" && from !== to],
    [2, ({ from, to }) => from.kind === "pod" && from === to],
    [8, ({ from, to }) => (from.kind === "pod") !== (to.kind === "pod")],
    [1, ({ from, to }) => from.kind !== "pod" && to.kind !== "pod"],
  ];
  const pairs = pairsOf(world);
  const groups = choices.flatMap(([weight, belongs]) => {
    const some = pairs.filter(belongs);
    return some.length === 0 ? [] : [[weight, pick(...some)] as const];
  });
  return fc.tuple(weighted(...groups), pick(...protocolPorts)).map(([pair, point]) => ({ ...pair, ...point }));
}

// ---- changes --------------------------------------------------------------------------------------------------------

/** One change that a cluster could see next. */
export function arbitraryChange(world: World, options: WorldOptions = {}): fc.Arbitrary<Change> {
  const addressless = options.addressless ?? true;
  const slots = Array.from({ length: 12 }, (_, slot) => slot);
  const pod = arbitraryPod(slots, addressless);
  const putPod = (object: Pod): Change => ({ op: "put", kind: "pod", object });
  const choices: [number, fc.Arbitrary<Change>][] = [
    [4, pod.map(putPod)],
    [
      3,
      pick(...namespaceNames)
        .chain(arbitraryNamespace)
        .map((object) => ({ op: "put", kind: "namespace", object })),
    ],
    [
      2,
      pick(...nodeNames)
        .chain(arbitraryNode)
        .map((object) => {
          const before = world.nodes.find((node) => node.name === object.name);
          return { op: "put", kind: "node", object: { ...object, podCIDRs: before?.podCIDRs ?? [] } };
        }),
    ],
    [5, arbitraryPolicy(options).map((object) => ({ op: "put", kind: "policy", object }))],
  ];
  if (world.pods.length > 0) {
    const existing = pick(...world.pods);
    choices.push(
      [4, fc.tuple(existing, labels(podKeys, 3)).map(([old, own]) => putPod({ ...old, labels: own }))],
      [
        2,
        fc.tuple(existing, pod).map(([old, fresh]) => putPod({ ...fresh, namespace: old.namespace, name: old.name })),
      ],
      [
        2,
        fc
          .tuple(existing, pick<Pod["phase"]>("Pending", "Running", "Succeeded", "Failed"))
          .map(([old, phase]) => putPod({ ...old, phase })),
      ],
      [1, fc.tuple(existing, fc.subarray([...containerPorts])).map(([old, ports]) => putPod({ ...old, ports }))],
      [2, existing.map((old): Change => ({ op: "remove", kind: "pod", key: namespacedName(old) }))],
    );
  }
  if (world.policies.length > 0)
    choices.push([
      3,
      pick(...world.policies).map(
        (policy): Change => ({ op: "remove", kind: "policy", key: policyKey(policyRef(policy)) }),
      ),
    ]);
  if (world.nodes.length > 0)
    choices.push([1, pick(...world.nodes).map((node): Change => ({ op: "remove", kind: "node", key: node.name }))]);
  if (world.namespaces.length > 0)
    choices.push([
      1,
      pick(...world.namespaces).map((one): Change => ({ op: "remove", kind: "namespace", key: one.name })),
    ]);
  return weighted<Change>(...choices);
}

type WorldList = "pods" | "namespaces" | "nodes" | "services" | "policies";
const listOf: Readonly<Record<Change["kind"], WorldList>> = {
  pod: "pods",
  namespace: "namespaces",
  node: "nodes",
  service: "services",
  policy: "policies",
};

type WorldObject = World[WorldList][number];

function objectKey(object: WorldObject): string {
  if ("metadata" in object) return policyKey(policyRef(object));
  return "namespace" in object ? namespacedName(object) : object.name;
}

/** The world after a change: what a full compile is given, to compare with `LivePlan.apply`. */
export function applyToWorld(world: World, change: Change): World {
  const list = listOf[change.kind];
  const key = change.op === "put" ? objectKey(change.object) : change.key;
  const rest = (world[list] as readonly WorldObject[]).filter((object) => objectKey(object) !== key);
  return { ...world, [list]: change.op === "put" ? [...rest, change.object] : rest };
}

/** Up to `length` changes, each to the world that the one before left. */
export function arbitraryChanges(world: World, length: number): fc.Arbitrary<readonly Change[]> {
  if (length === 0) return fc.constant([]);
  const more = arbitraryChange(world).chain((first) =>
    arbitraryChanges(applyToWorld(world, first), length - 1).map((rest) => [first, ...rest]),
  );
  return fc.oneof({ weight: 1, arbitrary: fc.constant<readonly Change[]>([]) }, { weight: 9, arbitrary: more });
}
