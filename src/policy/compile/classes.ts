/** The two kinds of interned classes. What is costly and not always asked for is made when first read. */
import type { Direction, Reason } from "../model/verdict.ts";
import type { ContainerPort } from "../model/world.ts";
import { portsKey } from "./judge.ts";
import { compareText } from "./order.ts";
import type { CompiledPolicy, PeerClass, PeerGroup, PlanRule, PolicyClass } from "./plan.ts";

export class CompiledPolicyClass implements PolicyClass {
  readonly id: number;
  readonly direction: Direction;
  readonly policies: readonly CompiledPolicy[];
  readonly ownPorts: readonly ContainerPort[];
  #key: string | undefined;
  #rules: readonly PlanRule[] | undefined;
  #isolating: readonly Reason[] | undefined;
  #groups: readonly PeerGroup[] | undefined;

  constructor(
    id: number,
    direction: Direction,
    policies: readonly CompiledPolicy[],
    ownPorts: readonly ContainerPort[],
  ) {
    this.id = id;
    this.direction = direction;
    this.policies = policies;
    this.ownPorts = ownPorts;
  }

  get rules(): readonly PlanRule[] {
    this.#rules ??= this.policies.flatMap((policy) => policy.rules[this.direction]);
    return this.#rules;
  }

  get isolating(): readonly Reason[] {
    const isolating = () => this.policies.filter((policy) => policy.isolates[this.direction]);
    this.#isolating ??= isolating().map((policy) => policy.reason);
    return this.#isolating;
  }

  get key(): string {
    this.#key ??= [this.direction, portsKey(this.ownPorts), ...this.policies.map(({ content }) => content)].join("\n");
    return this.#key;
  }

  get groups(): readonly PeerGroup[] {
    if (this.#groups === undefined) {
      const mentioned = this.rules.flatMap(({ peers }) => (peers === "everything" ? [] : peers));
      this.#groups = [...new Set(mentioned)].sort((a, b) => a.id - b.id);
    }
    return this.#groups;
  }
}

export class InternedPeerClass implements PeerClass {
  readonly id: number;
  readonly direction: Direction;
  readonly groups: readonly number[];
  readonly ports: readonly ContainerPort[];
  readonly #members: readonly PeerGroup[];
  #key: string | undefined;

  /** `groups` by ascending id. */
  constructor(id: number, direction: Direction, groups: readonly PeerGroup[], ports: readonly ContainerPort[]) {
    this.id = id;
    this.direction = direction;
    this.groups = groups.map((group) => group.id);
    this.ports = ports;
    this.#members = groups;
  }

  get key(): string {
    const groups = () => this.#members.map((group) => group.key).sort(compareText);
    this.#key ??= [this.direction, portsKey(this.ports), ...groups()].join("\n");
    return this.#key;
  }
}
