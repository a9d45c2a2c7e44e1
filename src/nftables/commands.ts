/** What a transaction does to the table, as data; `script.ts` says it in nft's words, `batch.ts` in netlink messages. */
import type { Address, Family } from "../net/address.ts";
import type { PortProtocol } from "../net/ports.ts";
import type { Rule } from "./rules.ts";

/** The key of an element; `end` of ranges is inclusive. */
export type Key =
  | { readonly kind: "number"; readonly number: number }
  | { readonly kind: "protocol"; readonly number: number; readonly protocol: PortProtocol }
  | { readonly kind: "port"; readonly number: number; readonly protocol: PortProtocol; readonly port: number }
  | {
      readonly kind: "ports";
      readonly number: number;
      readonly protocol: PortProtocol;
      readonly start: number;
      readonly end: number;
    }
  | { readonly kind: "address"; readonly address: Address }
  | { readonly kind: "addresses"; readonly family: Family; readonly start: bigint; readonly end: bigint };

export interface Element {
  readonly key: Key;
  /** Of maps: a number, or the chain that the packet goes to. */
  readonly value?: { readonly number: number } | { readonly chain: string };
  readonly comment?: string;
}

/** Of a set or a map; what is deleted has a key and nothing else. */
export interface ElementsCommand {
  readonly kind: "elements";
  readonly add: boolean;
  readonly set: string;
  readonly elements: readonly Element[];
  /** Of keys with ranges of ports: the chain that looks them up. The order of the bytes in such a key is its rule's to say. */
  readonly lookedUpIn?: string;
}

export type Command =
  | { readonly kind: "add"; readonly what: "chain" | "counter"; readonly name: string }
  | { readonly kind: "delete"; readonly what: "chain" | "counter"; readonly name: string }
  /** Removes a chain's rules. */
  | { readonly kind: "flush"; readonly chain: string }
  | { readonly kind: "rule"; readonly chain: string; readonly rule: Rule }
  | ElementsCommand
  /** What only a new table gets, in nft's words. */
  | { readonly kind: "script"; readonly lines: readonly string[] };
