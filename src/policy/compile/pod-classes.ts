/** The classes of shapes of pods: made when asked for, remembered until something that they come from changes. */
import { type Direction, directions } from "../model/verdict.ts";
import type { ContainerPort } from "../model/world.ts";
import { CompiledPolicyClass, InternedPeerClass } from "./classes.ts";
import type { Groups, PolicyState } from "./groups.ts";
import { Interner } from "./intern.ts";
import { portsKey } from "./judge.ts";
import { compareInJudgement } from "./order.ts";
import type { PeerClass, PeerGroup, PolicyClass } from "./plan.ts";
import type { Shape } from "./shapes.ts";

type ByDirection<T> = Record<Direction, T>;

interface Remembered {
  readonly policy: ByDirection<PolicyClass | null>;
  readonly peer: ByDirection<{
    readonly groups: readonly PeerGroup[];
    /** By the address groups of one address: the array of the split that lists them. */
    readonly byAddress: WeakMap<readonly number[], PeerClass>;
  } | null>;
}

export const compareStates = (a: PolicyState, b: PolicyState): number => compareInJudgement(a.compiled, b.compiled);

export class PodClasses {
  readonly #groups: Groups;
  readonly #nextId: () => number;
  readonly #looksUp: (name: string) => boolean;
  readonly #remembered = new WeakMap<Shape, Remembered>();
  readonly #policyClasses = new Interner<PolicyClass>();
  readonly #peerClasses = new Interner<PeerClass>();
  /** The class of whoever is in no group and has no port that is looked up. */
  readonly #anybodies: ByDirection<PeerClass | null> = { ingress: null, egress: null };

  /** `looksUp`: does an egress rule of an active policy look this port name up on everybody? */
  constructor(groups: Groups, nextId: () => number, looksUp: (name: string) => boolean) {
    this.#groups = groups;
    this.#nextId = nextId;
    this.#looksUp = looksUp;
  }

  policyClass(shape: Shape, direction: Direction): PolicyClass {
    const { policy } = this.#of(shape);
    policy[direction] ??= this.#makePolicyClass(shape, direction);
    return policy[direction];
  }

  /** The peer class of a pod whose address is in these address groups. */
  podPeer(shape: Shape, addressGroups: readonly number[], direction: Direction): PeerClass {
    if (this.#isAnybody(shape, addressGroups, direction)) return this.#anybody(direction);
    const { peer } = this.#of(shape);
    peer[direction] ??= {
      groups: Array.from(shape.groups, ({ group }) => group).filter(
        (group) => this.#groups.entry(group)!.used[direction] > 0,
      ),
      byAddress: new WeakMap(),
    };
    const { groups, byAddress } = peer[direction];
    let found = byAddress.get(addressGroups);
    if (found === undefined) {
      const looksUp = (name: string): boolean =>
        this.#looksUp(name) ||
        groups.some(({ id }) => this.#groups.looksUp(id, name)) ||
        addressGroups.some((id) => this.#groups.looksUp(id, name));
      const ports = direction === "egress" ? shape.ports.filter(({ name }) => looksUp(name)) : [];
      found = this.peerClass(groups, addressGroups, ports, direction);
      byAddress.set(addressGroups, found);
    }
    return found;
  }

  /** Is in no group: in a plan of one node most pods are, and nothing needs to be remembered of them. */
  #isAnybody({ groups, ports }: Shape, addressGroups: readonly number[], direction: Direction): boolean {
    return (
      groups.size + addressGroups.length === 0 &&
      (direction === "ingress" || !ports.some(({ name }) => this.#looksUp(name)))
    );
  }

  #anybody(direction: Direction): PeerClass {
    this.#anybodies[direction] ??= this.peerClass([], [], [], direction);
    return this.#anybodies[direction];
  }

  /** `groups` in any order, besides the address groups. */
  peerClass(
    groups: readonly PeerGroup[],
    addressGroups: readonly number[],
    ports: readonly ContainerPort[],
    direction: Direction,
  ): PeerClass {
    const all = [...groups, ...addressGroups.map((id) => this.#groups.group(id))].sort((a, b) => a.id - b.id);
    const key = `${direction} ${all.map(({ id }) => id).join()} ${portsKey(ports)}`;
    return this.#peerClasses.get(key, () => new InternedPeerClass(this.#nextId(), direction, all, ports));
  }

  forgetPolicies(shape: Shape): void {
    const remembered = this.#remembered.get(shape);
    if (remembered !== undefined) for (const direction of directions) remembered.policy[direction] = null;
  }

  forgetPeer(shape: Shape, direction: Direction): void {
    const remembered = this.#remembered.get(shape);
    if (remembered !== undefined) remembered.peer[direction] = null;
  }

  #of(shape: Shape): Remembered {
    let remembered = this.#remembered.get(shape);
    if (remembered === undefined) {
      remembered = { policy: { ingress: null, egress: null }, peer: { ingress: null, egress: null } };
      this.#remembered.set(shape, remembered);
    }
    return remembered;
  }

  #makePolicyClass(shape: Shape, direction: Direction): PolicyClass {
    const states: PolicyState[] = [];
    const names = new Set<string>();
    for (const { group } of shape.groups) {
      for (const state of this.#groups.entry(group)!.subjects) {
        const { rules, isolates } = state.compiled;
        if (rules[direction].length === 0 && !isolates[direction]) continue; // no effect: A3.3, C3.3
        states.push(state);
        if (direction === "ingress") for (const name of state.ownNames) names.add(name);
      }
    }
    states.sort(compareStates); // quick: each group's are in order already
    const ownPorts = names.size === 0 ? [] : shape.ports.filter(({ name }) => names.has(name));
    const key = `${direction} ${states.map(({ id }) => id).join()} ${portsKey(ownPorts)}`;
    return this.#policyClasses.get(key, () => {
      const policies = states.map(({ compiled }) => compiled);
      return new CompiledPolicyClass(this.#nextId(), direction, policies, ownPorts);
    });
  }
}
