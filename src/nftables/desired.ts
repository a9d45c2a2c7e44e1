/** What a node's table shall hold: follows a plan, change by change. */
import { type AddressSet, formatAddress, parseAddress } from "../net/address.ts";
import type { PeerClass, Plan, PlanDelta } from "../policy/compile/plan.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { isFinished, namespacedName, type Pod } from "../policy/model/world.ts";
import { DirectionGoal } from "./direction-goal.ts";
import type { Drops } from "./drops.ts";
import { type Hash, hash } from "./names.ts";
import { emptyState, type KernelState } from "./state.ts";
import { type Changed, nothingTouched, type Touched } from "./touched.ts";

/** Who has an address. */
type Owner = NonNullable<ReturnType<Plan["endAt"]>>;

/** The goal of one node. `goal` is updated in place. */
export class Desired {
  readonly goal: KernelState;
  readonly #node: string;
  readonly #directions: Readonly<Record<Direction, DirectionGoal>>;
  /** The addresses that each pod was last seen with. */
  readonly #addressesOf = new Map<string, readonly string[]>();
  #nodeAddresses: readonly string[] = [];

  constructor(node: string, drops: Drops, byInterface = false) {
    this.#node = node;
    this.goal = emptyState(byInterface);
    this.#directions = {
      egress: new DirectionGoal("egress", this.goal.egress, drops),
      ingress: new DirectionGoal("ingress", this.goal.ingress, drops),
    };
  }

  /** Takes in a whole plan. */
  load(plan: Plan): Changed {
    return this.update(plan, { pods: new Set(plan.pods.keys()), nodes: true, nets: { egress: true, ingress: true } });
  }

  /** Takes in what changed in the plan. */
  update(plan: Plan, delta: PlanDelta): Changed {
    const addresses = new Set<string>();
    for (const key of delta.pods) for (const address of this.#movePod(plan, key)) addresses.add(address);
    if (delta.nodes) for (const address of this.#moveNodes(plan)) addresses.add(address);
    const owners = new Map(Array.from(addresses, (address) => [address, plan.endAt(address)]));

    const local = (owner: Owner | null | undefined): Pod | null =>
      owner?.kind === "pod" && owner.pod.node === this.#node ? owner.pod : null;

    const touched = directions.map((direction): [Direction, Touched] => {
      const own = this.#directions[direction];
      for (const [address, owner] of owners) {
        const pod = local(owner);
        own.setSubject(address, pod === null ? null : plan.policyClass(pod, direction));
      }
      own.subjectsDone(plan);
      for (const [address, owner] of owners) {
        own.setPeer(address, owner === null ? null : peerClassOf(plan, owner, address, direction));
      }
      if (delta.nets[direction]) own.setNets(plan);
      return [direction, own.end(plan)];
    });
    const changed = new Set<string>();
    for (const [address, owner] of owners) if (this.#setOwner(address, local(owner))) changed.add(address);
    return { ...(Object.fromEntries(touched) as Record<Direction, Touched>), owners: changed };
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

  /** @returns the addresses that a pod had or has. */
  #movePod(plan: Plan, key: string): readonly string[] {
    const pod = plan.pods.get(key);
    const before = this.#addressesOf.get(key) ?? [];
    const now = pod === undefined || pod.hostNetwork || isFinished(pod) ? [] : canonicalAll(pod.ips);
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

/** The list itself where nothing has to be changed: there are very many pods. */
function canonicalAll(ips: readonly string[]): readonly string[] {
  const all = ips.flatMap(canonical);
  return all.length === ips.length && all.every((text, i) => text === ips[i]) ? ips : all;
}

const canonical = (text: string): string[] => {
  const address = parseAddress(text);
  return address === null ? [] : [formatAddress(address)];
};

/** The same for one pod as long as it lives, of another for any other. */
const identity = (pod: Pod): Hash => hash(pod.uid ?? namespacedName(pod));

function peerClassOf(plan: Plan, owner: Owner, address: string, direction: Direction): PeerClass {
  if (owner.kind === "node") return plan.nodePeer(owner.node, address, direction);
  return plan.podPeer(owner.pod, parseAddress(address)!.family, direction);
}
