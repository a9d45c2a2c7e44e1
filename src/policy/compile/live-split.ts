/** The address split of one direction, following the groups that matter. */
import type { AddressSet, Family } from "../../net/address.ts";
import { AddressSplit, type UnknownAddress } from "./address-split.ts";
import type { AddressGroup } from "./plan.ts";

/** Changed groups up to which the split is changed group by group: each costs a small part of making it anew. */
const rebuildAbove = 30;

export class LiveSplit {
  readonly #podSpace: AddressSet;
  /** The groups that matter now. */
  readonly #groups = new Set<AddressGroup>();
  /** Groups that began or ceased to matter since the split was made. */
  readonly #pending = new Set<AddressGroup>();
  #split = AddressSplit.of([]);
  #unknown: Partial<Record<Family, UnknownAddress>> = {};

  /** `podSpace`: the addresses that pods can get; empty when nobody knows. */
  constructor(podSpace: AddressSet) {
    this.#podSpace = podSpace;
  }

  add(group: AddressGroup): void {
    this.#groups.add(group);
    this.#pending.add(group);
  }

  remove(group: AddressGroup): void {
    this.#groups.delete(group);
    this.#pending.add(group);
  }

  get current(): AddressSplit {
    if (this.#pending.size === 0) return this.#split;
    let split = this.#split;
    if (this.#pending.size > rebuildAbove) split = AddressSplit.of(this.#groups);
    else {
      for (const group of this.#pending) {
        const matters = this.#groups.has(group);
        if (matters && !split.has(group)) split = split.with(group);
        else if (!matters && split.has(group)) split = split.without(group);
      }
    }
    this.#pending.clear();
    this.#split = split;
    this.#unknown = {};
    return split;
  }

  /** How the address of a pod without one looks. */
  unknown(family: Family): UnknownAddress {
    const split = this.current;
    this.#unknown[family] ??= split.unknown(family, this.#podSpace);
    return this.#unknown[family];
  }
}
