/** Transactions as commands to the kernel. */
import { type Family, parseAddress } from "../net/address.ts";
import type { Range, Ranges } from "../net/interval.ts";
import type { Direction } from "../policy/model/verdict.ts";
import { closedDrop } from "./closed.ts";
import type { Command, Element, Key } from "./commands.ts";
import { denyChain, type Hash, subjectChain } from "./names.ts";
import { type DirectionNumbers, explicitNobody, type KernelNumbers, pairKey, tableFlags } from "./numbers.ts";
import { type Answer, allow, elementsOf, type PortTable, type TableElements } from "./port-table.ts";
import type { Rule } from "./rules.ts";
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
  rangeChains,
  subjectRules,
  type TableOptions,
} from "./skeleton.ts";
import { closed, free, type NetPiece, nobody, type Op } from "./state.ts";

/** Gathers a transaction's commands in an order that the kernel takes. */
class Gathering {
  readonly #chains: Command[] = [];
  readonly #removed = new Map<string, Element[]>();
  readonly #added = new Map<string, Element[]>();
  readonly #last: Command[] = [];

  chain(chain: string, rules: readonly Rule[]): void {
    this.#chains.push({ kind: "add", what: "chain", name: chain });
    for (const rule of rules) this.#chains.push({ kind: "rule", chain, rule });
  }

  counter(name: string): void {
    this.#chains.push({ kind: "add", what: "counter", name });
  }

  rewrite(chain: string, rules: readonly Rule[]): void {
    this.#chains.push({ kind: "flush", chain });
    for (const rule of rules) this.#chains.push({ kind: "rule", chain, rule });
  }

