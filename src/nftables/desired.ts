/** What a node's table shall hold: follows a plan, change by change. */
import { type Family, families, formatAddress, parseAddress } from "../net/address.ts";
import type { PeerClass, Plan, PlanDelta, PolicyClass } from "../policy/compile/plan.ts";
import { type Direction, directions, type PortDecision } from "../policy/model/verdict.ts";
import { isFinished } from "../policy/model/world.ts";
import type { Drops } from "./drops.ts";
import { type Hash, hash } from "./names.ts";
import { mergeNets } from "./nets.ts";
import { type PortTable, tableOf } from "./port-table.ts";
import type { Touched } from "./sequence.ts";
import { type DirectionState, emptyState, type KernelState, type NetPiece, nobody, unruled } from "./state.ts";

/** Who has an address. */
type Owner = NonNullable<ReturnType<Plan["endAt"]>>;

/** Counts users of something by content. */
class Uses<T> {
  readonly live = new Map<Hash, { value: T; users: number }>();

  add(key: Hash, value: T): void {
    const entry = this.live.get(key);
    if (entry === undefined) this.live.set(key, { value, users: 1 });
    else {
      entry.users++;
      entry.value = value;
    }
  }

  release(key: Hash): void {
    const entry = this.live.get(key);
    if (entry !== undefined && --entry.users === 0) this.live.delete(key);
  }
}

interface Changes {
  exact: Set<string>;
  dispatch: Set<string>;
  nets: boolean;
  subjects: Set<Hash>;
  peers: Set<Hash>;
}

/**
 * One direction of a node. Peer classes are narrowed to what subjects of this node can tell apart: most pods of a
 * large cluster are `nobody` here and take no room.
 */
class DirectionGoal {
  readonly direction: Direction;
  readonly goal: DirectionState;
  readonly #drops: Drops;
  readonly #subjects = new Uses<PolicyClass>();
  readonly #peers = new Uses<PeerClass>();
  readonly #tables = new Uses<PortTable>();
  readonly #tableOfDecisions = new WeakMap<readonly PortDecision[], PortTable>();
  /** Id → content of the groups that rules of this node's subjects name. */
  #groups: ReadonlyMap<number, string> = new Map();
  /** Port names that egress rules of this node's subjects look up. */
  #names: ReadonlySet<string> = new Set();
  #narrowed = new WeakMap<PeerClass, Hash>();
  #changes: Changes = noChanges();

  constructor(direction: Direction, goal: DirectionState, drops: Drops) {
    this.direction = direction;
    this.goal = goal;
    this.#drops = drops;
  }

  /** Starts a round of changes. */
  begin(): void {
    this.#changes = noChanges();
  }

  setSubject(address: string, subject: PolicyClass | null): void {
    const ruled = subject !== null && (subject.rules.length > 0 || subject.isolating.length > 0);
    const to = ruled ? hash(subject.key) : unruled;
    const from = this.goal.dispatch.get(address) ?? unruled;
    if (ruled) this.#subjects.add(to, subject);
    if (from !== unruled) this.#subjects.release(from);
    if (from === to) return;
    if (ruled) this.goal.dispatch.set(address, to);
    else this.goal.dispatch.delete(address);
    this.#changes.dispatch.add(address);
  }

