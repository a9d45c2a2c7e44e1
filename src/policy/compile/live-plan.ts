/** The plan over a changing world (contract: `plan.ts`). */
import { type Address, AddressSet, type Family, families, parseAddress, parseCidr } from "../../net/address.ts";
import { type Policy, policyRef } from "../model/policy.ts";
import { type Direction, directions, type PortDecision } from "../model/verdict.ts";
import type { ClusterFacts, ContainerPort, Namespace, Node, Pod, Service, World } from "../model/world.ts";
import { isFinished, namespacedName } from "../model/world.ts";
import { AddressIndex } from "./address-index.ts";
import { AddressSplit, type UnknownAddress } from "./address-split.ts";
import { CompiledPolicyClass, InternedPeerClass } from "./classes.ts";
import {
  type AddressEntry,
  type Entry,
  Groups,
  isNodeEntry,
  isPodEntry,
  type PodEntry,
  type PolicyState,
} from "./groups.ts";
import { Interner } from "./intern.ts";
import { createJudge, portsKey } from "./judge.ts";
import { compareInJudgement, compareText } from "./order.ts";
import type {
  AddressGroup,
  Change,
  LivePlan,
  NetClass,
  NodeGroup,
  PeerClass,
  PeerGroup,
  PlanDelta,
  PolicyClass,
} from "./plan.ts";
import { policyKey } from "./plan.ts";
import { compilePolicy } from "./policy.ts";
import { type Members, type Shape, Shapes } from "./shapes.ts";

type ByDirection<T> = Record<Direction, T>;

interface PodState {
  readonly pod: Pod;
  /** null: finished or on the host network (spec A8.2, A17.4). */
  readonly shape: Shape | null;
  readonly addresses: Partial<Record<Family, Address>>;
}

/** What was worked out for a shape; null after something that it came from has changed. */
interface ShapeClasses {
  readonly policy: ByDirection<PolicyClass | null>;
  readonly peer: ByDirection<{
    readonly groups: readonly PeerGroup[];
    readonly ports: readonly ContainerPort[];
    /** By the address groups of one address: the array of the split that lists them. */
    readonly byAddress: Map<readonly number[], PeerClass>;
  } | null>;
}

interface Split {
  readonly addresses: AddressSplit;
  readonly unknown: Partial<Record<Family, UnknownAddress>>;
  nets: readonly NetClass[] | null;
}

type Owner = { readonly pod: string } | { readonly node: string };

interface Delta {
  readonly pods: Set<string>;
  nodes: boolean;
  readonly nets: ByDirection<boolean>;
}

/** Compiles a world. The plan stays connected to nothing: changes are told to it by `apply`. */
export function compile(world: World): LivePlan {
  return new Engine(world);
}

class Engine implements LivePlan {
  readonly namespaces = new Map<string, Namespace>();
  readonly nodes = new Map<string, Node>();
  readonly pods = new Map<string, Pod>();
  readonly services = new Map<string, Service>();
  readonly policies = new Map<string, Policy>();
  readonly cluster: ClusterFacts;
  readonly judge: (subject: PolicyClass, peer: PeerClass) => readonly PortDecision[] = createJudge();

