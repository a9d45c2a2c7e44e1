/** What a node's table shall hold: follows a plan, change by change. */
import { formatAddress, parseAddress } from "../net/address.ts";
import type { PeerClass, Plan, PlanDelta } from "../policy/compile/plan.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { isFinished } from "../policy/model/world.ts";
import { DirectionGoal } from "./direction-goal.ts";
import type { Drops } from "./drops.ts";
import { emptyState, type KernelState } from "./state.ts";
import type { Touched } from "./touched.ts";

/** Who has an address. */
type Owner = NonNullable<ReturnType<Plan["endAt"]>>;

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
      for (const [address, owner] of owners) {
        const local = owner?.kind === "pod" && owner.pod.node === this.#node;
        own.setSubject(address, local ? plan.policyClass(owner.pod, direction) : null);
      }
      own.subjectsDone(plan);
      for (const [address, owner] of owners) {
        own.setPeer(address, owner === null ? null : peerClassOf(plan, owner, address, direction));
      }
      if (delta.nets[direction]) own.setNets(plan);
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