  add(set: string, key: Key, more: Omit<Element, "key"> = {}): void {
    append(this.#added, set, { key, ...more });
  }

  remove(set: string, key: Key): void {
    append(this.#removed, set, { key });
  }

  delete(what: "chain" | "counter", name: string): void {
    // A chain's rules hold its counter: all chains go first.
    if (what === "chain") this.#last.unshift({ kind: "delete", what, name });
    else this.#last.push({ kind: "delete", what, name });
  }

  script(lines: readonly string[]): void {
    this.#last.push({ kind: "script", lines });
  }

  commands(): readonly Command[] {
    const elements = (add: boolean, sets: ReadonlyMap<string, readonly Element[]>): Command[] =>
      Array.from(sets, ([set, all]) => {
        const lookedUpIn = rangeChains.get(set);
        return { kind: "elements", add, set, elements: all, ...(lookedUpIn === undefined ? {} : { lookedUpIn }) };
      });
    return [...this.#chains, ...elements(false, this.#removed), ...elements(true, this.#added), ...this.#last];
  }
}

function append(sets: Map<string, Element[]>, set: string, element: Element): void {
  const list = sets.get(set);
  if (list === undefined) sets.set(set, [element]);
  else list.push(element);
}

const numberKey = (number: number): Key => ({ kind: "number", number });

const addressKey = (text: string): Key & { readonly kind: "address" } => ({
  kind: "address",
  address: parseAddress(text)!,
});

function answerChain(direction: Direction, answer: Answer): string {
  if (answer !== allow) return denyChain(answer);
  return direction === "egress" ? "admit" : "pass";
}

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

const rangeKey = (family: Family, { start, end }: Range<bigint>): Key => ({ kind: "addresses", family, start, end });

function renderTable(out: Gathering, direction: Direction, numbers: DirectionNumbers, table: PortTable, add: boolean) {
  const elements = elementsOf(table);
  const number = add ? numbers.tables.add(table.key, flagsOf(elements)) : numbers.tables.of(table.key);
  const put = (what: string, key: Key, answer: Answer): void => {
    if (add) out.add(mapName(direction, what), key, { value: { chain: answerChain(direction, answer) } });
    else out.remove(mapName(direction, what), key);
  };
  const { ports, ranges, protocols, rest } = elements;
  for (const { protocol, port, answer } of ports) put("port", { kind: "port", number, protocol, port }, answer);
  for (const { protocol, start, end, answer } of ranges) {
    put("range", { kind: "ports", number, protocol, start, end }, answer);
  }
  for (const { protocol, answer } of protocols) put("proto", { kind: "protocol", number, protocol }, answer);
  put("rest", numberKey(number), rest);
}

/**
 * One transaction as commands. New classes get numbers here; numbers of removed ones are given back by `releaseNumbers`,
 * after the transaction was committed.
 */
export function render(ops: readonly Op[], numbers: KernelNumbers, options: TableOptions): readonly Command[] {
  const out = new Gathering();
  for (const op of ops) renderOp(out, op, numbers, options);
  return out.commands();
}

function renderOp(out: Gathering, op: Op, numbers: KernelNumbers, options: TableOptions): void {
  switch (op.kind) {
    case "deny": {
      const name = denyChain(op.id);
      if (op.present) {
        out.counter(name);
        out.chain(name, [denyRule(options, op.id)]);
      } else {
        out.delete("chain", name);
        out.delete("counter", name);
      }
      break;
    }
    case "table":
      renderTable(out, op.direction, numbers[op.direction], op.table, op.present);
      break;
    case "peer": {
      const own = numbers[op.direction].peers;
      if (op.present) out.add(mapName(op.direction, "peers"), numberKey(own.add(op.peer)), { comment: op.peer });
      else out.remove(mapName(op.direction, "peers"), numberKey(own.of(op.peer)));
      break;
    }
    case "subject": {
      const own = numbers[op.direction];
      const name = subjectChain(op.direction, op.subject);
      const map = mapName(op.direction, "pair");
      if (op.present) {
        const key = pairKey(own.subjects.add(op.subject), 0);
        out.chain(name, subjectRules(op.direction, key));
        // The comment tells a later process whose number this is.
        out.add(map, numberKey(key), { comment: op.subject, value: { number: own.tables.of(op.table) } });
      } else {
        out.delete("chain", name);
        out.remove(map, numberKey(pairKey(own.subjects.of(op.subject), 0)));
      }
      break;
    }
    case "pair": {
      const own = numbers[op.direction];
      const key = numberKey(pairKey(own.subjects.of(op.subject), own.peers.of(op.peer)));
      const map = mapName(op.direction, "pair");
      if (op.present) out.add(map, key, { value: { number: own.tables.of(op.table) } });
      else out.remove(map, key);
      break;
    }
    case "exact":
    case "dispatch": {
      const key = addressKey(op.address);
      const digit = familyDigit[key.address.family];
      const map = mapName(op.direction, `${op.kind === "exact" ? "peer" : "subject"}${digit}`);
      if (op.from !== null) out.remove(map, key);
      if (op.to === null) break;
      const value =
        op.kind === "exact"
          ? { number: peerNumber(numbers[op.direction], op.to) }
          : { chain: dispatchChain(op.direction, op.to) };
      out.add(map, key, { value });
      break;
    }
    case "nets": {
      const map = mapName(op.direction, `net${familyDigit[op.family]}`);
      const text = (piece: NetPiece): string => `${piece.start}-${piece.end}-${piece.peer}`;
      const old = new Set(op.from.map(text));
      const now = new Set(op.to.map(text));
      for (const piece of op.from) if (!now.has(text(piece))) out.remove(map, rangeKey(op.family, piece));
      for (const piece of op.to) {
        if (old.has(text(piece))) continue;
        const value = { number: peerNumber(numbers[op.direction], piece.peer) };
        out.add(map, rangeKey(op.family, piece), { value });
      }
      break;
    }
    case "held": {
      const set = heldSet(familyDigit[op.family]);
      for (const range of op.from) if (!hasRange(op.to, range)) out.remove(set, rangeKey(op.family, range));
      for (const range of op.to) if (!hasRange(op.from, range)) out.add(set, rangeKey(op.family, range));
      break;
    }
    case "owner": {
      const key = addressKey(op.address);
      const set = ownersSet(familyDigit[key.address.family]);
      if (op.from !== null) out.remove(set, key);
      if (op.to !== null) out.add(set, key, { comment: op.to });
      break;
    }
    case "owe":
      renderAbout(out, about(options, op.epoch, true));
      break;
    case "epoch": {
      for (const hook of hookNames) out.rewrite(baseChain(hook), baseRules(options, hook, op.to));
      renderAbout(out, about(options, op.to, false));
      break;
    }
    case "hooks":
      out.script(hooks(options));
      break;
  }
}

function renderAbout(out: Gathering, comment: string): void {
  const key = numberKey(aboutKey);
  out.remove("about", key);
  out.add("about", key, { comment });
}

const hasRange = (ranges: Ranges<bigint>, { start, end }: Range<bigint>): boolean =>
  ranges.some((one) => one.start === start && one.end === end);

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
