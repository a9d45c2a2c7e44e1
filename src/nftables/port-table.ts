/**
 * Port tables: what one subject class answers one peer class, for every protocol and port. Many pairs share one, so that
 * the kernel holds each table once.
 */
import { maxPort, minPort, type PortProtocol, type Protocol, portProtocols, protocols } from "../net/ports.ts";

import type { Decision, PortDecision } from "../policy/model/verdict.ts";
import { type Hash, hash } from "./names.ts";

/** `allow`, or the id of a drop. */
export type Answer = string;
export const allow: Answer = "allow";

export interface Piece {
  readonly protocol: Protocol;
  readonly start: number;
  readonly end: number;
  readonly answer: Answer;
}

/** INVARIANT: pieces in order of protocol and port cover every port once; neighbours of one protocol differ. */
export interface PortTable {
  readonly key: Hash;
  readonly pieces: readonly Piece[];
}

function table(pieces: readonly Piece[]): PortTable {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last?.protocol === piece.protocol && last.answer === piece.answer) {
      merged[merged.length - 1] = { ...last, end: piece.end };
    } else merged.push(piece);
  }
  return { key: hash(...merged.map((p) => `${p.protocol} ${p.start}-${p.end} ${p.answer}`)), pieces: merged };
}

/** The same answer everywhere. */
export const uniformTable = (answer: Answer): PortTable =>
  table(
    protocols.map((protocol) =>
      protocol === "other"
        ? { protocol, start: 0, end: 0, answer }
        : { protocol, start: minPort, end: maxPort, answer },
    ),
  );

export const allowAll: PortTable = uniformTable(allow);

/** The table of a judgement; `dropId` names its denials. */
export function tableOf(decisions: readonly PortDecision[], dropId: (decision: Decision) => string): PortTable {
  const pieces = decisions.flatMap(({ ports, decision }) => {
    const answer = decision.verdict === "allow" ? allow : dropId(decision);
    return Array.from(ports.ranges(), (range): Piece => ({ ...range, answer }));
  });
  const order = (p: Piece): number => protocols.indexOf(p.protocol) * 0x10000 + p.start;
  return table(pieces.sort((a, b) => order(a) - order(b)));
}

export function answerAt({ pieces }: PortTable, protocol: Protocol, port: number): Answer {
  const piece = pieces.find((p) => p.protocol === protocol && p.start <= port && port <= p.end);
  if (piece === undefined) throw new Error(`port table without ${protocol} ${port}`);
  return piece.answer;
}

/** The pieces of two tables cut against each other. */
function* overlay(a: PortTable, b: PortTable): Generator<{ piece: Piece; a: Answer; b: Answer }> {
  let i = 0;
  let j = 0;
  while (i < a.pieces.length && j < b.pieces.length) {
    const x = a.pieces[i]!;
    const y = b.pieces[j]!;
    const piece = { ...x, start: Math.max(x.start, y.start), end: Math.min(x.end, y.end) };
    yield { piece, a: x.answer, b: y.answer };
    if (x.end === piece.end) i++;
    if (y.end === piece.end) j++;
  }
}

/** Allows what both allow; a denial keeps the drop id of `a` where both deny. */
export function both(a: PortTable, b: PortTable): PortTable {
  if (a.key === b.key || b.key === allowAll.key) return a;
  if (a.key === allowAll.key) return b;
  return table(Array.from(overlay(a, b), (cut) => ({ ...cut.piece, answer: cut.a === allow ? cut.b : cut.a })));
}

/** Does something that `before` allows end with `after`? */
export function closes(before: PortTable, after: PortTable): boolean {
  if (before.key === after.key || after.key === allowAll.key) return false;
  for (const cut of overlay(before, after)) if (cut.a === allow && cut.b !== allow) return true;
  return false;
}

/**
 * A table as elements of the kernel's maps, most exact first: a packet takes the first of `ports`, `ranges`, `protocols`,
 * `rest` that knows it. `rest` is also the answer to protocols without ports.
 */
export interface TableElements {
  readonly ports: readonly { readonly protocol: PortProtocol; readonly port: number; readonly answer: Answer }[];
  readonly ranges: readonly (Piece & { readonly protocol: PortProtocol })[];
  readonly protocols: readonly { readonly protocol: PortProtocol; readonly answer: Answer }[];
  readonly rest: Answer;
}

/** Ranges up to this many ports become single ports: a hash lookup costs less than a range's, an element about 100 bytes. */
const expandUpTo = 16;

export function elementsOf({ pieces }: PortTable): TableElements {
  const rest = pieces.find((p) => p.protocol === "other")!.answer;
  const ports: TableElements["ports"][number][] = [];
  const ranges: TableElements["ranges"][number][] = [];
  const backgrounds: TableElements["protocols"][number][] = [];
  for (const protocol of portProtocols) {
    const own = pieces.filter((p): p is Piece & { protocol: PortProtocol } => p.protocol === protocol);
    const background = backgroundOf(own, rest);
    if (background !== rest) backgrounds.push({ protocol, answer: background });
    for (const piece of own) {
      if (piece.answer === background) continue;
      if (piece.end - piece.start >= expandUpTo) ranges.push(piece);
      else for (let port = piece.start; port <= piece.end; port++) ports.push({ protocol, port, answer: piece.answer });
    }
  }
  return { ports, ranges, protocols: backgrounds, rest };
}

/** The answer of a protocol that leaves the fewest elements; `rest`, then the smaller text where equal. */
function backgroundOf(pieces: readonly Piece[], rest: Answer): Answer {
  const saved = new Map<Answer, number>([[rest, 1]]); // its element in `protocols`
  for (const { start, end, answer } of pieces) {
    const elements = end - start >= expandUpTo ? 4 * expandUpTo : end - start + 1; // a range costs memory and time
    saved.set(answer, (saved.get(answer) ?? 0) + elements);
  }
  return [...saved].sort(([a, x], [b, y]) => y - x || (a === rest ? -1 : b === rest ? 1 : a < b ? -1 : 1))[0]![0];
}

/** The inverse of `elementsOf`. */
export function tableFromElements(elements: TableElements): PortTable {
  const pieces: Piece[] = [];
  for (const protocol of portProtocols) {
    const background = elements.protocols.find((p) => p.protocol === protocol)?.answer ?? elements.rest;
    const exceptions = [
      ...elements.ports.filter((p) => p.protocol === protocol).map((p) => ({ ...p, start: p.port, end: p.port })),
      ...elements.ranges.filter((p) => p.protocol === protocol),
    ].sort((a, b) => a.start - b.start);
    let next = minPort;
    for (const { start, end, answer } of exceptions) {
      if (start > next) pieces.push({ protocol, start: next, end: start - 1, answer: background });
      pieces.push({ protocol, start, end, answer });
      next = end + 1;
    }
    if (next <= maxPort) pieces.push({ protocol, start: next, end: maxPort, answer: background });
  }
  pieces.push({ protocol: "other", start: 0, end: 0, answer: elements.rest });
  return table(pieces);
}
