/**
 * Scenarios of the ecosystem's suites as data: what the policies are, step by step, and who then reaches whom. The same
 * tables are asked of the engine, of the reference and of the kernel.
 */
import type { Family } from "../../src/net/address.ts";
import type { PortProtocol } from "../../src/net/ports.ts";
import { type Labels, namespaceNameLabel } from "../../src/policy/model/labels.ts";
import type { Policy } from "../../src/policy/model/policy.ts";
import type { End, Flow, Outcome } from "../../src/policy/model/verdict.ts";
import { type Node, namespacedName, type Pod, plainPod, type World } from "../../src/policy/model/world.ts";

export type PortKey = `${PortProtocol} ${number}`;

/**
 * One sentence of a table: `allow y -> x/a`. An end is `*` (all pods
 * but hostNetwork ones), a namespace, or `namespace/pod`. The last sentence
 * that fits a pair counts; pairs that none fits are not asserted. A pod and itself are left out.
 */
export type Sentence = `${Outcome} ${string} -> ${string}`;

export interface Step {
  /** All policies from this step on; absent: those of the step before. */
  readonly policies?: readonly Policy[];
  /** Labels that a namespace (`y`) or pod (`x/b`) has from this step on besides its own. */
  readonly labels?: Readonly<Record<string, Labels>>;
  /** Label keys that a namespace or pod has no longer. */
  readonly unlabel?: Readonly<Record<string, string>>;
  readonly expect: Readonly<Partial<Record<PortKey, readonly Sentence[]>>>;
}

export interface Scenario {
  /** The row of `docs/semantics.md` D. */
  readonly id: string;
  readonly title: string;
  readonly steps: readonly Step[];
}

/** What a step's table says about one connection. */
export interface Cell {
  /** `namespace/pod` */
  readonly from: string;
  readonly to: string;
  readonly protocol: PortProtocol;
  readonly port: number;
  readonly expect: Outcome;
}

export interface StepState {
  readonly world: World;
  readonly cells: readonly Cell[];
}

/** The worlds that a scenario goes through, from a world without policies, and their tables. */
export function statesOf(base: World, { steps }: Scenario): StepState[] {
  let world: World = { ...base, policies: [] };
  return steps.map((step) => {
    world = after(world, step);
    return { world, cells: cellsOf(world, step) };
  });
}

function after(world: World, { policies = world.policies, labels = {}, unlabel = {} }: Step): World {
  const relabelled = <T extends { readonly labels: Labels }>(key: string, object: T): T => {
    if (labels[key] === undefined && unlabel[key] === undefined) return object;
    const rest = Object.entries({ ...object.labels, ...labels[key] }).filter(([name]) => name !== unlabel[key]);
    return { ...object, labels: Object.fromEntries(rest) };
  };
  return {
    ...world,
    policies,
    namespaces: world.namespaces.map((namespace) => relabelled(namespace.name, namespace)),
    pods: world.pods.map((pod) => relabelled(namespacedName(pod), pod)),
  };
}

function cellsOf(world: World, { expect }: Step): Cell[] {
  const fits = (pattern: string, pod: Pod): boolean =>
    pattern === "*" ? !pod.hostNetwork : pattern === pod.namespace || pattern === namespacedName(pod);
  return Object.entries(expect).flatMap(([key, sentences = []]) => {
    const [protocol, port] = key.split(" ") as [PortProtocol, string];
    const parsed = sentences.map(parse).reverse();
    return world.pods.flatMap((from) =>
      world.pods.flatMap((to): Cell[] => {
        const sentence = parsed.find((one) => fits(one.from, from) && fits(one.to, to));
        if (from === to || sentence === undefined) return [];
        const ends = { from: namespacedName(from), to: namespacedName(to) };
        return [{ ...ends, protocol, port: Number(port), expect: sentence.outcome }];
      }),
    );
  });
}

function parse(sentence: Sentence): { readonly outcome: Outcome; readonly from: string; readonly to: string } {
  const [, outcome, from, to] = /^(allow|deny) (\S+) -> (\S+)$/.exec(sentence) ?? [];
  if (from === undefined || to === undefined) throw new Error(`not a sentence: ${sentence}`);
  return { outcome: outcome as Outcome, from, to };
}

/** The end that a pod is; a hostNetwork pod is its node (spec A8.2). */
export function endOf(world: World, name: string): End {
  const pod = world.pods.find((one) => namespacedName(one) === name)!;
  if (!pod.hostNetwork) return { kind: "pod", pod };
  return { kind: "node", node: world.nodes.find((node) => node.name === pod.node)! };
}

export const flowOf = (world: World, { from, to, protocol, port }: Cell, family: Family): Flow => ({
  from: endOf(world, from),
  to: endOf(world, to),
  family,
  protocol,
  port,
});

export const cellText = ({ from, to, protocol, port, expect }: Cell): string =>
  `${from} -> ${to} ${protocol} ${port} ${expect}`;

// ---- worlds ---------------------------------------------------------------------------------------------------------

export const nodeNamed = (name: string, number: number): Node => ({
  name,
  labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" },
  ips: [`172.18.0.${number}`, `fd00:172:18::${number}`],
  podCIDRs: [],
  source: null,
});

export const namespaceNamed = (name: string, labels: Labels = {}): World["namespaces"][number] => ({
  name,
  labels: { ...labels, [namespaceNameLabel]: name },
  defined: true,
  source: null,
});

/** A running pod with an address of each family. */
export const podNamed = (
  {
    namespace,
    name,
    labels,
    node,
    ports,
    hostNetwork = false,
  }: Pick<Pod, "namespace" | "name" | "labels" | "ports"> & {
    readonly node: Node;
    readonly hostNetwork?: boolean;
  },
  number: number,
): Pod =>
  plainPod(namespace, name, {
    labels,
    ips: hostNetwork ? node.ips : [`10.244.0.${number}`, `fd00:10:244::${number.toString(16)}`],
    node: node.name,
    hostNetwork,
    ports,
  });

/** An address of a pod as a network of its own. */
export const networksOf = (world: World, name: string): string[] =>
  world.pods.find((pod) => namespacedName(pod) === name)!.ips.map((ip) => `${ip}/${ip.includes(":") ? 128 : 32}`);
