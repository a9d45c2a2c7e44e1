/** One direction of what a node's table shall hold. */
import { type Family, families, formatAddress } from "../net/address.ts";
import type { PeerClass, Plan, PolicyClass } from "../policy/compile/plan.ts";
import type { Direction, PortDecision } from "../policy/model/verdict.ts";
import type { ContainerPort } from "../policy/model/world.ts";
import type { Drops } from "./drops.ts";
import { GroupIndex } from "./group-index.ts";
import { type Hash, hash } from "./names.ts";
import { withoutLone } from "./nets.ts";
import { type PortTable, tableOf } from "./port-table.ts";
import { type DirectionState, free, isRuled, type NetPiece, nobody, outside } from "./state.ts";
import type { Touched } from "./touched.ts";
import { Uses } from "./uses.ts";

/** A subject class and what its rules look at. */
interface Subject {
  readonly policyClass: PolicyClass;
  readonly groups: ReadonlySet<number>;
  /** Which port names are looked up on which destinations (`lookUp`): egress only. */
  readonly names: ReadonlySet<string>;
  /** Does it look names up on every destination? */
  readonly looksAtAll: boolean;
}

/** A port name that is looked up on what is in a group; null: on everybody. */
const lookUp = (group: number | null, name: string): string => `${group ?? "*"} ${name}`;

/**
 * Peer classes are narrowed to what subjects of this node can tell apart: most pods of a large cluster are `nobody` here
 * and take no room.
 */
export class DirectionGoal {
  readonly direction: Direction;
  readonly goal: DirectionState;
  readonly #drops: Drops;
  readonly #subjects = new Uses<Subject>();
  readonly #peers = new Uses<PeerClass>();
  readonly #subjectIndex = new GroupIndex();
  readonly #peerIndex = new GroupIndex();
  readonly #tables = new Uses<PortTable>();
  /** Groups and look-ups of port names that rules of this node's subjects mention; a group's value is its content. */
  readonly #groups = new Uses<string, number>();
  readonly #names = new Uses<true>();
  readonly #known = new WeakMap<PolicyClass, { readonly key: Hash; readonly subject: Subject }>();
  readonly #tableOfDecisions = new WeakMap<readonly PortDecision[], PortTable>();
  #narrowed = new WeakMap<PeerClass, PeerClass>();
  /** The plan's class of every pod's and node's address, and the addresses of each; not of those that look like anybody. */
  readonly #classAt = new Map<string, PeerClass>();
  readonly #addressesOf = new Map<PeerClass, Set<string>>();
  #netPeers: ReadonlySet<Hash> = new Set();
  /** Networks of one address, and their classes: they are exact entries, and cost the interval maps nothing. */
  #singles: ReadonlyMap<string, PeerClass> = new Map();
  #exact = new Set<string>();
  #dispatch = new Set<string>();
  #nets = false;

  constructor(direction: Direction, goal: DirectionState, drops: Drops) {
    this.direction = direction;
    this.goal = goal;
    this.#drops = drops;
  }

  /** `policyClass`: of the pod of this node that has the address; null where none has. */
  setSubject(address: string, policyClass: PolicyClass | null): void {
    const ruled = policyClass !== null && policyClass.rules.length + policyClass.isolating.length > 0;
    const known = ruled ? this.#subjectOf(policyClass) : null;
    const to = known?.key ?? (policyClass === null ? outside : free);
    const from = this.goal.dispatch.get(address) ?? outside;
    if (from === to) return;
    if (known !== null) this.#subjects.add(known.key, known.subject);
    if (to === outside) this.goal.dispatch.delete(address);
    else this.goal.dispatch.set(address, to);
    if (isRuled(from)) this.#subjects.release(from);
    this.#dispatch.add(address);
  }

