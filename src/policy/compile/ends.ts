/** Who has which address: pods that take part in traffic, and nodes. */
import { type Address, type AddressSet, type Family, parseAddress } from "../../net/address.ts";
import { type Node, namespacedName, type Pod } from "../model/world.ts";
import { AddressIndex } from "./address-index.ts";
import type { DeltaRecorder } from "./delta.ts";
import { compareText } from "./order.ts";

/** A pod by its key, or a node. There are very many pods: what can be had from the pod itself is not kept beside it. */
export type Owner = string | { readonly node: string };

/** Addresses `start..end`, and who has those that somebody has. */
export interface EndBlock {
  readonly family: Family;
  readonly start: bigint;
  readonly end: bigint;
  /** Counted from `start`. */
  readonly owners: Iterable<readonly [offset: number | bigint, owner: Owner]>;
}

export class Ends {
  readonly #pods: ReadonlyMap<string, Pod>;
  readonly #delta: DeltaRecorder;
  readonly #owners = new AddressIndex<Owner>();
  readonly #nodeAddresses = new Map<string, { readonly owner: Owner; readonly addresses: readonly Address[] }>();
  readonly #withoutAddress = new Set<string>();

  /** @param pods by key: those that are added here */
  constructor(pods: ReadonlyMap<string, Pod>, delta: DeltaRecorder) {
    this.#pods = pods;
    this.#delta = delta;
  }

  at(address: Address): Owner | null {
    return this.#haver(this.#owners.at(address));
  }

  /** Everybody's addresses. */
  *blocks(): Generator<EndBlock> {
    for (const { owners, ...range } of this.#owners.blocks()) yield { ...range, owners: this.#havers(owners) };
  }

  *#havers(
    owners: Iterable<readonly [offset: number | bigint, owners: Iterable<Owner>]>,
  ): Generator<[number | bigint, Owner]> {
    for (const [offset, some] of owners) yield [offset, this.#haver(some)!];
  }

  /** Of those who report one address the one that has it: a pod before a node. */
  #haver(owners: Iterable<Owner>): Owner | null {
    let best: Owner | null = null;
    for (const owner of owners) {
      if (typeof best !== "string") best = owner;
      else if (typeof owner === "string" && compareClaims(this.#pods.get(owner)!, this.#pods.get(best)!) < 0)
        best = owner;
    }
    return best;
  }

  /** @param addresses of the pod: `podAddresses`, as for `removePod` */
  addPod(key: string, { ips }: Pod, addresses: Partial<Record<Family, Address>>): void {
    for (const address of Object.values(addresses)) this.#owners.add(address, key);
    if (ips.length === 0) this.#withoutAddress.add(key);
  }

  removePod(key: string, addresses: Partial<Record<Family, Address>>): void {
    for (const address of Object.values(addresses)) {
      this.#owners.remove(address, key);
      this.#delta.freed(address);
    }
    this.#withoutAddress.delete(key);
  }

  addNode({ name, ips }: Node): void {
    const owner: Owner = { node: name };
    const addresses = ips.flatMap((text) => parseAddress(text) ?? []);
    for (const address of addresses) this.#owners.add(address, owner);
    this.#nodeAddresses.set(name, { owner, addresses });
  }

  /** @returns whether there was such a node */
  removeNode(name: string): boolean {
    const before = this.#nodeAddresses.get(name);
    if (before === undefined) return false;
    for (const address of before.addresses) this.#owners.remove(address, before.owner);
    return this.#nodeAddresses.delete(name);
  }

  /** Notes that whoever has an address in the set may look different. */
  touchWithin(set: AddressSet): void {
    if (!this.#delta.isOn) return;
    for (const owner of this.#owners.within(set)) {
      if (typeof owner === "string") this.#delta.pod(owner);
      else this.#delta.nodes();
    }
    for (const key of this.#withoutAddress) this.#delta.pod(key);
  }
}

/** The first address of each family. */
export function podAddresses(pod: Pod): Partial<Record<Family, Address>> {
  const addresses: Partial<Record<Family, Address>> = {};
  for (const text of pod.ips) {
    const address = parseAddress(text);
    if (address !== null) addresses[address.family] ??= address;
  }
  return addresses;
}

/** `podAddresses` of one family. */
export function podAddress({ ips }: Pod, family: Family): Address | undefined {
  for (const text of ips) {
    if (family === "IPv6" && !text.includes(":")) continue; // parsing takes most of the time of those who ask
    const address = parseAddress(text);
    if (address?.family === family) return address;
  }
  return undefined;
}

/** Which of two pods that report one address has it: the running one (spec A17.4); else by name, so that it is settled. */
const compareClaims = (a: Pod, b: Pod): number =>
  Number(b.phase === "Running") - Number(a.phase === "Running") || compareText(namespacedName(a), namespacedName(b));
