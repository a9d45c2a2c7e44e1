/**
 * Random worlds for property tests. Alphabets are small so that selectors, CIDRs, names and ports meet each other often;
 * every absent, null and empty form that the API knows occurs.
 *
 * Left out, because no answer exists to compare: facts that contradict each other (a pod with a node's address).
 */
import fc from "fast-check";
import { type Family, families } from "../net/address.ts";
import { maxPort, minPort, type Protocol, portProtocols } from "../net/ports.ts";
import { type Change, policyKey } from "./compile/plan.ts";
import { namespaceNameLabel } from "./model/labels.ts";
import { policyRef } from "./model/policy.ts";
import type { End, Flow } from "./model/verdict.ts";
import { isFinished, type Namespace, type Node, namespacedName, type Pod, type World } from "./model/world.ts";
import { arbitraryPolicy, kindMixes, type PolicyOptions } from "./policies.arbitrary.ts";
import {
  containerPorts,
  externalAddresses,
  familyOf,
  labels,
  namespaceKeys,
  namespaceNames,
  nodeKeys,
  pick,
  podIPv4,
  podIPv6,
  podKeys,
  portNumbers,
  weighted,
} from "./words.arbitrary.ts";

export interface WorldOptions extends PolicyOptions {
  readonly maxPods?: number;
  readonly maxNodes?: number;
  readonly maxPolicies?: number;
  /** May pods lack an address? Default true. */
  readonly addressless?: boolean;
}

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
