/**
 * What a node's table holds, as data: classes and answers by content, and three things that change: which peer class an
 * address has, which subject class judges it, and which epoch is current.
 */
import { AddressSet, type Family, parseAddress } from "../net/address.ts";
import { type Ranges, rangeAt } from "../net/interval.ts";
import type { Direction } from "../policy/model/verdict.ts";
import { untrusted } from "./epoch.ts";
import type { Hash } from "./names.ts";
import type { PortTable } from "./port-table.ts";

/** The peer class of addresses that no rule of this node tells apart from the rest of the world. */
export const nobody: Hash = "";
/** In place of a subject class: a pod of this node that is not judged in this direction, everything is allowed. */
export const free: Hash = "free";
/** In place of a subject class: an address without an entry, of no known pod of this node; everything is allowed. */
export const outside: Hash = "";
/** The same in this node's pod space: of a pod that is not known yet, or no more; everything is denied. */
export const stranger: Hash = "stranger";
/** In place of a subject class that the table has no room for: everything is denied. */
export const closed: Hash = "closed";

/** Is this a class with a chain of its own? */
export const isRuled = (subject: Hash): boolean =>
  subject !== free && subject !== outside && subject !== stranger && subject !== closed;

/** Addresses `start..end` that are no pod and no node. */
export interface NetPiece {
  readonly start: bigint;
  readonly end: bigint;
  readonly peer: Hash;
}

/** The maps of one direction. Content of tables, subjects and peers never changes under one hash. */
export interface DirectionState {
  readonly tables: Map<Hash, PortTable>;
  /** Subject class → peer class → table; the entry of `nobody` answers every peer class without one. */
  readonly subjects: Map<Hash, Map<Hash, Hash>>;
  /** Peer classes that have a number in the kernel. */
  readonly peers: Set<Hash>;
  /** Address → peer class; stands above `nets`. */
  readonly exact: Map<string, Hash>;
  /** Disjoint, ascending. */
  readonly nets: Record<Family, readonly NetPiece[]>;
  /** Address of a pod of this node → subject class, `free` or `closed`. */
  readonly dispatch: Map<string, Hash>;
}

export interface KernelState extends Readonly<Record<Direction, DirectionState>> {
  readonly denies: Set<string>;
  /** Addresses that only pods of this node can have: those without an entry in `dispatch` are strangers. */
  held: AddressSet;
  /** So are addresses behind the interfaces of this node's pods (`TableOptions.podInterfaces`), whatever they are. */
  readonly byInterface: boolean;
  /** Address → identity of the pod whose flows connection tracking may hold. Packets do not look at it. */
  readonly owners: Map<string, Hash>;
  /** 0 is no epoch: flows that were never judged have it. */
  epoch: number;
  /** Something was closed, and the epoch that must follow has not begun: a process may end in between. */
  owesEpoch: boolean;
  /** Are the base chains in place? */
  hooked: boolean;
}

export type Op =
  | { readonly kind: "deny"; readonly id: string; readonly present: boolean }
  | { readonly kind: "table"; readonly direction: Direction; readonly table: PortTable; readonly present: boolean }
  | { readonly kind: "peer"; readonly direction: Direction; readonly peer: Hash; readonly present: boolean }
  | {
      /** A subject class, and the table that answers it about `nobody` and every peer class without a pair. */
      readonly kind: "subject";
      readonly direction: Direction;
      readonly subject: Hash;
      readonly table: Hash;
      readonly present: boolean;
    }
  | {
      readonly kind: "pair";
      readonly direction: Direction;
      readonly subject: Hash;
      readonly peer: Hash;
      readonly table: Hash;
      readonly present: boolean;
    }
  | {
      /** `exact`: peer classes; `dispatch`: subject classes. null = no entry. */
      readonly kind: "exact" | "dispatch";
      readonly direction: Direction;
      readonly address: string;
      readonly from: Hash | null;
      readonly to: Hash | null;
    }
  | {
      readonly kind: "nets";
      readonly direction: Direction;
      readonly family: Family;
      readonly from: readonly NetPiece[];
      readonly to: readonly NetPiece[];
    }
  | {
      readonly kind: "held";
      readonly family: Family;
      readonly from: Ranges<bigint>;
      readonly to: Ranges<bigint>;
    }
  | { readonly kind: "owner"; readonly address: string; readonly from: Hash | null; readonly to: Hash | null }
  | { readonly kind: "owe"; readonly epoch: number }
  | { readonly kind: "epoch"; readonly to: number }
  | { readonly kind: "hooks" };