  /** After all subjects: takes note of what they look at. @returns whether every peer class must be narrowed anew. */
  subjectsDone(): boolean {
    const groups = new Map<number, string>();
    const names = new Set<string>();
    for (const { value } of this.#subjects.live.values()) {
      for (const group of value.groups) groups.set(group.id, group.key);
      if (this.direction === "ingress") continue;
      for (const rule of value.rules) for (const port of rule.ports.named) names.add(port.name);
    }
    const same =
      groups.size === this.#groups.size &&
      names.size === this.#names.size &&
      [...groups.keys()].every((id) => this.#groups.has(id)) &&
      [...names].every((name) => this.#names.has(name));
    if (same) return false;
    this.#groups = groups;
    this.#names = names;
    this.#narrowed = new WeakMap();
    return true;
  }

  setPeer(address: string, peer: PeerClass | null): void {
    const to = peer === null ? nobody : this.#narrow(peer);
    const from = this.goal.exact.get(address) ?? nobody;
    if (to !== nobody) this.#usePeer(to, peer!);
    if (from !== nobody) this.#peers.release(from);
    if (from === to) return;
    if (to === nobody) this.goal.exact.delete(address);
    else this.goal.exact.set(address, to);
    this.#changes.exact.add(address);
  }

  setNets(plan: Plan): void {
    const pieces: Record<Family, NetPiece[]> = { IPv4: [], IPv6: [] };
    const used = new Map<Hash, PeerClass>();
    for (const { set, peer: peerClass } of plan.netClasses(this.direction)) {
      const peer = this.#narrow(peerClass);
      if (peer === nobody) continue;
      used.set(peer, peerClass);
      for (const family of families) {
        for (const { start, end } of set.byFamily[family]) pieces[family].push({ start, end, peer });
      }
    }
    for (const [peer, peerClass] of used) this.#usePeer(peer, peerClass);
    for (const peer of this.#netPeers) this.#peers.release(peer);
    this.#netPeers = [...used.keys()];
    for (const family of families) {
      this.goal.nets[family] = mergeNets(pieces[family].sort((a, b) => (a.start < b.start ? -1 : 1)));
    }
    this.#changes.nets = true;
  }
  #netPeers: readonly Hash[] = [];

  /** After all peers: answers for every pair that can occur. */
  end(plan: Plan): Touched {
    const { subjects, peers } = this.#changes;
    for (const subject of this.goal.subjects.keys()) {
      if (!this.#subjects.live.has(subject)) this.#dropSubject(subject);
    }
    for (const peer of this.goal.peers) {
      if (this.#peers.live.has(peer)) continue;
      this.goal.peers.delete(peer);
      for (const subject of this.goal.subjects.keys()) this.#dropPair(subject, peer);
    }
    for (const peer of this.#peers.live.keys()) {
      if (this.goal.peers.has(peer)) continue;
      this.goal.peers.add(peer);
      peers.add(peer);
    }
    for (const [subject, { value: policyClass }] of this.#subjects.live) {
      const known = this.goal.subjects.has(subject);
      if (!known) {
        subjects.add(subject);
        this.goal.subjects.set(subject, new Map());
        this.#addPair(plan, subject, policyClass, nobody, this.#stranger);
      }
      const groups = new Set(policyClass.groups.map((group) => group.id));
      const named = policyClass.rules.some((rule) => rule.ports.named.length > 0);
      for (const peer of known ? peers : this.#peers.live.keys()) {
        const peerClass = this.#peers.live.get(peer)!.value;
        if ((named && peerClass.ports.length > 0) || peerClass.groups.some((id) => groups.has(id))) {
          this.#addPair(plan, subject, policyClass, peer, peerClass);
        }
      }
    }
    return this.#changes;
  }

  /** A peer in no group, without named ports. */
  get #stranger(): PeerClass {
    return { id: 0, key: "", direction: this.direction, groups: [], ports: [] };
  }

  #addPair(plan: Plan, subject: Hash, policyClass: PolicyClass, peer: Hash, peerClass: PeerClass): void {
    const decisions = plan.judge(policyClass, peerClass);
    let table = this.#tableOfDecisions.get(decisions);
    if (table === undefined) {
      table = tableOf(decisions, (decision) => this.#drops.idOf(policyClass, decision));
      this.#tableOfDecisions.set(decisions, table);
    }
    const pairs = this.goal.subjects.get(subject)!;
    if (peer !== nobody && pairs.get(nobody) === table.key) return;
    pairs.set(peer, table.key);
    this.#tables.add(table.key, table);
    this.goal.tables.set(table.key, table);
  }

  #dropPair(subject: Hash, peer: Hash): void {
    const pairs = this.goal.subjects.get(subject)!;
    const key = pairs.get(peer);
    if (key === undefined) return;
    pairs.delete(peer);
    this.#tables.release(key);
    if (!this.#tables.live.has(key)) this.goal.tables.delete(key);
  }

  #dropSubject(subject: Hash): void {
    for (const peer of this.goal.subjects.get(subject)!.keys()) this.#dropPair(subject, peer);
    this.goal.subjects.delete(subject);
  }

  #usePeer(peer: Hash, peerClass: PeerClass): void {
    this.#peers.add(peer, {
      id: 0,
      key: peer,
      direction: this.direction,
      groups: peerClass.groups.filter((id) => this.#groups.has(id)),
      ports: peerClass.ports.filter((port) => this.#names.has(port.name)),
    });
  }

  /** The class as subjects of this node see it. */
  #narrow(peer: PeerClass): Hash {
    let narrowed = this.#narrowed.get(peer);
    if (narrowed === undefined) {
      const groups = peer.groups.flatMap((id) => this.#groups.get(id) ?? []).sort();
      const ports = peer.ports
        .filter((port) => this.#names.has(port.name))
        .map(({ name, number, protocol }) => `${name} ${protocol} ${number}`)
        .sort();
      narrowed = groups.length + ports.length === 0 ? nobody : hash(...groups, "", ...ports);
      this.#narrowed.set(peer, narrowed);
    }
    return narrowed;
  }
}

const noChanges = (): Changes => ({
  exact: new Set(),
  dispatch: new Set(),
  nets: false,
  subjects: new Set(),
  peers: new Set(),
});

/** The goal of one node. `goal` is updated in place. */
export class Desired {
  readonly goal: KernelState = emptyState();
  readonly #node: string;
  readonly #directions: Readonly<Record<Direction, DirectionGoal>>;
  /** The addresses that each pod was last seen with. */
  readonly #addressesOf = new Map<string, readonly string[]>();
  #nodeAddresses: readonly string[] = [];

  constructor(node: string, drops: Drops) {
    this.#node = node;
    this.#directions = {
      egress: new DirectionGoal("egress", this.goal.egress, drops),
      ingress: new DirectionGoal("ingress", this.goal.ingress, drops),
    };
  }

  /** Takes in a whole plan. */
  load(plan: Plan): Readonly<Record<Direction, Touched>> {
    return this.update(plan, { pods: new Set(plan.pods.keys()), nodes: true, nets: { egress: true, ingress: true } });
  }

  /** Takes in what changed in the plan. */
  update(plan: Plan, delta: PlanDelta): Readonly<Record<Direction, Touched>> {
    const addresses = new Set<string>();
    for (const key of delta.pods) for (const address of this.#movePod(plan, key)) addresses.add(address);
    if (delta.nodes) for (const address of this.#moveNodes(plan)) addresses.add(address);
    const owners = new Map(Array.from(addresses, (address) => [address, plan.endAt(address)]));

    const touched = directions.map((direction): [Direction, Touched] => {
      const own = this.#directions[direction];
      own.begin();
      for (const [address, owner] of owners) {
        const local = owner?.kind === "pod" && owner.pod.node === this.#node;
        own.setSubject(address, local ? plan.policyClass(owner.pod, direction) : null);
      }
      const everything = own.subjectsDone();
      const peers = everything
        ? new Set([...addresses, ...[...this.#addressesOf.values()].flat(), ...this.#nodeAddresses])
        : addresses;
      for (const address of peers) {
        const owner = owners.has(address) ? owners.get(address)! : plan.endAt(address);
        own.setPeer(address, owner === null ? null : peerClassOf(plan, owner, address, direction));
      }
      if (everything || delta.nets[direction]) own.setNets(plan);
      return [direction, own.end(plan)];
    });
    return Object.fromEntries(touched) as Record<Direction, Touched>;
  }

  /** @returns the addresses that a pod had or has. */
  #movePod(plan: Plan, key: string): readonly string[] {
    const pod = plan.pods.get(key);
    const before = this.#addressesOf.get(key) ?? [];
    const now = pod === undefined || pod.hostNetwork || isFinished(pod) ? [] : pod.ips.flatMap(canonical);
    if (now.length === 0) this.#addressesOf.delete(key);
    else this.#addressesOf.set(key, now);
    return [...before, ...now];
  }

  #moveNodes(plan: Plan): readonly string[] {
    const before = this.#nodeAddresses;
    this.#nodeAddresses = [...plan.nodes.values()].flatMap((node) => node.ips.flatMap(canonical));
    return [...before, ...this.#nodeAddresses];
  }
}

const canonical = (text: string): string[] => {
  const address = parseAddress(text);
  return address === null ? [] : [formatAddress(address)];
};

function peerClassOf(plan: Plan, owner: Owner, address: string, direction: Direction): PeerClass {
  if (owner.kind === "node") return plan.nodePeer(owner.node, address, direction);
  return plan.podPeer(owner.pod, parseAddress(address)!.family, direction);
}
