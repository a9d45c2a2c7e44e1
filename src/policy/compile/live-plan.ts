/** The plan over a changing world (contract: `plan.ts`). */
import {
  type Address,
  AddressSet,
  type Family,
  families,
  formatAddress,
  parseAddress,
  parseCidr,
} from "../../net/address.ts";
import type { PortSet } from "../../net/ports.ts";
import type { Labels } from "../model/labels.ts";
import { type Policy, policyRef } from "../model/policy.ts";
import { type Direction, directions, type PortDecision } from "../model/verdict.ts";
import type { ClusterFacts, Namespace, Node, Pod, Service, World } from "../model/world.ts";
import { isFinished, namespacedName } from "../model/world.ts";
import { AddressIndex } from "./address-index.ts";
import type { AddressSplit } from "./address-split.ts";
import { type Entry, Groups, isNodeEntry, isPodEntry, type PodEntry, type PolicyState } from "./groups.ts";
import { ClassJudge } from "./judge.ts";
import { LiveSplit } from "./live-split.ts";
import { compareText } from "./order.ts";
import type {
  AddressGroup,
  Change,
  LivePlan,
  NetClass,
  NodeGroup,
  PeerClass,
  PeerGroup,
  PlanDelta,
  PlanRule,
  PolicyClass,
} from "./plan.ts";
import { policyKey } from "./plan.ts";
import { compareStates, PodClasses } from "./pod-classes.ts";
import { compilePolicy } from "./policy.ts";
import { type Members, type Shape, Shapes, sameRecord } from "./shapes.ts";
import { Sleepers } from "./sleepers.ts";

type ByDirection<T> = Record<Direction, T>;

/** A pod by its key, or a node. There are very many pods: what can be had from the pod itself is not kept beside it. */
type Owner = string | { readonly node: string };

interface Delta {
  readonly pods: Set<string>;
  readonly freed: Set<string>;
  nodes: boolean;
  readonly nets: ByDirection<boolean>;
}

export interface CompileOptions {
  /**
   * Judge the pods of this node only: `policyClass` of others throws, and `groups` and peer classes tell of no more than
   * judging those takes. Policies that select none of them cost next to nothing.
   */
  readonly node?: string;
}

/** Compiles a world. The plan stays connected to nothing: changes are told to it by `apply`. */
export function compile(world: World, { node }: CompileOptions = {}): LivePlan {
  return new Engine(world, node ?? null);
}

class Engine implements LivePlan {
  readonly namespaces = new Map<string, Namespace>();
  readonly nodes = new Map<string, Node>();
  readonly pods = new Map<string, Pod>();
  readonly services = new Map<string, Service>();
  readonly policies = new Map<string, Policy>();
  readonly cluster: ClusterFacts;
  readonly #judge = new ClassJudge();

