/** The plan over a changing world (contract: `plan.ts`). */
import { type Address, AddressSet, type Family, formatAddress, parseAddress, parseCidr } from "../../net/address.ts";
import type { PortSet } from "../../net/ports.ts";
import type { Labels } from "../model/labels.ts";
import type { Policy } from "../model/policy.ts";
import type { Direction, PortDecision } from "../model/verdict.ts";
import type { ClusterFacts, Namespace, Node, Pod, Service, World } from "../model/world.ts";
import { namespacedName } from "../model/world.ts";
import type { AddressSplit } from "./address-split.ts";
import { DeltaRecorder } from "./delta.ts";
import { Ends, type Owner, podAddress } from "./ends.ts";
import { GroupUse } from "./group-use.ts";
import { Groups } from "./groups.ts";
import { ClassJudge } from "./judge.ts";
import { LiveSplit } from "./live-split.ts";
import type {
  AddressGroup,
  AddressOwner,
  Change,
  EndPeers,
  LivePlan,
  NetClass,
  NodeGroup,
  PeerClass,
  PeerGroup,
  PlanDelta,
  PolicyClass,
} from "./plan.ts";
import { PodClasses } from "./pod-classes.ts";
import { PodSet } from "./pod-set.ts";
import { PolicySet } from "./policy-set.ts";
import { Shapes, sameRecord } from "./shapes.ts";
import { Sleepers } from "./sleepers.ts";

