/** What one call of `apply` may have altered, noted while it is worked off. */
import { type Address, formatAddress } from "../../net/address.ts";
import type { Direction } from "../model/verdict.ts";
import type { PlanDelta } from "./plan.ts";
import type { Shape } from "./shapes.ts";

interface Delta {
  readonly pods: Set<string>;
  readonly freed: Set<string>;
  nodes: boolean;
  readonly nets: Record<Direction, boolean>;
}

export class DeltaRecorder {
  /** null: nobody wants to know, as while the first world is read. */
  #delta: Delta | null = null;

  /** @returns what fills up until `end` */
  begin(): PlanDelta {
    this.#delta = { pods: new Set(), freed: new Set(), nodes: false, nets: { ingress: false, egress: false } };
    return this.#delta;
  }

  end(): void {
    this.#delta = null;
  }

  get isOn(): boolean {
    return this.#delta !== null;
  }

  /** @param key `namespace/name` */
  pod(key: string): void {
    this.#delta?.pods.add(key);
  }

  podsOf({ pods }: Shape): void {
    if (this.#delta !== null) for (const key of pods) this.#delta.pods.add(key);
  }

  freed(address: Address): void {
    this.#delta?.freed.add(formatAddress(address));
  }

  nodes(): void {
    if (this.#delta !== null) this.#delta.nodes = true;
  }

  nets(direction: Direction): void {
    if (this.#delta !== null) this.#delta.nets[direction] = true;
  }
}
