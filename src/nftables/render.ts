/** Transactions as nft scripts. */
import { type Family, formatAddress, parseAddress } from "../net/address.ts";
import type { Range } from "../net/interval.ts";
import type { PortProtocol } from "../net/ports.ts";
import type { Direction } from "../policy/model/verdict.ts";
import { closedDrop } from "./closed.ts";
import { denyChain, type Hash, subjectChain } from "./names.ts";
import { classid, type DirectionNumbers, explicitNobody, type KernelNumbers, pairKey, tableFlags } from "./numbers.ts";
import { type Answer, allow, elementsOf, type PortTable, type TableElements } from "./port-table.ts";
import {
  about,
  aboutKey,
  baseChain,
  baseRules,
  denyRule,
  familyDigit,
  freeChain,
  heldSet,
  hookNames,
  hooks,
  mapName,
  ownersSet,
  subjectRules,
  type TableOptions,
} from "./skeleton.ts";
import { closed, free, type NetPiece, nobody, type Op } from "./state.ts";

/** Elements in one command: keeps lines, and nft's errors, short. */
const elementsAtOnce = 500;

const protocolName: Readonly<Record<PortProtocol, string>> = { TCP: "tcp", UDP: "udp", SCTP: "sctp" };

/** Gathers a transaction's commands in an order that the kernel takes. */
class Script {
  readonly #table: string;
  readonly #chains: string[] = [];
  readonly #deleted = new Map<string, string[]>();
  readonly #added = new Map<string, string[]>();
  readonly #last: string[] = [];

  constructor(table: string) {
    this.#table = `inet ${table}`;
  }

  chain(name: string, rules: readonly string[]): void {
    this.#chains.push(`add chain ${this.#table} ${name}`);
    for (const rule of rules) this.#chains.push(`add rule ${this.#table} ${name} ${rule}`);
  }

  counter(name: string): void {
    this.#chains.push(`add counter ${this.#table} ${name}`);
  }

  rewrite(name: string, rules: readonly string[]): void {
    this.#chains.push(`flush chain ${this.#table} ${name}`);
    for (const rule of rules) this.#chains.push(`add rule ${this.#table} ${name} ${rule}`);
  }

