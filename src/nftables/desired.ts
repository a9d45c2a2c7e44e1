/** What a node's table shall hold: follows a plan, change by change. */
import { type AddressSet, canonicalAddress } from "../net/address.ts";
import type { AddressOwner, EndPeers, Plan, PlanDelta } from "../policy/compile/plan.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { isFinished, namespacedName, type Pod } from "../policy/model/world.ts";
import { DirectionGoal } from "./direction-goal.ts";
import type { Drops } from "./drops.ts";
import { type Hash, hash } from "./names.ts";
import { emptyState, type KernelState } from "./state.ts";
import { type Changed, nothingTouched, type Touched } from "./touched.ts";

type Subject = readonly [address: string, owner: AddressOwner | null];
type Peer = readonly [address: string, peers: EndPeers | null];

/** The goal of one node. `goal` is updated in place. */
export class Desired {
  readonly goal: KernelState;
  readonly #node: string;
  readonly #directions: Readonly<Record<Direction, DirectionGoal>>;
  #nodeAddresses: readonly string[] = [];

  constructor(node: string, drops: Drops, byInterface = false) {
    this.#node = node;
    this.goal = emptyState(byInterface);
    this.#directions = {
      egress: new DirectionGoal("egress", this.goal.egress, drops),
      ingress: new DirectionGoal("ingress", this.goal.ingress, drops),
    };
  }

  /** Takes in a whole plan; to be called once, before any `update`. */
  load(plan: Plan): Changed {
    const local = new Set<string>();
    for (const pod of plan.pods.values())
      if (pod.node === this.#node) for (const address of addressesOf(pod)) local.add(address);
    this.#moveNodes(plan);
    const subjects = Array.from(local, (address): Subject => [address, plan.endAt(address)]);
    return this.#take(plan, subjects, plan.endPeers(), { egress: true, ingress: true });
  }

  /** Takes in what changed in the plan. */
  update(plan: Plan, delta: PlanDelta): Changed {
    const addresses = new Set(delta.freed);
    for (const key of delta.pods) {
      const pod = plan.pods.get(key);
      if (pod !== undefined) for (const address of addressesOf(pod)) addresses.add(address);
    }
    if (delta.nodes) for (const address of this.#moveNodes(plan)) addresses.add(address);
    const subjects: Subject[] = [];
    const peers: Peer[] = [];
    for (const address of addresses) {
      const end = plan.peersAt(address);
      subjects.push([address, end?.owner ?? null]);
      peers.push([address, end?.peers ?? null]);
    }
    return this.#take(plan, subjects, peers, delta.nets);
  }

  /** @param subjects addresses that can be of this node's pods. @param peers all addresses, gone through once after them */
  #take(plan: Plan, subjects: readonly Subject[], peers: Iterable<Peer>, nets: PlanDelta["nets"]): Changed {
    const local = subjects.map(([address, owner]): [string, Pod | null] => [address, this.#local(owner)]);
    for (const direction of directions) {
      const own = this.#directions[direction];
      for (const [address, pod] of local)
        own.setSubject(address, pod === null ? null : plan.policyClass(pod, direction));
      own.subjectsDone(plan);
    }
    for (const [address, own] of peers)
      for (const direction of directions) this.#directions[direction].setPeer(address, own?.[direction] ?? null);
    const touched = directions.map((direction): [Direction, Touched] => {
      const own = this.#directions[direction];
      if (nets[direction]) own.setNets(plan);
      return [direction, own.end(plan)];
    });
    const owners = new Set<string>();
    for (const [address, pod] of local) if (this.#setOwner(address, pod)) owners.add(address);
    return { ...(Object.fromEntries(touched) as Record<Direction, Touched>), owners };
  }

  /** The pod, if it is one of this node. */
  #local(owner: AddressOwner | null): Pod | null {
    return owner?.kind === "pod" && owner.pod.node === this.#node ? owner.pod : null;
  }

  /** Holds the pod space of this node. */
  hold(space: AddressSet): Changed {
    this.goal.held = space;
    return nothingTouched;
  }

  #setOwner(address: string, pod: Pod | null): boolean {
    const to = pod === null ? null : identity(pod);
    if ((this.goal.owners.get(address) ?? null) === to) return false;
    if (to === null) this.goal.owners.delete(address);
    else this.goal.owners.set(address, to);
    return true;
  }

  #moveNodes(plan: Plan): readonly string[] {
    const before = this.#nodeAddresses;
    this.#nodeAddresses = [...plan.nodes.values()].flatMap((node) => node.ips.flatMap(canonical));
    return [...before, ...this.#nodeAddresses];
  }
}

/** The addresses at which a pod takes part in traffic. */
const addressesOf = (pod: Pod): readonly string[] =>
  pod.hostNetwork || isFinished(pod) ? [] : pod.ips.flatMap(canonical);

const canonical = (text: string): string | readonly [] => canonicalAddress(text) ?? [];

/** The same for one pod as long as it lives, of another for any other. */
const identity = (pod: Pod): Hash => hash(pod.uid ?? namespacedName(pod));