  #lastId = 0;
  readonly #shapes = new Shapes({
    moved: (shape, members) => this.#moved(shape, members),
    judged: ({ group }) => {
      const entry = this.#groups.entry(group);
      if (entry !== undefined) this.#settleActive(entry);
    },
  });
  /** The node whose pods are judged; null: all are. */
  readonly #node: string | null;
  readonly #sleepers: Sleepers | null;
  /** Policies that ceased to select pods that are judged since the last change began. */
  readonly #idle = new Set<PolicyState>();
  /** Shapes of pods by key; finished pods and those on the host network have none (spec A8.2, A17.4). */
  readonly #podShapes = new Map<string, Shape>();
  readonly #policyStates = new Map<string, PolicyState>();
  readonly #groups = new Groups(this.#shapes, () => ++this.#lastId);
  readonly #owners = new AddressIndex<Owner>();
  readonly #nodeAddresses = new Map<string, { readonly owner: Owner; readonly addresses: readonly Address[] }>();
  readonly #withoutAddress = new Set<string>();
  /** How many active policies look each port name up on every destination. */
  readonly #destinationNames = new Map<string, number>();
  readonly #classes = new PodClasses(
    this.#groups,
    () => ++this.#lastId,
    (name) => this.#destinationNames.has(name),
  );
  readonly #splits: ByDirection<LiveSplit>;
  readonly #nets: ByDirection<{ readonly split: AddressSplit; readonly classes: readonly NetClass[] } | null> = {
    ingress: null,
    egress: null,
  };
  /** null while the first world is read. */
  #delta: Delta | null = null;

  constructor(world: World, node: string | null) {
    this.cluster = world.cluster;
    this.#node = node;
    this.#sleepers = node === null ? null : new Sleepers();
    const podSpace = AddressSet.ofCidrs(world.cluster.podCIDRs.flatMap((text) => parseCidr(text)?.cidr ?? []));
    this.#splits = { ingress: new LiveSplit(podSpace), egress: new LiveSplit(podSpace) };
    for (const namespace of world.namespaces) this.#putNamespace(namespace);
    for (const node of world.nodes) this.#putNode(node);
    for (const service of world.services) this.services.set(namespacedName(service), service);
    for (const pod of world.pods) this.#putPod(pod);
    for (const policy of world.policies) this.#putPolicy(policy);
    this.#settle();
  }

  apply(changes: readonly Change[]): PlanDelta {
    const delta: Delta = {
      pods: new Set(),
      freed: new Set(),
      nodes: false,
      nets: { ingress: false, egress: false },
    };
    this.#delta = delta;
    try {
      for (const change of changes) this.#apply(change);
    } finally {
      this.#settle();
      this.#delta = null;
    }
    return delta;
  }

  #settle(): void {
    for (const state of this.#idle) if (!state.active) this.#sleep(state);
    this.#idle.clear();
    this.#groups.settle();
  }

  #apply(change: Change): void {
    if (change.op === "put") this.#put(change);
    else this.#remove(change);
  }

  #put(change: Extract<Change, { op: "put" }>): void {
    if (change.kind === "pod") this.#putPod(change.object);
    else if (change.kind === "namespace") this.#putNamespace(change.object);
    else if (change.kind === "node") this.#putNode(change.object);
    else if (change.kind === "service") this.services.set(namespacedName(change.object), change.object);
    else this.#putPolicy(change.object);
  }

  #remove({ kind, key }: Extract<Change, { op: "remove" }>): void {
    if (kind === "pod") this.#removePod(key);
    else if (kind === "namespace") this.#removeNamespace(key);
    else if (kind === "node") this.#removeNode(key);
    else if (kind === "service") this.services.delete(key);
    else this.#removePolicy(key);
  }

  // ---- reading ------------------------------------------------------------------------------------------------------

  endAt(address: string): ReturnType<LivePlan["endAt"]> {
    const parsed = parseAddress(address);
    if (parsed === null) return null;
    let best: Pod | null = null;
    let node: Node | null = null;
    for (const owner of this.#owners.at(parsed)) {
      if (typeof owner !== "string") node = this.nodes.get(owner.node)!;
      else {
        const pod = this.pods.get(owner)!;
        if (best === null || compareClaims(pod, best) < 0) best = pod;
      }
    }
    return best !== null ? { kind: "pod", pod: best } : node !== null ? { kind: "node", node } : null;
  }

  policyClass(pod: Pod, direction: Direction): PolicyClass {
    const shape = this.#shapeOf(pod);
    if (!this.#isJudged(this.pods.get(namespacedName(pod))!))
      throw new RangeError(`pod ${namespacedName(pod)} is not on node ${this.#node}: this plan does not judge it`);
    return this.#classes.policyClass(shape, direction);
  }

  podPeer(pod: Pod, family: Family, direction: Direction): PeerClass {
    const shape = this.#shapeOf(pod);
    const known = this.pods.get(namespacedName(pod))!;
    const split = this.#splits[direction];
    const address = podAddress(known, family);
    const unknown = () => (known.ips.length > 0 ? none : split.unknown(family).covered);
    const addressGroups = address === undefined ? unknown() : split.current.find(address);
    return this.#classes.podPeer(shape, addressGroups, direction);
  }

  nodePeer(node: Node, address: string, direction: Direction): PeerClass {
    const groups: NodeGroup[] = [];
    for (const { group, used, matcher } of this.#groups.nodeEntries)
      if (used[direction] > 0 && matcher.matches(node.labels)) groups.push(group);
    const parsed = parseAddress(address);
    const addressGroups = parsed === null ? none : this.#splits[direction].current.find(parsed);
    return this.#classes.peerClass(groups, addressGroups, [], direction);
  }

  addressPeer(address: string, direction: Direction): PeerClass {
    const parsed = parseAddress(address);
    if (parsed === null) throw new RangeError(`not an IP address: ${JSON.stringify(address)}`);
    return this.#classes.peerClass([], this.#splits[direction].current.find(parsed), [], direction);
  }

  addressDependent(pod: Pod, family: Family, direction: Direction): readonly AddressGroup[] {
    this.#shapeOf(pod);
    return this.pods.get(namespacedName(pod))!.ips.length > 0 ? [] : this.#splits[direction].unknown(family).dependent;
  }

  netClasses(direction: Direction): readonly NetClass[] {
    const split = this.#splits[direction].current;
    let nets = this.#nets[direction];
    if (nets?.split !== split) {
      const classes = split.pieces.map((piece) => ({
        get set() {
          return piece.set;
        },
        peer: this.#classes.peerClass([], piece.groups, [], direction),
      }));
      nets = { split, classes };
      this.#nets[direction] = nets;
    }
    return nets.classes;
  }

  groups(direction: Direction): Iterable<PeerGroup> {
    return this.#groups.used(direction);
  }

  judge(subject: PolicyClass, peer: PeerClass): readonly PortDecision[] {
    return this.#judge.decisions(subject, peer);
  }

  allowed(subject: PolicyClass, peer: PeerClass): PortSet {
    return this.#judge.allowed(subject, peer);
  }

  #shapeOf(pod: Pod): Shape {
    const key = namespacedName(pod);
    const shape = this.#podShapes.get(key);
    if (shape !== undefined) return shape;
    if (!this.pods.has(key)) throw new RangeError(`pod ${key} is not in the plan`);
    throw new RangeError(`pod ${key} is finished or on the host network: it has no class`);
  }

  // ---- pods, namespaces, nodes --------------------------------------------------------------------------------------

  #putPod(pod: Pod): void {
    const key = namespacedName(pod);
    const before = this.pods.get(key);
    const oldShape = this.#podShapes.get(key) ?? null;
    const takesPart = !pod.hostNetwork && !isFinished(pod);
    // The new shape first: groups that hold both must not look empty in between.
    const shape = takesPart ? this.#shapes.add(pod, key) : null;
    if (shape !== null && this.#isJudged(pod)) this.#countJudged(shape, 1);
    if (oldShape !== null && this.#isJudged(before!)) this.#countJudged(oldShape, -1);
    if (oldShape !== null && oldShape !== shape) this.#shapes.remove(oldShape, key);
    const addresses = takesPart ? podAddresses(pod) : {};
    const old = before === undefined || oldShape === null ? {} : podAddresses(before);
    const same =
      before !== undefined &&
      oldShape === shape &&
      before.node === pod.node &&
      before.uid === pod.uid && // another pod of the same name: its addresses are another's (spec A18.7)
      before.phase === pod.phase && // of two pods that report one address the running one has it
      families.every((family) => old[family]?.value === addresses[family]?.value);
    this.pods.set(key, pod);
    if (same) return;
    this.#forgetAddresses(key, old);
    if (shape === null) this.#podShapes.delete(key);
    else {
      this.#podShapes.set(key, shape);
      for (const address of Object.values(addresses)) this.#owners.add(address, key);
      if (pod.ips.length === 0) this.#withoutAddress.add(key);
    }
    this.#delta?.pods.add(key);
  }

  #removePod(key: string): void {
    const before = this.pods.get(key);
    if (before === undefined) return;
    const shape = this.#podShapes.get(key);
    this.pods.delete(key);
    this.#podShapes.delete(key);
    if (shape !== undefined) {
      if (this.#isJudged(before)) this.#countJudged(shape, -1);
      this.#shapes.remove(shape, key);
      this.#forgetAddresses(key, podAddresses(before));
    }
    this.#delta?.pods.add(key);
  }

  #forgetAddresses(key: string, addresses: Partial<Record<Family, Address>>): void {
    for (const address of Object.values(addresses)) {
      this.#owners.remove(address, key);
      this.#delta?.freed.add(formatAddress(address));
    }
    this.#withoutAddress.delete(key);
  }

  #isJudged(pod: Pod): boolean {
    return this.#node === null || pod.node === this.#node;
  }

  #countJudged(shape: Shape, step: 1 | -1): void {
    this.#shapes.countJudged(shape, step);
    const isFirst = step > 0 && shape.judged === 1;
    if (isFirst || shape.judged === 0) this.#sleepers?.note(shape);
    if (isFirst) this.#wake(shape);
  }

  #putNamespace(namespace: Namespace): void {
    this.namespaces.set(namespace.name, namespace);
    this.#labelNamespace(namespace.name, namespace.labels);
  }

  #removeNamespace(name: string): void {
    if (this.namespaces.delete(name)) this.#labelNamespace(name, null);
  }

  #labelNamespace(name: string, labels: Labels | null): void {
    this.#shapes.setNamespace(name, labels);
    for (const shape of this.#sleepers?.judgedIn(name) ?? []) this.#wake(shape);
  }

  #putNode(node: Node): void {
    const before = this.nodes.get(node.name);
    if (before !== undefined && sameRecord(before.labels, node.labels) && before.ips.join() === node.ips.join()) {
      this.nodes.set(node.name, node); // a heartbeat
      return;
    }
    this.#removeNode(node.name);
    const owner: Owner = { node: node.name };
    const addresses = node.ips.flatMap((text) => parseAddress(text) ?? []);
    for (const address of addresses) this.#owners.add(address, owner);
    this.nodes.set(node.name, node);
    this.#nodeAddresses.set(node.name, { owner, addresses });
    if (this.#delta !== null) this.#delta.nodes = true;
  }

  #removeNode(name: string): void {
    const before = this.#nodeAddresses.get(name);
    if (before === undefined) return;
    for (const address of before.addresses) this.#owners.remove(address, before.owner);
    this.#nodeAddresses.delete(name);
    this.nodes.delete(name);
    if (this.#delta !== null) this.#delta.nodes = true;
  }

  // ---- policies and groups ------------------------------------------------------------------------------------------

  #putPolicy(policy: Policy): void {
    const key = policyKey(policyRef(policy));
    const before = this.#policyStates.get(key);
    const replaced = this.policies.get(key);
    if (replaced !== undefined) this.#sleepers?.delete(replaced);
    this.policies.set(key, policy);
    if (this.#sleepers?.isAwake(policy) === false) {
      this.#sleepers.add(policy);
      this.#policyStates.delete(key);
      this.#dropPolicy(before);
      return;
    }
    const state = this.#makePolicy(policy);
    if (policy.source === null && before?.positioned === false && before.compiled.content === state.compiled.content) {
      this.#groups.forgetUnmentioned(); // a resync: nothing changed
      return;
    }
    this.#policyStates.set(key, state);
    this.#enforce(state);
    this.#dropPolicy(before); // last: groups that both name must not look unused in between
  }

  #removePolicy(key: string): void {
    const policy = this.policies.get(key);
    if (policy !== undefined) this.#sleepers?.delete(policy);
    this.#dropPolicy(this.#policyStates.get(key));
    this.#policyStates.delete(key);
    this.policies.delete(key);
  }

  /** A shape has pods that are judged: policies that select them must be compiled. */
  #wake(shape: Shape): void {
    for (const policy of this.#sleepers?.wokenBy(shape) ?? []) {
      this.#sleepers!.delete(policy);
      const state = this.#makePolicy(policy);
      this.#policyStates.set(policyKey(policyRef(policy)), state);
      this.#enforce(state);
    }
  }

  /** A policy selects no pod that is judged any more. */
  #sleep(state: PolicyState): void {
    const key = policyKey(state.compiled.ref);
    if (this.#policyStates.get(key) !== state) return; // replaced, or gone
    this.#policyStates.delete(key);
    this.#dropPolicy(state);
    this.#sleepers!.add(this.policies.get(key)!);
  }

  #makePolicy(policy: Policy): PolicyState {
    const { compiled, subject } = compilePolicy(policy, this.#groups);
    const peers = (direction: Direction): readonly Entry[] => {
      const groups = compiled.rules[direction].flatMap((rule) => (rule.peers === "everything" ? [] : rule.peers));
      return Array.from(new Set(groups), (group) => this.#groups.entry(group)!);
    };
    const namesIn = ({ ports }: PlanRule): readonly string[] => ports.named.map(({ name }) => name);
    return {
      id: ++this.#lastId,
      compiled,
      subject: subject === null ? null : this.#groups.entry(subject)!,
      peers: { ingress: peers("ingress"), egress: peers("egress") },
      ownNames: [...new Set(compiled.rules.ingress.flatMap(namesIn))],
      peerNames: this.#peerNames(compiled.rules.egress),
      positioned: policy.source !== null,
      active: false,
    };
  }

  #peerNames(rules: readonly PlanRule[]): PolicyState["peerNames"] {
    const found = new Map<string, PolicyState["peerNames"][number]>();
    for (const { peers, ports } of rules) {
      for (const { name } of ports.named) {
        if (peers === "everything") found.set(` ${name}`, { entry: null, name });
        else for (const group of peers) found.set(`${group.id} ${name}`, { entry: this.#groups.entry(group)!, name });
      }
    }
    return [...found.values()];
  }

  #enforce(state: PolicyState): void {
    this.#groups.add(state);
    if (state.subject === null) return;
    const { subjects } = state.subject;
    const after = subjects.findIndex((other) => compareStates(state, other) < 0);
    subjects.splice(after < 0 ? subjects.length : after, 0, state);
    this.#subjectChanged(state.subject);
    if (state.subject.members.judged > 0) this.#setActive(state, true);
  }

  #dropPolicy(state: PolicyState | undefined): void {
    if (state === undefined) return;
    if (state.subject !== null) {
      const { subjects } = state.subject;
      subjects.splice(subjects.indexOf(state), 1);
      this.#subjectChanged(state.subject);
      if (state.active) this.#setActive(state, false);
    }
    this.#groups.remove(state);
  }

  #subjectChanged({ members }: PodEntry): void {
    for (const shape of members.shapes) {
      this.#classes.forgetPolicies(shape);
      if (shape.judged > 0) this.#touch(shape);
    }
  }

  #settleActive({ members, subjects }: PodEntry): void {
    const inhabited = members.judged > 0;
    for (const state of subjects) if (state.active !== inhabited) this.#setActive(state, inhabited);
  }

  #setActive(state: PolicyState, active: boolean): void {
    state.active = active;
    if (!active && this.#sleepers !== null) this.#idle.add(state);
    const step = active ? 1 : -1;
    for (const direction of directions) {
      for (const entry of state.peers[direction]) {
        const before = entry.used[direction];
        entry.used[direction] += step;
        if (before === 0 || entry.used[direction] === 0) this.#useChanged(entry, direction);
      }
    }
    for (const { entry, name } of state.peerNames) {
      if (entry !== null) entry.names ??= new Map();
      const names = entry?.names ?? this.#destinationNames;
      const before = names.get(name) ?? 0;
      if (before + step === 0) names.delete(name);
      else names.set(name, before + step);
      if (before === 0 || before + step === 0) this.#lookUpChanged(entry, name);
    }
  }

  /** Egress rules began or ceased to look a port name up: on who is in a group, or on everybody. */
  #lookUpChanged(entry: Entry | null, name: string): void {
    if (entry !== null && isNodeEntry(entry)) return; // nodes have no named ports
    if (entry !== null && isPodEntry(entry)) {
      for (const shape of entry.members.shapes)
        if (shape.ports.some((port) => port.name === name)) this.#peerChanged(shape, "egress");
      return;
    }
    for (const shape of this.#shapes.withPortName(name)) {
      if (entry === null) this.#peerChanged(shape, "egress");
      else this.#classes.forgetPeer(shape, "egress");
    }
    if (entry !== null) this.#touchWithin(entry.group.set);
  }

  /** A group began or ceased to matter in a direction: whoever is in it looks different now. */
  #useChanged(entry: Entry, direction: Direction): void {
    if (isPodEntry(entry)) {
      for (const shape of entry.members.shapes) this.#peerChanged(shape, direction);
      return;
    }
    if (isNodeEntry(entry)) {
      if (this.#delta !== null) this.#delta.nodes = true;
      return;
    }
    if (entry.used[direction] > 0) this.#splits[direction].add(entry.group);
    else this.#splits[direction].remove(entry.group);
    if (this.#delta !== null) this.#delta.nets[direction] = true;
    this.#touchWithin(entry.group.set);
  }

  /** Whoever has an address in the set may look different. */
  #touchWithin(set: AddressSet): void {
    const delta = this.#delta;
    if (delta === null) return;
    for (const owner of this.#owners.within(set)) {
      if (typeof owner === "string") delta.pods.add(owner);
      else delta.nodes = true;
    }
    for (const key of this.#withoutAddress) delta.pods.add(key);
  }

  #peerChanged(shape: Shape, direction: Direction): void {
    this.#classes.forgetPeer(shape, direction);
    this.#touch(shape);
  }

  #moved(shape: Shape, members: Members): void {
    const entry = this.#groups.entry(members.group);
    if (entry === undefined) return; // the group is being made: nobody uses it yet
    this.#settleActive(entry);
    if (entry.subjects.length > 0) {
      this.#classes.forgetPolicies(shape);
      if (shape.judged > 0) this.#touch(shape);
    }
    for (const direction of directions) if (entry.used[direction] > 0) this.#peerChanged(shape, direction);
  }

  #touch(shape: Shape): void {
    if (this.#delta !== null) for (const key of shape.pods) this.#delta.pods.add(key);
  }
}

const none: readonly number[] = [];

function podAddresses(pod: Pod): Partial<Record<Family, Address>> {
  const addresses: Partial<Record<Family, Address>> = {};
  for (const text of pod.ips) {
    const address = parseAddress(text);
    if (address !== null) addresses[address.family] ??= address;
  }
  return addresses;
}

/** `podAddresses` of one family. */
function podAddress({ ips }: Pod, family: Family): Address | undefined {
  for (const text of ips) {
    if (family === "IPv6" && !text.includes(":")) continue; // parsing takes most of the time of those who ask
    const address = parseAddress(text);
    if (address?.family === family) return address;
  }
  return undefined;
}

/** Which of two pods that report one address has it: the running one (spec A17.4); else by name, so that it is settled. */
const compareClaims = (a: Pod, b: Pod): number =>
  Number(b.phase === "Running") - Number(a.phase === "Running") || compareText(namespacedName(a), namespacedName(b));
