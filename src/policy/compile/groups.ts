/** The interned peer groups of a plan, who mentions them, and for which directions they matter. */
import type { AddressSet } from "../../net/address.ts";
import type { LabelSelector } from "../model/labels.ts";
import type { Direction } from "../model/verdict.ts";
import { compileSelector, type Matcher } from "../select/selector.ts";
import type { AddressGroup, CompiledPolicy, NodeGroup, PeerGroup, PodGroup } from "./plan.ts";
import type { GroupInterner } from "./policy.ts";
import { type Members, podGroupContent, type Shapes } from "./shapes.ts";

interface EntryBase {
  /** Compiled policies that mention it, as subject or peer. */
  refs: number;
  /** Active policies whose rules of the direction name it as a peer. */
  readonly used: Record<Direction, number>;
  /** How many active policies look each port name up on it, as a destination; null: none ever did. */
  names: Map<string, number> | null;
}

export interface PodEntry extends EntryBase {
  readonly group: PodGroup;
  readonly members: Members;
  /** Policies whose subject it is, in order of judgement. */
  readonly subjects: PolicyState[];
}

export interface AddressEntry extends EntryBase {
  readonly group: AddressGroup;
}

export interface NodeEntry extends EntryBase {
  readonly group: NodeGroup;
  readonly matcher: Matcher;
}

export type Entry = PodEntry | AddressEntry | NodeEntry;

/** A compiled policy in a plan. */
export interface PolicyState {
  readonly id: number;
  readonly compiled: CompiledPolicy;
  readonly subject: PodEntry | null;
  readonly peers: Readonly<Record<Direction, readonly Entry[]>>;
  /** Port names that its ingress rules look up on the subject. */
  readonly ownNames: readonly string[];
  /** Port names that its egress rules look up, each with those on whom; null: on everybody. */
  readonly peerNames: readonly { readonly entry: Entry | null; readonly name: string }[];
  /** Do its reasons have positions? */
  readonly positioned: boolean;
  /** Has at least one subject pod that is judged. */
  active: boolean;
}

export const isPodEntry = (entry: Entry): entry is PodEntry => entry.group.kind === "pods";

export const isNodeEntry = (entry: Entry): entry is NodeEntry => entry.group.kind === "nodes";

/** Every group that a policy mentions, each once. */
const mentioned = ({ subject, peers }: PolicyState): ReadonlySet<Entry> =>
  new Set([...(subject === null ? [] : [subject]), ...peers.ingress, ...peers.egress]);

/**
 * INVARIANT: after `settle` every entry is mentioned by some policy that was added and not yet removed. Until then a group
 * that lost its last mention keeps its id: readers see a plan before and after all changes of one `apply`, and classes of
 * equal content must then have groups of equal ids.
 */
export class Groups implements GroupInterner {
  readonly #shapes: Shapes;
  readonly #nextId: () => number;
  readonly #byKey = new Map<string, Entry>();
  readonly #byId = new Map<number, Entry>();
  readonly #nodeEntries = new Set<NodeEntry>();
  /** Made since the last policy was added. */
  #made: Entry[] = [];
  /** Lost their last mention since `settle`. */
  readonly #left = new Set<Entry>();

  constructor(shapes: Shapes, nextId: () => number) {
    this.#shapes = shapes;
    this.#nextId = nextId;
  }

  /** By id: groups are handed out, entries are not. Undefined only while the group is being made. */
  entry(group: PodGroup): PodEntry | undefined;
  entry(group: PeerGroup): Entry | undefined;
  entry(group: PeerGroup): Entry | undefined {
    return this.#byId.get(group.id);
  }

  group(id: number): PeerGroup {
    return this.#byId.get(id)!.group;
  }

  /** Does an egress rule of an active policy look the port name up on what is in this group? */
  looksUp(id: number, name: string): boolean {
    return this.#byId.get(id)!.names?.has(name) === true;
  }

  /** Groups that rules of `direction` of some selected subject mention. */
  *used(direction: Direction): Generator<PeerGroup> {
    for (const entry of this.#byKey.values()) if (entry.used[direction] > 0) yield entry.group;
  }

  get nodeEntries(): Iterable<NodeEntry> {
    return this.#nodeEntries;
  }

  add(policy: PolicyState): void {
    for (const entry of mentioned(policy)) entry.refs++;
    this.forgetUnmentioned();
  }

  /** Forgets groups made for rules that turned out not to be understood, and for policies that are not added after all. */
  forgetUnmentioned(): void {
    for (const entry of this.#made) if (entry.refs === 0) this.#drop(entry);
    this.#made = [];
  }

  remove(policy: PolicyState): void {
    for (const entry of mentioned(policy)) if (--entry.refs === 0) this.#left.add(entry);
  }

  /** Forgets groups that no policy mentions any more. */
  settle(): void {
    for (const entry of this.#left) if (entry.refs === 0) this.#drop(entry);
    this.#left.clear();
  }

  pods(namespaces: string | LabelSelector, pods: LabelSelector): PodGroup | null {
    const content = podGroupContent(namespaces, pods);
    if (content === null) return null;
    const { key } = content;
    return this.#intern(key, (id, base): PodEntry => {
      const group: PodGroup = { kind: "pods", id, key, namespaces, pods };
      return {
        ...base,
        group,
        members: this.#shapes.addGroup(group, content.namespaces, content.pods),
        subjects: [],
      };
    }).group;
  }

  nodes(nodes: LabelSelector): NodeGroup | null {
    const matcher = compileSelector(nodes);
    if (matcher === null) return null;
    const key = `nodes {${matcher.key}}`;
    return this.#intern(key, (id, base): NodeEntry => {
      const entry: NodeEntry = { ...base, group: { kind: "nodes", id, key, nodes }, matcher };
      this.#nodeEntries.add(entry);
      return entry;
    }).group;
  }

  addresses(set: AddressSet): AddressGroup {
    const key = `addresses ${set.key}`;
    return this.#intern(key, (id, base): AddressEntry => ({ ...base, group: { kind: "addresses", id, key, set } }))
      .group;
  }

  /** INVARIANT: the kind is part of the key, so what is held under a key is of the kind asked for. */
  #intern<E extends Entry>(key: string, make: (id: number, base: EntryBase) => E): E {
    const held = this.#byKey.get(key);
    if (held !== undefined) return held as E;
    const entry = make(this.#nextId(), { refs: 0, used: { ingress: 0, egress: 0 }, names: null });
    this.#byKey.set(key, entry);
    this.#byId.set(entry.group.id, entry);
    this.#made.push(entry);
    return entry;
  }

  #drop(entry: Entry): void {
    this.#byKey.delete(entry.group.key);
    this.#byId.delete(entry.group.id);
    if (isPodEntry(entry)) this.#shapes.removeGroup(entry.members);
    else if (isNodeEntry(entry)) this.#nodeEntries.delete(entry);
  }
}