const emptyDirection = (): DirectionState => ({
  tables: new Map(),
  subjects: new Map(),
  peers: new Set(),
  exact: new Map(),
  nets: { IPv4: [], IPv6: [] },
  dispatch: new Map(),
});

export const emptyState = (byInterface = false): KernelState => ({
  egress: emptyDirection(),
  ingress: emptyDirection(),
  denies: new Set(),
  held: AddressSet.empty,
  byInterface,
  owners: new Map(),
  epoch: untrusted,
  owesEpoch: false,
  hooked: false,
});

function setOrDelete<V>(map: Map<string, V>, key: string, value: V | null): void {
  if (value === null) map.delete(key);
  else map.set(key, value);
}

function addOrDelete(set: Set<string>, key: string, present: boolean): void {
  if (present) set.add(key);
  else set.delete(key);
}

/** Changes `state` as the kernel does when it commits `op`. */
export function applyOp(state: KernelState, op: Op): void {
  switch (op.kind) {
    case "deny":
      addOrDelete(state.denies, op.id, op.present);
      break;
    case "table":
      setOrDelete(state[op.direction].tables, op.table.key, op.present ? op.table : null);
      break;
    case "peer":
      addOrDelete(state[op.direction].peers, op.peer, op.present);
      break;
    case "subject":
      setOrDelete(state[op.direction].subjects, op.subject, op.present ? new Map([[nobody, op.table]]) : null);
      break;
    case "pair":
      setOrDelete(state[op.direction].subjects.get(op.subject)!, op.peer, op.present ? op.table : null);
      break;
    case "exact":
    case "dispatch":
      setOrDelete(state[op.direction][op.kind], op.address, op.to);
      break;
    case "nets":
      state[op.direction].nets[op.family] = op.to;
      break;
    case "held": {
      const other: Family = op.family === "IPv4" ? "IPv6" : "IPv4";
      state.held = AddressSet.ofRanges(op.family, op.to).union(AddressSet.ofRanges(other, state.held.byFamily[other]));
      break;
    }
    case "owner":
      setOrDelete(state.owners, op.address, op.to);
      break;
    case "owe":
      state.owesEpoch = true;
      break;
    case "epoch":
      state.epoch = op.to;
      state.owesEpoch = false;
      break;
    case "hooks":
      state.hooked = true;
      break;
  }
}

/** The piece of `nets` that holds an address. */
export const netPeer = (nets: readonly NetPiece[], value: bigint): Hash => rangeAt(nets, value)?.peer ?? nobody;

/** The peer class that the kernel finds for an address. */
export function peerOf(state: DirectionState, address: string): Hash {
  const exact = state.exact.get(address);
  if (exact !== undefined) return exact;
  const parsed = parseAddress(address);
  if (parsed === null) throw new Error(`not an address: ${address}`);
  return netPeer(state.nets[parsed.family], parsed.value);
}

/** The class that judges an address as a subject. */
export function subjectAt(state: KernelState, direction: Direction, address: string): Hash {
  const own = state[direction].dispatch.get(address);
  if (own !== undefined) return own;
  return state.byInterface || state.held.has(parseAddress(address)!) ? stranger : outside;
}

/** The table that answers a subject class about a peer class. */
export function tableFor(state: DirectionState, subject: Hash, peer: Hash): PortTable {
  const pairs = state.subjects.get(subject);
  const key = pairs?.get(peer) ?? pairs?.get(nobody);
  const table = key === undefined ? undefined : state.tables.get(key);
  if (table === undefined) throw new Error(`no table for subject ${subject}, peer ${peer}`);
  return table;
}
