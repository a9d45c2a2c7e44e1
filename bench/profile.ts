/**
 * The size profile of a real cluster: 5,413 pods, 604 namespaces, 13,678 NetworkPolicies. The histograms are those that
 * github.com/npinaeva/k8s-netpol-scale (yaml-analysis/README.md) published of it; names, labels and addresses are made up.
 */
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../src/policy/model/policy.ts";
import type { ContainerPort, Namespace, Node, Pod, World } from "../src/policy/model/world.ts";
import { randomNumbers } from "./random.ts";

/** [value, how many have it] */
type Histogram = readonly (readonly [value: number, count: number])[];

const podCount = 5413;
const namespaceCount = 604;
const nodeCount = 50;
const emptyPolicies = 3559;
const denyOnlyPolicies = 495;

// biome-ignore format: a table
const selectedPods: Histogram = [[1, 1436], [2, 559], [3, 54], [4, 243], [5, 2512], [6, 496], [7, 927], [8, 196], [9, 240],
  [10, 211], [11, 572], [12, 482], [13, 60], [14, 33], [15, 47], [16, 57], [17, 100], [18, 39], [19, 84], [20, 99], [21, 116],
  [22, 136], [23, 30], [24, 50], [25, 339], [26, 41], [27, 9], [28, 2], [33, 2], [34, 2], [36, 1], [38, 2], [53, 1], [58, 2],
  [80, 1], [81, 1], [87, 2], [127, 431], [154, 9]];

/** Rules whose peers are ipBlocks: how many. */
// biome-ignore format: a table
const cidrsPerRule: Histogram = [[1, 5521], [2, 72], [3, 346], [4, 7], [5, 1], [6, 263], [7, 2], [14, 2], [21, 1]];

/** Rules whose peers are selectors: how many pods these select. 3,578 are the pods of every namespace with `shared`. */
// biome-ignore format: a table
const peerPods: Histogram = [[1, 590], [2, 4621], [3, 393], [4, 649], [5, 868], [6, 433], [7, 384], [8, 62], [9, 63], [10, 75],
  [11, 18], [12, 75], [13, 346], [14, 10], [15, 10], [16, 12], [17, 22], [18, 10], [19, 20], [20, 25], [21, 27], [22, 33],
  [23, 10], [24, 15], [25, 12], [26, 10], [27, 3], [28, 1], [34, 1], [36, 1], [58, 1], [80, 46], [87, 1], [127, 288],
  [154, 3], [3578, 70]];

const cidrRulePorts: Histogram = [
  [0, 1147],
  [1, 4710],
  [2, 341],
  [4, 1],
  [5, 16],
];
const selectorRulePorts: Histogram = [
  [0, 6370],
  [1, 2417],
  [2, 416],
  [3, 3],
  [4, 1],
  [5, 1],
];

const servedPorts = [80, 443, 5432, 6379, 8080, 8443, 9090, 9092, 3306, 27017];
const containerPorts: readonly ContainerPort[] = [
  { name: "http", number: 8080, protocol: "TCP" },
  { name: "metrics", number: 9090, protocol: "TCP" },
];

/** Pods that one selector names: a whole namespace, or one app of it. */
interface Population {
  readonly namespace: string;
  readonly app: string | null;
}

/**
 * Builds the profile. Equal seeds give equal worlds.
 *
 * @example profileWorld().policies.length // 13678
 */