  add(map: string, element: string): void {
    append(this.#added, map, element);
  }

  remove(map: string, key: string): void {
    append(this.#deleted, map, key);
  }

  delete(kind: "chain" | "counter", name: string): void {
    // A chain's rules hold its counter: all chains go first.
    if (kind === "chain") this.#last.unshift(`delete chain ${this.#table} ${name}`);
    else this.#last.push(`delete counter ${this.#table} ${name}`);
  }

  raw(lines: readonly string[]): void {
    this.#last.push(...lines);
  }

  text(): string {
    const elements = (verb: string, maps: ReadonlyMap<string, readonly string[]>): string[] =>
      [...maps].flatMap(([map, all]) => {
        const lines: string[] = [];
        for (let i = 0; i < all.length; i += elementsAtOnce) {
          lines.push(`${verb} element ${this.#table} ${map} { ${all.slice(i, i + elementsAtOnce).join(", ")} }`);
        }
        return lines;
      });
    return [
      ...this.#chains,
      ...elements("delete", this.#deleted),
      ...elements("add", this.#added),
      ...this.#last,
      "",
    ].join("\n");
  }
}

function append(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

const target = (direction: Direction, answer: Answer): string =>
  `goto ${answer === allow ? (direction === "egress" ? "admit" : "pass") : denyChain(answer)}`;

function dispatchChain(direction: Direction, subject: Hash): string {
  if (subject === free) return freeChain[direction];
  return subject === closed ? denyChain(closedDrop[direction]) : subjectChain(direction, subject);
}

const peerNumber = (numbers: DirectionNumbers, peer: Hash): number =>
  peer === nobody ? explicitNobody : numbers.peers.of(peer);

const flagsOf = ({ ports, ranges, protocols }: TableElements): number =>
  (ports.length > 0 ? tableFlags.ports : 0) +
  (ranges.length > 0 ? tableFlags.ranges : 0) +
  (protocols.length > 0 ? tableFlags.protocols : 0);

const rangeText = (family: Family, { start, end }: Range<bigint>): string => {
  const first = formatAddress({ family, value: start });
  return start === end ? first : `${first}-${formatAddress({ family, value: end })}`;
};

function renderTable(script: Script, direction: Direction, numbers: DirectionNumbers, table: PortTable, add: boolean) {
  const elements = elementsOf(table);
  const id = classid(add ? numbers.tables.add(table.key, flagsOf(elements)) : numbers.tables.of(table.key));
  const put = (what: string, key: string, answer: Answer): void => {
    if (add) script.add(mapName(direction, what), `${key} : ${target(direction, answer)}`);
    else script.remove(mapName(direction, what), key);
  };
  const { ports, ranges, protocols, rest } = elements;
  for (const p of ports) put("port", `${id} . ${protocolName[p.protocol]} . ${p.port}`, p.answer);
  for (const p of ranges) put("range", `${id} . ${protocolName[p.protocol]} . ${p.start}-${p.end}`, p.answer);
  for (const p of protocols) put("proto", `${id} . ${protocolName[p.protocol]}`, p.answer);
  put("rest", id, rest);
}

/**
 * One transaction as a script. New classes get numbers here; numbers of removed ones are given back by `releaseNumbers`,
 * after the transaction was committed.
 */
export function render(ops: readonly Op[], numbers: KernelNumbers, options: TableOptions): string {
  const script = new Script(options.table);
  for (const op of ops) renderOp(script, op, numbers, options);
  return script.text();
}

function renderOp(script: Script, op: Op, numbers: KernelNumbers, options: TableOptions): void {
  switch (op.kind) {
    case "deny": {
      const name = denyChain(op.id);
      if (op.present) {
        script.counter(name);
        script.chain(name, [denyRule(options, op.id)]);
      } else {
        script.delete("chain", name);
        script.delete("counter", name);
      }
      break;
    }
    case "table":
      renderTable(script, op.direction, numbers[op.direction], op.table, op.present);
      break;
    case "peer": {
      const own = numbers[op.direction].peers;
      if (op.present) script.add(mapName(op.direction, "peers"), `${classid(own.add(op.peer))} comment "${op.peer}"`);
      else script.remove(mapName(op.direction, "peers"), classid(own.of(op.peer)));
      break;
    }
    case "subject": {
      const own = numbers[op.direction];
      const name = subjectChain(op.direction, op.subject);
      const map = mapName(op.direction, "pair");
      if (op.present) {
        const key = pairKey(own.subjects.add(op.subject), 0);
        script.chain(name, subjectRules(op.direction, key));
        // The comment tells a later process whose number this is.
        script.add(map, `${classid(key)} comment "${op.subject}" : ${classid(own.tables.of(op.table))}`);
      } else {
        script.delete("chain", name);
        script.remove(map, classid(pairKey(own.subjects.of(op.subject), 0)));
      }
      break;
    }
    case "pair": {
      const own = numbers[op.direction];
      const key = classid(pairKey(own.subjects.of(op.subject), own.peers.of(op.peer)));
      const map = mapName(op.direction, "pair");
      if (op.present) script.add(map, `${key} : ${classid(own.tables.of(op.table))}`);
      else script.remove(map, key);
      break;
    }
    case "exact":
    case "dispatch": {
      const digit = familyDigit[parseAddress(op.address)!.family];
      const map = mapName(op.direction, `${op.kind === "exact" ? "peer" : "subject"}${digit}`);
      if (op.from !== null) script.remove(map, op.address);
      if (op.to === null) break;
      const value =
        op.kind === "exact"
          ? classid(peerNumber(numbers[op.direction], op.to))
          : `goto ${dispatchChain(op.direction, op.to)}`;
      script.add(map, `${op.address} : ${value}`);
      break;
    }
    case "nets": {
      const map = mapName(op.direction, `net${familyDigit[op.family]}`);
      const text = (piece: NetPiece): string => `${piece.start}-${piece.end}-${piece.peer}`;
      const old = new Set(op.from.map(text));
      const now = new Set(op.to.map(text));
      for (const piece of op.from) if (!now.has(text(piece))) script.remove(map, rangeText(op.family, piece));
      for (const piece of op.to) {
        if (old.has(text(piece))) continue;
        script.add(map, `${rangeText(op.family, piece)} : ${classid(peerNumber(numbers[op.direction], piece.peer))}`);
      }
      break;
    }
    case "held": {
      const set = heldSet(familyDigit[op.family]);
      const text = (range: Range<bigint>): string => rangeText(op.family, range);
      const [old, now] = [op.from.map(text), op.to.map(text)];
      for (const range of old) if (!now.includes(range)) script.remove(set, range);
      for (const range of now) if (!old.includes(range)) script.add(set, range);
      break;
    }
    case "owner": {
      const set = ownersSet(familyDigit[parseAddress(op.address)!.family]);
      if (op.from !== null) script.remove(set, op.address);
      if (op.to !== null) script.add(set, `${op.address} comment "${op.to}"`);
      break;
    }
    case "owe":
      script.remove("about", aboutKey);
      script.add("about", `${aboutKey} comment "${about(options, op.epoch, true)}"`);
      break;
    case "epoch": {
      for (const hook of hookNames) script.rewrite(baseChain(hook), baseRules(options, hook, op.to));
      script.remove("about", aboutKey);
      script.add("about", `${aboutKey} comment "${about(options, op.to, false)}"`);
      break;
    }
    case "hooks":
      script.raw(hooks(options));
      break;
  }
}

/** Is there a number for every class and table that is new in a sequence? */
export function hasNumbers(sequence: readonly { readonly ops: readonly Op[] }[], numbers: KernelNumbers): boolean {
  const left = (direction: Direction): { subject: number; peer: number; table: number } => {
    const { subjects, peers, tables } = numbers[direction];
    return { subject: subjects.left, peer: peers.left, table: tables.left };
  };
  const room = { egress: left("egress"), ingress: left("ingress") };
  for (const { ops } of sequence) {
    for (const op of ops) {
      if (op.kind !== "subject" && op.kind !== "peer" && op.kind !== "table") continue;
      if (op.present && room[op.direction][op.kind]-- === 0) return false;
    }
  }
  return true;
}

/** Gives back the numbers of what a committed transaction removed. */
export function releaseNumbers(ops: readonly Op[], numbers: KernelNumbers): void {
  for (const op of ops) {
    if (!("present" in op) || op.present) continue;
    if (op.kind === "table") numbers[op.direction].tables.release(op.table.key);
    if (op.kind === "peer") numbers[op.direction].peers.release(op.peer);
    if (op.kind === "subject") numbers[op.direction].subjects.release(op.subject);
  }
}
