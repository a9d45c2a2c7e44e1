/** Reads back what an earlier process left in the kernel, from nft's JSON (libnftables-json(5)). */
import { AddressSet, type Family, families, familyBits, parseAddress } from "../net/address.ts";
import type { PortProtocol } from "../net/ports.ts";
import { type Direction, directions } from "../policy/model/verdict.ts";
import { chainShapes, shapeOfRule } from "./chain-shapes.ts";
import { closedDrop, type Room } from "./closed.ts";
import { untrusted } from "./epoch.ts";
import { denyChain, type Hash, subjectChain } from "./names.ts";
import {
  type DirectionNumbers,
  explicitNobody,
  fullRoom,
  type KernelNumbers,
  kernelNumbers,
  parseClassid,
  splitKey,
} from "./numbers.ts";
import { type Answer, allow, type TableElements, tableFromElements } from "./port-table.ts";
import {
  about,
  baseChain,
  familyDigit,
  fixedDrops,
  freeChain,
  heldSet,
  hookNames,
  mapName,
  ownersSet,
  type TableOptions,
} from "./skeleton.ts";
import { closed, type DirectionState, emptyState, free, type KernelState, type NetPiece, nobody } from "./state.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A listing that is not of this version's making. */
class Foreign extends Error {}

function field(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return (value as { readonly [key: string]: Json | undefined })[name];
}

function text(value: Json | undefined): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  throw new Foreign(`text expected: ${JSON.stringify(value)}`);
}

function list(value: Json | undefined): readonly Json[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value as readonly Json[];
  throw new Foreign(`list expected: ${JSON.stringify(value)}`);
}

/** An element's key and its comment. */
function keyOf(element: Json | undefined): { key: Json; comment: string | null } {
  const inner = field(element, "elem");
  if (inner === undefined) return { key: element ?? null, comment: null };
  const comment = field(inner, "comment");
  return { key: field(inner, "val") ?? null, comment: comment === undefined ? null : text(comment) };
}

interface Element {
  readonly key: Json;
  readonly comment: string | null;
  readonly value: Json | undefined;
}

interface Chain {
  /** `type hook priority policy`; null for chains that are jumped to. */
  readonly hook: string | null;
  readonly shape: string[];
}

/** Elements of maps ([key, value] each) and sets, and chains, by name. */
interface Listing {
  readonly elements: ReadonlyMap<string, readonly Element[]>;
  readonly chains: ReadonlyMap<string, Chain>;
}

function readChain(chain: Json): Chain {
  if (field(chain, "hook") === undefined) return { hook: null, shape: [] };
  return { hook: ["type", "hook", "prio", "policy"].map((name) => text(field(chain, name))).join(" "), shape: [] };
}

function readListing(json: string): Listing {
  const elements = new Map<string, readonly Element[]>();
  const chains = new Map<string, Chain>();
  for (const object of list(field(JSON.parse(json) as Json, "nftables"))) {
    const chain = field(object, "chain");
    if (chain !== undefined) chains.set(text(field(chain, "name")), readChain(chain));
    const rule = field(object, "rule"); // after all chains, in order
    if (rule !== undefined) chains.get(text(field(rule, "chain")))?.shape.push(shapeOfRule(field(rule, "expr")));
    const map = field(object, "map");
    if (map !== undefined) {
      const all = list(field(map, "elem")).map((pair): Element => {
        const [key, value] = list(pair);
        return { ...keyOf(key), value };
      });
      elements.set(text(field(map, "name")), all);
    }
    const set = field(object, "set");
    if (set !== undefined) {
      const all = list(field(set, "elem")).map((element): Element => ({ ...keyOf(element), value: undefined }));
      elements.set(text(field(set, "name")), all);
    }
  }
  return { elements, chains };
}

const gotoTarget = (value: Json | undefined): string => text(field(field(value, "goto"), "target"));

function answerOf(value: Json | undefined): Answer {
  const chain = gotoTarget(value);
  const prefix = denyChain("");
  return chain.startsWith(prefix) ? chain.slice(prefix.length) : allow;
}

const protocolNames: ReadonlyMap<string, PortProtocol> = new Map([
  ["tcp", "TCP"],
  ["6", "TCP"],
  ["udp", "UDP"],
  ["17", "UDP"],
  ["sctp", "SCTP"],
  ["132", "SCTP"],
]);

function protocolOf(value: Json | undefined): PortProtocol {
  const protocol = protocolNames.get(text(value));
  if (protocol === undefined) throw new Foreign(`protocol ${text(value)}`);
  return protocol;
}

