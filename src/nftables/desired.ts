/** What a node's table shall hold: follows a plan, change by change. */
import { type AddressSet, formatAddress, parseAddress } from "../net/address.ts";
import type { EndPeer, PeerClass, Plan, PlanDelta } from "../policy/compile/plan.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { isFinished, namespacedName, type Pod } from "../policy/model/world.ts";
import { DirectionGoal } from "./direction-goal.ts";
import type { Drops } from "./drops.ts";
import { type Hash, hash } from "./names.ts";
import { emptyState, type KernelState } from "./state.ts";
import { type Changed, nothingTouched, type Touched } from "./touched.ts";

/** Who has an address. */
type Owner = NonNullable<ReturnType<Plan["endAt"]>>;

/** An address, and how who has it looks; null: nobody has it. */
interface End extends Pick<EndPeer, "address"> {
  readonly peers: EndPeer["peers"] | null;
}

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
    const local = new Map<string, Owner | null>();
    for (const pod of plan.pods.values())
      if (pod.node === this.#node) for (const address of addressesOf(pod)) local.set(address, plan.endAt(address));
    this.#moveNodes(plan);
    return this.#take(plan, local, plan.endPeers(), { egress: true, ingress: true });
  }

  /** Takes in what changed in the plan. */
  update(plan: Plan, delta: PlanDelta): Changed {
    const addresses = new Set(delta.freed);
    for (const key of delta.pods) {
      const pod = plan.pods.get(key);
      if (pod !== undefined) for (const address of addressesOf(pod)) addresses.add(address);
    }
    if (delta.nodes) for (const address of this.#moveNodes(plan)) addresses.add(address);
    const ends = new Map(Array.from(addresses, (address) => [address, plan.endAt(address)]));
    return this.#take(plan, ends, peersOf(plan, ends), delta.nets);
  }

  /** @param subjects addresses that can be of this node's pods. @param ends all addresses, gone through once after them */
  #take(
    plan: Plan,
    subjects: ReadonlyMap<string, Owner | null>,
    ends: Iterable<End>,
    nets: PlanDelta["nets"],
  ): Changed {
    const local = Array.from(subjects, ([address, owner]): [string, Pod | null] => [address, this.#local(owner)]);
    for (const direction of directions) {
      const own = this.#directions[direction];
      for (const [address, pod] of local)
        own.setSubject(address, pod === null ? null : plan.policyClass(pod, direction));
      own.subjectsDone(plan);
    }
    for (const { address, peers } of ends)
      for (const direction of directions) this.#directions[direction].setPeer(address, peers?.[direction] ?? null);
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
  #local(owner: Owner | null): Pod | null {
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

/** The text itself where it is canonical: there are very many, and each is in memory already. */
const canonical = (text: string): string[] => {
  const address = parseAddress(text);
  if (address === null) return [];
  const formatted = formatAddress(address);
  return [formatted === text ? text : formatted];
};

/** The same for one pod as long as it lives, of another for any other. */
const identity = (pod: Pod): Hash => hash(pod.uid ?? namespacedName(pod));

function* peersOf(plan: Plan, owners: ReadonlyMap<string, Owner | null>): Generator<End> {
  for (const [address, owner] of owners) {
    const peer = (direction: Direction): PeerClass => peerClassOf(plan, owner!, address, direction);
    yield { address, peers: owner === null ? null : { egress: peer("egress"), ingress: peer("ingress") } };
  }
}

/** @param address canonical */
function peerClassOf(plan: Plan, owner: Owner, address: string, direction: Direction): PeerClass {
  if (owner.kind === "node") return plan.nodePeer(owner.node, address, direction);
  return plan.podPeer(owner.pod, address.includes(":") ? "IPv6" : "IPv4", direction);
}