  /** After all subjects: narrows anew the peer classes that subjects now see with other eyes. */
  subjectsDone(plan: Plan): void {
    const { came, gone } = this.#subjects;
    for (const key of came) {
      const { policyClass, names } = this.#subjects.get(key)!;
      for (const group of policyClass.groups) this.#groups.add(group.id, group.key);
      for (const name of names) this.#names.add(name, true);
    }
    for (const { policyClass, names } of gone.values()) {
      for (const group of policyClass.groups) this.#groups.release(group.id);
      for (const name of names) this.#names.release(name);
    }
    const groups = new Set([...this.#groups.came, ...this.#groups.gone.keys()]);
    const names = new Set([...this.#names.came, ...this.#names.gone.keys()]);
    this.#groups.settle();
    this.#names.settle();
    if (groups.size + names.size === 0) return;
    const isAffected = (peer: PeerClass): boolean =>
      peer.groups.some((id) => groups.has(id)) ||
      (names.size > 0 && peer.ports.some(({ name }) => isLookedUp(peer, name, (one) => names.has(one))));
    const nets = plan.netClasses(this.direction).map(({ peer }) => peer);
    const affected = new Set<PeerClass>();
    const narrowed = new WeakMap<PeerClass, PeerClass>();
    for (const peer of new Set([...this.#addressesOf.keys(), ...nets])) {
      const known = this.#narrowed.get(peer);
      if (isAffected(peer)) affected.add(peer);
      else if (known !== undefined) narrowed.set(peer, known);
    }
    this.#narrowed = narrowed;
    for (const peer of affected) for (const address of this.#addressesOf.get(peer) ?? []) this.#setExact(address);
    if (nets.some((peer) => affected.has(peer))) this.setNets(plan);
  }

  /** `peer`: the class of the pod or node that has an address. */
  setPeer(address: string, peer: PeerClass | null): void {
    const before = this.#classAt.get(address);
    const now = peer === null || peer.groups.length + peer.ports.length === 0 ? undefined : peer;
    if (before !== now) {
      if (before !== undefined) this.#forgetAddress(before, address);
      if (now === undefined) this.#classAt.delete(address);
      else {
        this.#classAt.set(address, now);
        const own = this.#addressesOf.get(now);
        if (own === undefined) this.#addressesOf.set(now, new Set([address]));
        else own.add(address);
      }
    }
    this.#setExact(address);
  }

  #forgetAddress(peer: PeerClass, address: string): void {
    const own = this.#addressesOf.get(peer);
    if (own?.delete(address) && own.size === 0) this.#addressesOf.delete(peer);
  }

  setNets(plan: Plan): void {
    const pieces: Record<Family, NetPiece[]> = { IPv4: [], IPv6: [] };
    const used = new Map<Hash, PeerClass>();
    for (const { set, peer: peerClass } of plan.netClasses(this.direction)) {
      const peer = this.#narrow(peerClass).key;
      used.set(peer, peerClass);
      for (const family of families) {
        for (const { start, end } of set.byFamily[family]) pieces[family].push({ start, end, peer });
      }
    }
    const singles = new Map<string, PeerClass>();
    for (const family of families) {
      const { nets, lone } = withoutLone(pieces[family].sort((a, b) => (a.start < b.start ? -1 : 1)));
      this.goal.nets[family] = nets;
      for (const { start, peer } of lone) singles.set(formatAddress({ family, value: start }), used.get(peer)!);
    }
    const before = this.#netPeers;
    this.#netPeers = new Set(families.flatMap((family) => this.goal.nets[family].map((piece) => piece.peer)));
    for (const peer of this.#netPeers) this.#usePeer(used.get(peer)!);
    for (const peer of before) this.#peers.release(peer);
    const addresses = new Set([...this.#singles.keys(), ...singles.keys()]);
    this.#singles = singles;
    for (const address of addresses) this.#setExact(address);
    this.#nets = true;
  }

  /** The entry of an address: of its owner, or of a network of one address. */
  #setExact(address: string): void {
    const owner = this.#classAt.get(address);
    const single = this.#singles.get(address);
    const peer = owner ?? single;
    const narrowed = peer === undefined ? nobody : this.#narrow(peer).key;
    // `nets` passes over networks of one address: what has one of these has an entry, if only to say `nobody`.
    const to = narrowed === nobody && single === undefined ? null : narrowed;
    const from = this.goal.exact.get(address) ?? null;
    if (to !== null && to !== nobody) this.#usePeer(peer!);
    if (from !== null && from !== nobody) this.#peers.release(from);
    if (from === to) return;
    if (to === null) this.goal.exact.delete(address);
    else this.goal.exact.set(address, to);
    this.#exact.add(address);
  }

  /** After all peers: answers for every pair that can occur. */
  end(plan: Plan): Touched {
    const goneSubjects = new Map(this.#subjects.gone);
    const gonePeers = new Map(this.#peers.gone);
    const touched: Touched = {
      exact: this.#exact,
      dispatch: this.#dispatch,
      nets: this.#nets,
      subjects: new Set(this.#subjects.came),
      peers: new Set(this.#peers.came),
      answer: (subject, peer) => {
        const judging = this.#subjects.get(subject) ?? goneSubjects.get(subject);
        const judged = peer === nobody ? this.#stranger : (this.#peers.get(peer) ?? gonePeers.get(peer));
        return judging === undefined || judged === undefined ? null : this.#table(plan, judging.policyClass, judged);
      },
    };
    for (const subject of goneSubjects.keys()) {
      this.#subjectIndex.remove(subject);
      for (const peer of this.goal.subjects.get(subject)!.keys()) this.#dropPair(subject, peer);
      this.goal.subjects.delete(subject);
    }
    for (const peer of gonePeers.keys()) {
      this.#peerIndex.remove(peer);
      this.goal.peers.delete(peer);
      for (const subject of this.goal.subjects.keys()) this.#dropPair(subject, peer);
    }
    for (const peer of touched.peers) {
      const { groups, ports } = this.#peers.get(peer)!;
      this.#peerIndex.add(peer, groups, ports.length > 0);
      this.goal.peers.add(peer);
    }
    for (const subject of touched.subjects) {
      const { groups, looksAtAll } = this.#subjects.get(subject)!;
      this.#subjectIndex.add(subject, groups, looksAtAll);
      this.goal.subjects.set(subject, new Map());
      this.#addPair(plan, subject, nobody);
      for (const peer of this.#peerIndex.meeting(groups, looksAtAll)) this.#addPair(plan, subject, peer);
    }
    for (const peer of touched.peers) {
      const { groups, ports } = this.#peers.get(peer)!;
      for (const subject of this.#subjectIndex.meeting(groups, ports.length > 0)) {
        if (!touched.subjects.has(subject)) this.#addPair(plan, subject, peer);
      }
    }
    this.#subjects.settle();
    this.#peers.settle();
    this.#exact = new Set();
    this.#dispatch = new Set();
    this.#nets = false;
    return touched;
  }

  #subjectOf(policyClass: PolicyClass): { readonly key: Hash; readonly subject: Subject } {
    let known = this.#known.get(policyClass);
    if (known === undefined) {
      const names = new Set<string>();
      let looksAtAll = false;
      for (const { peers, ports } of this.direction === "egress" ? policyClass.rules : []) {
        for (const { name } of ports.named) {
          if (peers === "everything") names.add(lookUp(null, name));
          else for (const { id } of peers) names.add(lookUp(id, name));
          looksAtAll ||= peers === "everything";
        }
      }
      const groups = new Set(policyClass.groups.map((group) => group.id));
      const subject: Subject = { policyClass, groups, names, looksAtAll };
      known = { key: hash(policyClass.key), subject };
      this.#known.set(policyClass, known);
    }
    return known;
  }

  /** A peer in no group, without named ports. */
  get #stranger(): PeerClass {
    return { id: 0, key: "", direction: this.direction, groups: [], ports: [] };
  }

  #table(plan: Plan, subject: PolicyClass, peer: PeerClass): PortTable {
    const decisions = plan.judge(subject, peer);
    let table = this.#tableOfDecisions.get(decisions);
    if (table === undefined) {
      table = tableOf(decisions, (decision) => this.#drops.idOf(subject, decision));
      this.#tableOfDecisions.set(decisions, table);
    }
    return table;
  }

  /** Adds what a subject answers a peer, unless it is what it answers everyone. */
  #addPair(plan: Plan, subject: Hash, peer: Hash): void {
    const { policyClass } = this.#subjects.get(subject)!;
    const peerClass = peer === nobody ? this.#stranger : this.#peers.get(peer)!;
    const pairs = this.goal.subjects.get(subject)!;
    const table = this.#table(plan, policyClass, peerClass);
    if (pairs.get(nobody) === table.key) return;
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
    if (this.#tables.get(key) === undefined) this.goal.tables.delete(key);
  }

  #usePeer(peerClass: PeerClass): void {
    const narrowed = this.#narrow(peerClass);
    this.#peers.add(narrowed.key, narrowed);
  }

  /** Ports that rules which match the peer name. */
  #portsOf(peer: PeerClass): readonly ContainerPort[] {
    return peer.ports.filter(({ name }) => isLookedUp(peer, name, (one) => this.#names.get(one) === true));
  }

  /** The class as subjects of this node see it, with the groups and ports that they look at; `key` is its name here. */
  #narrow(peer: PeerClass): PeerClass {
    let narrowed = this.#narrowed.get(peer);
    if (narrowed === undefined) {
      const groups = peer.groups.filter((id) => this.#groups.get(id) !== undefined);
      const ports = this.#portsOf(peer);
      const groupKeys = groups.map((id) => this.#groups.get(id)!).sort();
      const portKeys = ports.map(({ name, number, protocol }) => `${name} ${protocol} ${number}`).sort();
      const key = groups.length + ports.length === 0 ? nobody : hash(...groupKeys, "", ...portKeys);
      narrowed = { id: 0, key, direction: this.direction, groups, ports };
      this.#narrowed.set(peer, narrowed);
    }
    return narrowed;
  }
}

/** Is a port name looked up on a peer, by one of the look-ups that `has` knows? */
const isLookedUp = ({ groups }: PeerClass, name: string, has: (lookUp: string) => boolean): boolean =>
  has(lookUp(null, name)) || groups.some((id) => has(lookUp(id, name)));