class DirectionReader {
  readonly #direction: Direction;
  readonly #listing: Listing;
  readonly #numbers: DirectionNumbers;
  readonly #state: DirectionState;

  constructor(direction: Direction, listing: Listing, numbers: DirectionNumbers, state: DirectionState) {
    this.#direction = direction;
    this.#listing = listing;
    this.#numbers = numbers;
    this.#state = state;
  }

  read(): void {
    const tables = this.#readTables();
    const peers = this.#readPeers();
    this.#readPairs(tables, peers);
    for (const family of families) this.#readAddresses(family, peers);
  }

  #elements(what: string): readonly Element[] {
    const elements = this.#listing.elements.get(mapName(this.#direction, what));
    if (elements === undefined) throw new Foreign(`no map ${mapName(this.#direction, what)}`);
    return elements;
  }

  #readTables(): ReadonlyMap<number, Hash> {
    type Building = {
      [K in keyof TableElements]: TableElements[K] extends readonly (infer T)[] ? T[] : TableElements[K];
    };
    const building = new Map<number, Building>();
    for (const { key, value } of this.#elements("rest")) {
      building.set(parseClassid(text(key)), { ports: [], ranges: [], protocols: [], rest: answerOf(value) });
    }
    const each = (what: string, use: (table: Building, rest: readonly Json[], answer: Answer) => void): void => {
      for (const { key, value } of this.#elements(what)) {
        const [id, ...rest] = list(field(key, "concat"));
        const table = building.get(parseClassid(text(id)));
        if (table === undefined) throw new Foreign("elements without a table");
        use(table, rest, answerOf(value));
      }
    };
    each("proto", (table, [protocol], answer) => table.protocols.push({ protocol: protocolOf(protocol), answer }));
    each("port", (table, [protocol, port], answer) =>
      table.ports.push({ protocol: protocolOf(protocol), port: Number(text(port)), answer }),
    );
    each("range", (table, [protocol, range], answer) => {
      const [start, end] = list(field(range, "range")).map((bound) => Number(text(bound)));
      if (start === undefined || end === undefined) throw new Foreign("range expected");
      table.ranges.push({ protocol: protocolOf(protocol), start, end, answer });
    });
    const byNumber = new Map<number, Hash>();
    for (const [number, elements] of building) {
      const table = tableFromElements(elements);
      this.#state.tables.set(table.key, table);
      this.#numbers.tables.adopt(table.key, number);
      byNumber.set(number, table.key);
    }
    return byNumber;
  }

  #readPeers(): ReadonlyMap<number, Hash> {
    const byNumber = new Map<number, Hash>([
      [0, nobody], // in pairs
      [explicitNobody, nobody], // in entries of addresses
    ]);
    for (const { key, comment } of this.#elements("peers")) {
      if (comment === null) throw new Foreign("peer class without a comment");
      const number = parseClassid(text(key));
      byNumber.set(number, comment);
      this.#state.peers.add(comment);
      this.#numbers.peers.adopt(comment, number);
    }
    return byNumber;
  }

  #readPairs(tables: ReadonlyMap<number, Hash>, peers: ReadonlyMap<number, Hash>): void {
    const subjects = new Map<number, Hash>();
    const pairs = this.#elements("pair").map((element) => ({
      ...splitKey(parseClassid(text(element.key))),
      comment: element.comment,
      table: known(tables, parseClassid(text(element.value))),
    }));
    for (const { subject, low, comment } of pairs) {
      if (low !== 0) continue;
      if (comment === null || !this.#listing.chains.has(subjectChain(this.#direction, comment))) {
        throw new Foreign("subject class without its chain");
      }
      subjects.set(subject, comment);
      this.#state.subjects.set(comment, new Map());
      this.#numbers.subjects.adopt(comment, subject);
    }
    for (const { subject, low, table } of pairs) {
      this.#state.subjects.get(known(subjects, subject))!.set(known(peers, low), table);
    }
  }

  #readAddresses(family: Family, peers: ReadonlyMap<number, Hash>): void {
    const digit = familyDigit[family];
    for (const { key, value } of this.#elements(`peer${digit}`)) {
      this.#state.exact.set(text(key), known(peers, parseClassid(text(value))));
    }
    const prefix = subjectChain(this.#direction, "");
    for (const { key, value } of this.#elements(`subject${digit}`)) {
      const chain = gotoTarget(value);
      if (chain === freeChain[this.#direction] || chain === denyChain(closedDrop[this.#direction])) {
        this.#state.dispatch.set(text(key), chain === freeChain[this.#direction] ? free : closed);
        continue;
      }
      const subject = chain.slice(prefix.length);
      if (!this.#state.subjects.has(subject)) throw new Foreign("dispatch to an unknown class");
      this.#state.dispatch.set(text(key), subject);
    }
    this.#state.nets[family] = this.#elements(`net${digit}`)
      .map(
        ({ key, value }): NetPiece => ({
          ...bounds(family, key),
          peer: known(peers, parseClassid(text(value))),
        }),
      )
      .sort((a, b) => (a.start < b.start ? -1 : 1));
  }
}

function known<K>(map: ReadonlyMap<K, Hash>, key: K): Hash {
  const value = map.get(key);
  if (value === undefined) throw new Foreign(`number ${String(key)} stands for nothing`);
  return value;
}

const mapped = 0xffff_0000_0000n;

/** The number of an address; IPv6 has room for IPv4's, which elsewhere in the product mean IPv4. */
function addressNumber(family: Family, address: Json | undefined): bigint {
  const parsed = parseAddress(text(address));
  if (parsed === null) throw new Foreign(`address ${text(address)}`);
  return parsed.family === family ? parsed.value : mapped | parsed.value;
}

/** `"10.0.0.1"`, `{prefix: {addr, len}}` or `{range: [first, last]}`. */
function bounds(family: Family, key: Json): { start: bigint; end: bigint } {
  const prefix = field(key, "prefix");
  if (prefix !== undefined) {
    const start = addressNumber(family, field(prefix, "addr"));
    const free = familyBits(family) - Number(text(field(prefix, "len")));
    return { start, end: start | ((1n << BigInt(free)) - 1n) };
  }
  const range = field(key, "range");
  const [first, last] = range === undefined ? [key, key] : list(range);
  return { start: addressNumber(family, first), end: addressNumber(family, last) };
}

function readPods(listing: Listing, state: KernelState): void {
  for (const family of families) {
    const digit = familyDigit[family];
    const held = listing.elements.get(heldSet(digit));
    const owners = listing.elements.get(ownersSet(digit));
    if (held === undefined || owners === undefined) throw new Foreign("a set of pods is missing");
    state.held = state.held.union(
      AddressSet.ofRanges(
        family,
        held.map(({ key }) => bounds(family, key)),
      ),
    );
    for (const { key, comment } of owners) {
      if (comment === null) throw new Foreign("owner without a comment");
      state.owners.set(text(key), comment);
    }
  }
}

function hasChains({ chains }: Listing, state: KernelState, options: TableOptions): boolean {
  const shapes = chainShapes(state, options);
  const hooks = new Map<string, string>(
    hookNames.map((hook) => [baseChain(hook), `filter ${hook} ${options.priority} accept`]),
  );
  if (chains.size !== shapes.size) return false;
  return [...chains].every(
    ([name, { hook, shape }]) =>
      hook === (hooks.get(name) ?? null) && JSON.stringify(shape) === JSON.stringify(shapes.get(name)),
  );
}

/**
 * The state of a listed table, and the numbers that its classes have.
 * @returns null where another version, or one with other options, made it, or someone changed it
 */
export function adopt(
  json: string,
  options: TableOptions,
  room: Room = fullRoom,
): { state: KernelState; numbers: KernelNumbers } | null {
  try {
    const listing = readListing(json);
    const comment = listing.elements.get("about")?.[0]?.comment ?? "";
    const said = / epoch (\d+)( over)?$/.exec(comment);
    const epoch = Number(said?.[1]);
    const owesEpoch = said?.[2] !== undefined;
    if (comment !== about(options, epoch, owesEpoch)) return null;
    const state = emptyState(options.podInterfaces.length > 0);
    const numbers = kernelNumbers(room);
    for (const direction of directions) {
      new DirectionReader(direction, listing, numbers[direction], state[direction]).read();
    }
    const prefix = denyChain("");
    for (const chain of listing.chains.keys())
      if (chain.startsWith(prefix)) state.denies.add(chain.slice(prefix.length));
    for (const id of fixedDrops) state.denies.delete(id); // never come nor go
    readPods(listing, state);
    state.epoch = epoch;
    state.owesEpoch = owesEpoch;
    state.hooked = hookNames.some((hook) => listing.chains.has(baseChain(hook)));
    // Only the very first start has none.
    if (!state.hooked && epoch !== untrusted) return null;
    if (!hasChains(listing, state, options)) return null;
    return { state, numbers };
  } catch (error) {
    if (error instanceof Foreign || error instanceof SyntaxError) return null;
    throw error;
  }
}