type ByDirection<T> = Record<Direction, T>;

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
  readonly policies: ReadonlyMap<string, Policy>;
  readonly cluster: ClusterFacts;
  readonly #judge = new ClassJudge();
  readonly #delta = new DeltaRecorder();
  readonly #shapes: Shapes;
  readonly #groups: Groups;
  readonly #classes: PodClasses;
  readonly #ends = new Ends(this.pods, this.#delta);
  readonly #splits: ByDirection<LiveSplit>;
  readonly #nets: ByDirection<{ readonly split: AddressSplit; readonly classes: readonly NetClass[] } | null> = {
    ingress: null,
    egress: null,
  };
  /** The node whose pods are judged; null: all are. */
  readonly #node: string | null;
  readonly #sleepers: Sleepers | null;
  readonly #policySet: PolicySet;
  readonly #podSet: PodSet;

  constructor(world: World, node: string | null) {
    this.cluster = world.cluster;
    this.#node = node;
    let lastId = 0;
    const nextId = (): number => ++lastId;
    const delta = this.#delta;
    const ends = this.#ends;
    const sleepers = node === null ? null : new Sleepers();
    const shapes: Shapes = new Shapes({
      moved: (shape, members) => policySet.moved(shape, members),
      judged: (members) => policySet.judged(members),
    });
    const groups = new Groups(shapes, nextId);
    const classes = new PodClasses(groups, nextId, (name) => use.looksUpOnAll(name));
    const podSpace = AddressSet.ofCidrs(world.cluster.podCIDRs.flatMap((text) => parseCidr(text)?.cidr ?? []));
    const splits = { ingress: new LiveSplit(podSpace), egress: new LiveSplit(podSpace) };
    const use: GroupUse = new GroupUse({ shapes, ends, classes, splits, delta });
    const policySet: PolicySet = new PolicySet({ groups, classes, use, sleepers, delta, nextId });
    const wake = policySet.wake.bind(policySet);
    this.#sleepers = sleepers;
    this.#shapes = shapes;
    this.#groups = groups;
    this.#classes = classes;
    this.#splits = splits;
    this.#policySet = policySet;
    this.#podSet = new PodSet(this.pods, { node, shapes, ends, sleepers, delta, wake });
    this.policies = policySet.policies;
    for (const namespace of world.namespaces) this.#putNamespace(namespace);
    for (const one of world.nodes) this.#putNode(one);
    for (const service of world.services) this.services.set(namespacedName(service), service);
    for (const pod of world.pods) this.#podSet.put(pod);
    for (const policy of world.policies) policySet.put(policy);
    policySet.settle();
  }

  // ---- following ----------------------------------------------------------------------------------------------------

  apply(changes: readonly Change[]): PlanDelta {
    const delta = this.#delta.begin();
    try {
      for (const change of changes) this.#apply(change);
    } finally {
      this.#policySet.settle();
      this.#delta.end();
    }
    return delta;
  }

  #apply(change: Change): void {
    if (change.op === "put") this.#put(change);
    else this.#remove(change);
  }

  #put(change: Extract<Change, { op: "put" }>): void {
    if (change.kind === "pod") this.#podSet.put(change.object);
    else if (change.kind === "namespace") this.#putNamespace(change.object);
    else if (change.kind === "node") this.#putNode(change.object);
    else if (change.kind === "service") this.services.set(namespacedName(change.object), change.object);
    else this.#policySet.put(change.object);
  }

  #remove({ kind, key }: Extract<Change, { op: "remove" }>): void {
    if (kind === "pod") this.#podSet.remove(key);
    else if (kind === "namespace") this.#removeNamespace(key);
    else if (kind === "node") this.#removeNode(key);
    else if (kind === "service") this.services.delete(key);
    else this.#policySet.remove(key);
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
    for (const shape of this.#sleepers?.judgedIn(name) ?? []) this.#policySet.wake(shape);
  }

  #putNode(node: Node): void {
    const before = this.nodes.get(node.name);
    if (before !== undefined && sameRecord(before.labels, node.labels) && before.ips.join() === node.ips.join()) {
      this.nodes.set(node.name, node); // a heartbeat
      return;
    }
    this.#removeNode(node.name);
    this.#ends.addNode(node);
    this.nodes.set(node.name, node);
    this.#delta.nodes();
  }

  #removeNode(name: string): void {
    if (!this.#ends.removeNode(name)) return;
    this.nodes.delete(name);
    this.#delta.nodes();
  }

  // ---- reading ------------------------------------------------------------------------------------------------------

  endAt(address: string): AddressOwner | null {
    const parsed = parseAddress(address);
    const owner = parsed === null ? null : this.#ends.at(parsed);
    return owner === null ? null : this.#end(owner);
  }

  #end(owner: Owner): AddressOwner {
    if (typeof owner === "string") return { kind: "pod", pod: this.pods.get(owner)! };
    return { kind: "node", node: this.nodes.get(owner.node)! };
  }

  policyClass(pod: Pod, direction: Direction): PolicyClass {
    const shape = this.#podSet.shapeOf(pod);
    if (!this.#podSet.isJudged(this.pods.get(namespacedName(pod))!))
      throw new RangeError(`pod ${namespacedName(pod)} is not on node ${this.#node}: this plan does not judge it`);
    return this.#classes.policyClass(shape, direction);
  }

  podPeer(pod: Pod, family: Family, direction: Direction): PeerClass {
    const shape = this.#podSet.shapeOf(pod);
    const known = this.pods.get(namespacedName(pod))!;
    const split = this.#splits[direction];
    const address = podAddress(known, family);
    const unknown = () => (known.ips.length > 0 ? none : split.unknown(family).covered);
    const addressGroups = address === undefined ? unknown() : split.current.find(address);
    return this.#classes.podPeer(shape, addressGroups, direction);
  }

  nodePeer(node: Node, address: string, direction: Direction): PeerClass {
    const parsed = parseAddress(address);
    const addressGroups = parsed === null ? none : this.#splits[direction].current.find(parsed);
    return this.#classes.peerClass(this.#nodeGroups(node, direction), addressGroups, [], direction);
  }

  #nodeGroups(node: Node, direction: Direction): readonly NodeGroup[] {
    const groups: NodeGroup[] = [];
    for (const { group, used, matcher } of this.#groups.nodeEntries)
      if (used[direction] > 0 && matcher.matches(node.labels)) groups.push(group);
    return groups;
  }

  peersAt(address: string): ReturnType<LivePlan["peersAt"]> {
    const parsed = parseAddress(address);
    const owner = parsed === null ? null : this.#ends.at(parsed);
    if (parsed === null || owner === null) return null;
    const peerOf = (direction: Direction): PeerClass =>
      this.#ownerPeer(owner, this.#splits[direction].current.find(parsed), direction);
    return { owner: this.#end(owner), peers: { ingress: peerOf("ingress"), egress: peerOf("egress") } };
  }

  *endPeers(): Generator<[address: string, peers: EndPeers]> {
    for (const { family, start, end, owners } of this.#ends.blocks()) {
      // Networks are larger than blocks, mostly: then no address has to be looked up.
      const ofBlock = (direction: Direction) => this.#splits[direction].current.findAll(family, { start, end });
      const whole = { ingress: ofBlock("ingress"), egress: ofBlock("egress") };
      for (const [offset, owner] of owners) {
        const peerOf = (direction: Direction): PeerClass => {
          const groups = whole[direction];
          const find = () => this.#splits[direction].current.find({ family, value: start + BigInt(offset) });
          return this.#ownerPeer(owner, groups ?? find(), direction);
        };
        const peers = { ingress: peerOf("ingress"), egress: peerOf("egress") };
        if (isAnybody(peers.ingress) && isAnybody(peers.egress)) continue;
        yield [this.#spelled(owner, { family, value: start + BigInt(offset) }), peers];
      }
    }
  }

  #ownerPeer(owner: Owner, addressGroups: readonly number[], direction: Direction): PeerClass {
    if (typeof owner === "string") return this.#classes.podPeer(this.#podSet.shapeAt(owner), addressGroups, direction);
    const groups = this.#nodeGroups(this.nodes.get(owner.node)!, direction);
    return this.#classes.peerClass(groups, addressGroups, [], direction);
  }

  /** The canonical text of an address: the owner's own where that is one, as it is in memory already. */
  #spelled(owner: Owner, address: Address): string {
    const { ips } = typeof owner === "string" ? this.pods.get(owner)! : this.nodes.get(owner.node)!;
    const text = formatAddress(address);
    return ips.find((ip) => ip === text) ?? text;
  }

  addressPeer(address: string, direction: Direction): PeerClass {
    const parsed = parseAddress(address);
    if (parsed === null) throw new RangeError(`not an IP address: ${JSON.stringify(address)}`);
    return this.#classes.peerClass([], this.#splits[direction].current.find(parsed), [], direction);
  }

  addressDependent(pod: Pod, family: Family, direction: Direction): readonly AddressGroup[] {
    this.#podSet.shapeOf(pod);
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
}

const none: readonly number[] = [];

const isAnybody = ({ groups, ports }: PeerClass): boolean => groups.length + ports.length === 0;