  #lastId = 0;
  readonly #shapes = new Shapes({
    joined: (shape, members) => this.#moved(shape, members),
    left: (shape, members) => this.#moved(shape, members),
  });
  readonly #podStates = new Map<string, PodState>();
  readonly #policyStates = new Map<string, PolicyState>();
  readonly #groups = new Groups(this.#shapes, () => ++this.#lastId);
  readonly #owners = new AddressIndex<Owner>();
  readonly #nodeAddresses = new Map<string, { readonly owner: Owner; readonly addresses: readonly Address[] }>();
  readonly #podOwners = new Map<string, Owner>();
  readonly #withoutAddress = new Set<string>();
  /** How many active policies look each port name up on destinations. */
  readonly #destinationNames = new Map<string, number>();
  readonly #classes = new WeakMap<Shape, ShapeClasses>();
  readonly #policyClasses = new Interner<PolicyClass>();
  readonly #peerClasses = new Interner<PeerClass>();
  readonly #splits: ByDirection<Split | null> = { ingress: null, egress: null };
  /** Address groups that began or ceased to matter since the split was made. */
  readonly #pendingSplits: ByDirection<Set<AddressEntry>> = { ingress: new Set(), egress: new Set() };
  readonly #podSpace: AddressSet;
  /** null while the first world is read. */
  #delta: Delta | null = null;

  constructor(world: World) {
    this.cluster = world.cluster;
    this.#podSpace = AddressSet.ofCidrs(world.cluster.podCIDRs.flatMap((text) => parseCidr(text)?.cidr ?? []));
    for (const namespace of world.namespaces) this.#putNamespace(namespace);
    for (const node of world.nodes) this.#putNode(node);
    for (const service of world.services) this.services.set(namespacedName(service), service);
    for (const pod of world.pods) this.#putPod(pod);
    for (const policy of world.policies) this.#putPolicy(policy);
  }

  apply(changes: readonly Change[]): PlanDelta {
    const delta: Delta = { pods: new Set(), nodes: false, nets: { ingress: false, egress: false } };
    this.#delta = delta;
    try {
      for (const change of changes) this.#apply(change);
    } finally {
      this.#delta = null;
    }
    return delta;
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
      if ("node" in owner) node = this.nodes.get(owner.node)!;
      else {
        const pod = this.pods.get(owner.pod)!;
        if (best === null || compareClaims(pod, best) < 0) best = pod;
      }
    }
    return best !== null ? { kind: "pod", pod: best } : node !== null ? { kind: "node", node } : null;
  }

  policyClass(pod: Pod, direction: Direction): PolicyClass {
    const shape = this.#shapeOf(pod);
    const classes = this.#classesOf(shape);
    classes.policy[direction] ??= this.#makePolicyClass(shape, direction);
    return classes.policy[direction];
  }

  podPeer(pod: Pod, family: Family, direction: Direction): PeerClass {
    const shape = this.#shapeOf(pod);
    const classes = this.#classesOf(shape);
    classes.peer[direction] ??= {
      groups: [...shape.groups]
        .map(({ group }) => group)
        .filter((group) => this.#groups.entry(group)!.used[direction] > 0)
        .sort((a, b) => a.id - b.id),
      ports: direction === "egress" ? shape.ports.filter(({ name }) => this.#destinationNames.has(name)) : [],
      byAddress: new Map(),
    };
    const { groups, ports, byAddress } = classes.peer[direction];
    const addressGroups = this.#addressGroups(pod, family, direction);
    let peer = byAddress.get(addressGroups);
    if (peer === undefined) {
      peer = this.#peerClass(direction, groups, addressGroups, ports);
      byAddress.set(addressGroups, peer);
    }
    return peer;
  }

  nodePeer(node: Node, address: string, direction: Direction): PeerClass {
    const groups: NodeGroup[] = [];
    for (const { group, used, matcher } of this.#groups.nodeEntries)
      if (used[direction] > 0 && matcher.matches(node.labels)) groups.push(group);
    const parsed = parseAddress(address);
    const addressGroups = parsed === null ? none : this.#split(direction).addresses.find(parsed);
    return this.#peerClass(direction, groups, addressGroups, []);
  }

  addressPeer(address: string, direction: Direction): PeerClass {
    const parsed = parseAddress(address);
    if (parsed === null) throw new RangeError(`not an IP address: ${JSON.stringify(address)}`);
    return this.#peerClass(direction, [], this.#split(direction).addresses.find(parsed), []);
  }

  addressDependent(pod: Pod, family: Family, direction: Direction): readonly AddressGroup[] {
    this.#shapeOf(pod);
    return pod.ips.length > 0 ? [] : this.#unknownAddress(family, direction).dependent;
  }

  netClasses(direction: Direction): readonly NetClass[] {
    const split = this.#split(direction);
    split.nets ??= split.addresses.pieces.map((piece) => ({
      get set() {
        return piece.set;
      },
      peer: this.#peerClass(direction, [], piece.groups, []),
    }));
    return split.nets;
  }

  groups(direction: Direction): Iterable<PeerGroup> {
    return this.#groups.used(direction);
  }

  #shapeOf(pod: Pod): Shape {
    const key = namespacedName(pod);
    const state = this.#podStates.get(key);
    if (state === undefined) throw new RangeError(`pod ${key} is not in the plan`);
    if (state.shape === null) throw new RangeError(`pod ${key} is finished or on the host network: it has no class`);
    return state.shape;
  }

  #classesOf(shape: Shape): ShapeClasses {
    let classes = this.#classes.get(shape);
    if (classes === undefined) {
      classes = { policy: { ingress: null, egress: null }, peer: { ingress: null, egress: null } };
      this.#classes.set(shape, classes);
    }
    return classes;
  }

  #makePolicyClass(shape: Shape, direction: Direction): PolicyClass {
    const states: PolicyState[] = [];
    const names = new Set<string>();
    for (const { group } of shape.groups) {
      for (const state of this.#groups.entry(group)!.subjects) {
        const { rules, isolates } = state.compiled;
        if (rules[direction].length === 0 && !isolates[direction]) continue;
        states.push(state);
        if (direction === "ingress") for (const name of state.portNames.ingress) names.add(name);
      }
    }
    states.sort(compareStates); // quick: each group's are in order already
    const ownPorts = names.size === 0 ? [] : shape.ports.filter(({ name }) => names.has(name));
    const key = `${direction} ${states.map(({ id }) => id).join()} ${portsKey(ownPorts)}`;
    return this.#policyClasses.get(key, () => {
      const policies = states.map(({ compiled }) => compiled);
      return new CompiledPolicyClass(++this.#lastId, direction, policies, ownPorts);
    });
  }

  /** `groups` in any order, besides the address groups. */
  #peerClass(
    direction: Direction,
    groups: readonly PeerGroup[],
    addressGroups: readonly number[],
    ports: readonly ContainerPort[],
  ): PeerClass {
    const all = [...groups, ...addressGroups.map((id) => this.#groups.group(id))].sort((a, b) => a.id - b.id);
    const key = `${direction} ${all.map(({ id }) => id).join()} ${portsKey(ports)}`;
    return this.#peerClasses.get(key, () => new InternedPeerClass(++this.#lastId, direction, all, ports));
  }

  /** Ids of the address groups that a pod is in over one family; equal lists of one split are one array. */
  #addressGroups(pod: Pod, family: Family, direction: Direction): readonly number[] {
    const address = this.#podStates.get(namespacedName(pod))!.addresses[family];
    if (address !== undefined) return this.#split(direction).addresses.find(address);
    return pod.ips.length > 0 ? none : this.#unknownAddress(family, direction).covered;
  }

  #unknownAddress(family: Family, direction: Direction): UnknownAddress {
    const split = this.#split(direction);
    split.unknown[family] ??= split.addresses.unknown(family, this.#podSpace);
    return split.unknown[family];
  }

  #split(direction: Direction): Split {
    const pending = this.#pendingSplits[direction];
    let split = this.#splits[direction];
    if (split === null || pending.size > rebuildAbove) {
      const groups: AddressGroup[] = [];
      for (const group of this.groups(direction)) if (group.kind === "addresses") groups.push(group);
      split = freshSplit(AddressSplit.of(groups));
    } else if (pending.size > 0) {
      let { addresses } = split;
      for (const { group, used } of pending) {
        if (used[direction] > 0 && !addresses.has(group)) addresses = addresses.with(group);
        else if (used[direction] === 0 && addresses.has(group)) addresses = addresses.without(group);
      }
      if (addresses !== split.addresses) split = freshSplit(addresses);
    }
    pending.clear();
    this.#splits[direction] = split;
    return split;
  }

  // ---- pods, namespaces, nodes --------------------------------------------------------------------------------------

  #putPod(pod: Pod): void {
    const key = namespacedName(pod);
    const before = this.#podStates.get(key);
    const takesPart = !pod.hostNetwork && !isFinished(pod);
    // The new shape first: groups that hold both must not look empty in between.
    const shape = takesPart ? this.#shapes.add(pod, key) : null;
    if (before?.shape && before.shape !== shape) this.#shapes.remove(before.shape, key);
    const addresses = takesPart ? podAddresses(pod) : {};
    const same =
      before !== undefined &&
      before.shape === shape &&
      before.pod.node === pod.node &&
      families.every((family) => before.addresses[family]?.value === addresses[family]?.value);
    this.pods.set(key, pod);
    this.#podStates.set(key, { pod, shape, addresses });
    if (same) return;
    this.#forgetAddresses(key, before);
    if (shape !== null) {
      const owner: Owner = { pod: key };
      this.#podOwners.set(key, owner);
      for (const address of Object.values(addresses)) this.#owners.add(address, owner);
      if (pod.ips.length === 0) this.#withoutAddress.add(key);
    }
    this.#delta?.pods.add(key);
  }

  #removePod(key: string): void {
    const before = this.#podStates.get(key);
    if (before === undefined) return;
    this.pods.delete(key);
    this.#podStates.delete(key);
    if (before.shape !== null) this.#shapes.remove(before.shape, key);
    this.#forgetAddresses(key, before);
    this.#delta?.pods.add(key);
  }

  #forgetAddresses(key: string, before: PodState | undefined): void {
    const owner = this.#podOwners.get(key);
    if (before === undefined || owner === undefined) return;
    for (const address of Object.values(before.addresses)) this.#owners.remove(address, owner);
    this.#podOwners.delete(key);
    this.#withoutAddress.delete(key);
  }

  #putNamespace(namespace: Namespace): void {
    this.namespaces.set(namespace.name, namespace);
    this.#shapes.setNamespace(namespace.name, namespace.labels);
  }

  #removeNamespace(name: string): void {
    if (this.namespaces.delete(name)) this.#shapes.setNamespace(name, null);
  }

  #putNode(node: Node): void {
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
    this.policies.set(key, policy);
    const state = this.#makePolicy(policy);
    this.#policyStates.set(key, state);
    this.#enforce(state);
    this.#dropPolicy(before); // last: groups that both name must not look unused in between
  }

  #removePolicy(key: string): void {
    this.#dropPolicy(this.#policyStates.get(key));
    this.#policyStates.delete(key);
    this.policies.delete(key);
  }

  #makePolicy(policy: Policy): PolicyState {
    const { compiled, subject } = compilePolicy(policy, this.#groups);
    const peers = (direction: Direction): readonly Entry[] => {
      const groups = compiled.rules[direction].flatMap((rule) => (rule.peers === "everything" ? [] : rule.peers));
      return Array.from(new Set(groups), (group) => this.#groups.entry(group)!);
    };
    const portNames = (direction: Direction): readonly string[] => [
      ...new Set(compiled.rules[direction].flatMap(({ ports }) => ports.named.map(({ name }) => name))),
    ];
    return {
      id: ++this.#lastId,
      compiled,
      subject: subject === null ? null : this.#groups.entry(subject)!,
      peers: { ingress: peers("ingress"), egress: peers("egress") },
      portNames: { ingress: portNames("ingress"), egress: portNames("egress") },
      active: false,
    };
  }

  #enforce(state: PolicyState): void {
    this.#groups.add(state);
    if (state.subject === null) return;
    const { subjects } = state.subject;
    const after = subjects.findIndex((other) => compareStates(state, other) < 0);
    subjects.splice(after < 0 ? subjects.length : after, 0, state);
    this.#subjectChanged(state.subject);
    if (state.subject.members.shapes.size > 0) this.#setActive(state, true);
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
      const classes = this.#classes.get(shape);
      if (classes !== undefined) for (const direction of directions) classes.policy[direction] = null;
      this.#touch(shape);
    }
  }

  #setActive(state: PolicyState, active: boolean): void {
    state.active = active;
    const step = active ? 1 : -1;
    for (const direction of directions) {
      for (const entry of state.peers[direction]) {
        const before = entry.used[direction];
        entry.used[direction] += step;
        if (before === 0 || entry.used[direction] === 0) this.#useChanged(entry, direction);
      }
    }
    for (const name of state.portNames.egress) {
      const before = this.#destinationNames.get(name) ?? 0;
      if (before + step === 0) this.#destinationNames.delete(name);
      else this.#destinationNames.set(name, before + step);
      if (before === 0 || before + step === 0) {
        for (const shape of this.#shapes.withPortName(name)) this.#peerChanged(shape, "egress");
      }
    }
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
    if (this.#splits[direction] !== null) this.#pendingSplits[direction].add(entry);
    const delta = this.#delta;
    if (delta === null) return;
    delta.nets[direction] = true;
    for (const owner of this.#owners.within(entry.group.set)) {
      if ("node" in owner) delta.nodes = true;
      else delta.pods.add(owner.pod);
    }
    for (const key of this.#withoutAddress) delta.pods.add(key);
  }

  #peerChanged(shape: Shape, direction: Direction): void {
    const classes = this.#classes.get(shape);
    if (classes !== undefined) classes.peer[direction] = null;
    this.#touch(shape);
  }

  /** A shape joined or left a group. */
  #moved(shape: Shape, members: Members): void {
    const entry = this.#groups.entry(members.group);
    if (entry === undefined) return; // the group is being made: nobody uses it yet
    const inhabited = members.shapes.size > 0;
    for (const state of entry.subjects) if (state.active !== inhabited) this.#setActive(state, inhabited);
    const classes = this.#classes.get(shape);
    if (classes !== undefined) {
      for (const direction of directions) {
        if (entry.subjects.length > 0) classes.policy[direction] = null;
        if (entry.used[direction] > 0) classes.peer[direction] = null;
      }
    }
    if (entry.subjects.length > 0 || directions.some((direction) => entry.used[direction] > 0)) this.#touch(shape);
  }

  #touch(shape: Shape): void {
    if (this.#delta !== null) for (const key of shape.pods) this.#delta.pods.add(key);
  }
}

const none: readonly number[] = [];

/** Changes of a split up to which it is changed group by group: each costs about a hundredth of making it anew. */
const rebuildAbove = 30;

const freshSplit = (addresses: AddressSplit): Split => ({ addresses, unknown: {}, nets: null });

const compareStates = (a: PolicyState, b: PolicyState): number => compareInJudgement(a.compiled, b.compiled);

function podAddresses(pod: Pod): Partial<Record<Family, Address>> {
  const addresses: Partial<Record<Family, Address>> = {};
  for (const text of pod.ips) {
    const address = parseAddress(text);
    if (address !== null) addresses[address.family] ??= address;
  }
  return addresses;
}

/** Which of two pods that report one address has it: the running one (spec A17.4); else by name, so that it is settled. */
const compareClaims = (a: Pod, b: Pod): number =>
  Number(b.phase === "Running") - Number(a.phase === "Running") || compareText(namespacedName(a), namespacedName(b));