export function profileWorld(seed = 1): World {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const draw = (histogram: Histogram): number[] => {
    const values = histogram.flatMap(([value, count]) => Array.from({ length: count }, () => value));
    for (let i = values.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [values[i], values[j]] = [values[j]!, values[i]!];
    }
    return values;
  };

  const sizes = namespaceSizes();
  const pods: Pod[] = [];
  const populations = new Map<number, Population[]>();
  const note = (size: number, population: Population): void => {
    const list = populations.get(size);
    if (list === undefined) populations.set(size, [population]);
    else list.push(population);
  };
  const namespaces: Namespace[] = [];
  let sharedPods = 0;
  for (const [index, size] of sizes.entries()) {
    const name = `ns-${index}`;
    const shared = sharedPods + size <= 3578;
    if (shared) sharedPods += size;
    const labels = {
      "kubernetes.io/metadata.name": name,
      team: `team-${index % 40}`,
      ...(shared && { shared: "true" }),
    };
    namespaces.push({ name, labels, defined: true, source: null });
    note(size, { namespace: name, app: null });
    for (let left = size, app = 0; left > 0; app++) {
      const replicas = Math.min(left, 1 + below(Math.max(2, Math.ceil(size / 4))));
      left -= replicas;
      note(replicas, { namespace: name, app: `app-${app}` });
      const hash = Math.floor(random() * 2 ** 32).toString(36);
      for (let replica = 0; replica < replicas; replica++) {
        const node = pods.length % nodeCount;
        pods.push({
          namespace: name,
          name: `app-${app}-${hash}-${replica}`,
          labels: { app: `app-${app}`, version: `v${app % 3}`, team: labels.team, "pod-template-hash": hash },
          ips: [`10.128.${node}.${2 + Math.floor(pods.length / nodeCount)}`],
          node: `node-${node}`,
          hostNetwork: false,
          phase: "Running",
          ports: containerPorts,
          workload: { kind: "Deployment", name: `app-${app}` },
          template: false,
          replicas: null,
          source: null,
        });
      }
    }
  }

  const populationOf = (size: number): Population => pick(populations.get(size)!);
  const podSelector = ({ app }: Population) => (app === null ? {} : { matchLabels: { app } });
  const selectorPeer = (size: number): NetworkPolicyPeer => {
    if (size === 3578) return { namespaceSelector: { matchLabels: { shared: "true" } } };
    const population = populationOf(size);
    const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": population.namespace } };
    return population.app === null
      ? { namespaceSelector }
      : { namespaceSelector, podSelector: podSelector(population) };
  };
  const port = (): NetworkPolicyPort => {
    const kind = random();
    if (kind < 0.04) return { protocol: "TCP", port: pick(containerPorts).name };
    if (kind < 0.1) return { protocol: "UDP", port: 53 };
    if (kind < 0.11) return { protocol: "TCP", port: 30000, endPort: 32767 };
    return { protocol: "TCP", port: pick(servedPorts) };
  };
  const ports = (count: number) => (count === 0 ? {} : { ports: Array.from({ length: count }, port) });
  const cidrs = Array.from({ length: 600 }, (_, i) =>
    i < 400
      ? `203.${i % 13}.${i % 250}.${below(255)}/32`
      : i < 570
        ? `172.${16 + (i % 16)}.${i % 250}.0/24`
        : `100.${i - 506}.0.0/16`,
  );
  const ipBlock = (): NetworkPolicyPeer =>
    random() < 0.05
      ? { ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "169.254.169.254/32"] } }
      : { ipBlock: { cidr: pick(cidrs) } };

  type Rule = { readonly egress: boolean; readonly peers: NetworkPolicyPeer[]; readonly ports?: NetworkPolicyPort[] };
  const cidrPorts = draw(cidrRulePorts);
  const selectorPorts = draw(selectorRulePorts);
  const rules: Rule[] = [
    ...draw(cidrsPerRule).map((count, i) => ({
      egress: random() < 0.8,
      peers: Array.from({ length: count }, ipBlock),
      ...ports(cidrPorts[i]!),
    })),
    ...draw(peerPods).map((size, i) => ({
      egress: random() < 0.3,
      peers: [selectorPeer(size)],
      ...ports(selectorPorts[i]!),
    })),
  ];

  // One rule for each policy that has any, the rest wherever they fall.
  const populated = draw(selectedPods);
  const rulesOf: Rule[][] = populated.map(() => []);
  for (let i = rules.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [rules[i], rules[j]] = [rules[j]!, rules[i]!];
  }
  for (const [i, rule] of rules.entries()) (rulesOf[i] ?? pick(rulesOf)).push(rule);

  const policies: NetworkPolicy[] = [];
  const add = (namespace: string, selector: { matchLabels?: Record<string, string> }, own: readonly Rule[]): void => {
    const ingress = own.filter((rule) => !rule.egress);
    const egress = own.filter((rule) => rule.egress);
    const policyTypes = [
      ...(ingress.length > 0 || own.length === 0 ? ["Ingress"] : []),
      ...(egress.length > 0 ? ["Egress"] : []),
    ];
    policies.push({
      kind: "NetworkPolicy",
      metadata: { name: `policy-${policies.length}`, namespace },
      spec: {
        podSelector: selector,
        policyTypes,
        ingress: ingress.map(({ peers, ports }) => ({ from: peers, ...(ports && { ports }) })),
        egress: egress.map(({ peers, ports }) => ({ to: peers, ...(ports && { ports }) })),
      },
      source: null,
    });
  };
  for (const [i, size] of populated.entries()) {
    const population = populationOf(size);
    add(population.namespace, podSelector(population), rulesOf[i]!);
  }
  for (let i = 0; i < denyOnlyPolicies; i++) add(pick(namespaces).name, {}, []);
  for (let i = 0; i < emptyPolicies; i++) {
    const nobody = { matchLabels: { app: `gone-${i % 900}` } };
    if (i % 2 === 0) add(pick(namespaces).name, nobody, [pick(rules)]);
    else add(pick(namespaces).name, nobody, [{ egress: false, peers: [{ podSelector: nobody }] }]);
  }

  const nodes = Array.from(
    { length: nodeCount },
    (_, i): Node => ({
      name: `node-${i}`,
      labels: { "kubernetes.io/hostname": `node-${i}`, "kubernetes.io/os": "linux" },
      ips: [`192.168.0.${i + 1}`],
      podCIDRs: [`10.128.${i}.0/24`],
      source: null,
    }),
  );
  const cluster = { podCIDRs: nodes.flatMap((node) => node.podCIDRs), serviceCIDRs: ["10.96.0.0/12"] };
  return { nodes, namespaces, pods, services: [], policies, cluster };
}

/** One namespace of each size that some selector needs; the rest share what is left of the pods. */
function namespaceSizes(): number[] {
  const needed = new Set([...selectedPods, ...peerPods].map(([size]) => size).filter((size) => size !== 3578));
  const sizes = [...needed];
  const common = [1, 2, 5, 7, 5, 11, 4, 5, 12, 6, 25, 7];
  let left = podCount - sizes.reduce((sum, size) => sum + size, 0);
  while (sizes.length < namespaceCount) {
    const others = namespaceCount - sizes.length - 1; // each of them gets at least one pod
    const size = others === 0 ? left : Math.min(common[sizes.length % common.length]!, left - others);
    sizes.push(size);
    left -= size;
  }
  return sizes;
}
