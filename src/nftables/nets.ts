/** The part of the address space that is no pod and no node, as sorted pieces with a peer class. */
import type { Hash } from "./names.ts";
import { type NetPiece, nobody } from "./state.ts";

/** Addresses `start..end` that have class `from` before and `to` after. */
export interface NetChange {
  readonly start: bigint;
  readonly end: bigint;
  readonly from: Hash;
  readonly to: Hash;
}

/** Sorted pieces with neighbours of one class joined. */
function join(pieces: readonly NetPiece[]): NetPiece[] {
  const out: NetPiece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (last !== undefined && last.peer === piece.peer && last.end + 1n === piece.start) {
      out[out.length - 1] = { ...last, end: piece.end };
    } else out.push(piece);
  }
  return out;
}

/** Sorted pieces as the kernel shall hold them: neighbours of one class joined, `nobody` left out. */
export const mergeNets = (pieces: readonly NetPiece[]): NetPiece[] =>
  join(pieces).filter((piece) => piece.peer !== nobody);

/**
 * Takes out pieces of one address where that lets their neighbours grow together; the result covers them with another
 * class than theirs, so that they need entries of their own.
 *
 * @param pieces every address of a family, `nobody` too
 */
export function withoutLone(pieces: readonly NetPiece[]): { nets: NetPiece[]; lone: NetPiece[] } {
  const joined = join(pieces);
  const lone: NetPiece[] = [];
  const rest: NetPiece[] = [];
  for (const piece of joined) {
    const last = rest.at(-1);
    if (piece.start !== piece.end || last === undefined) rest.push(piece);
    else {
      lone.push(piece);
      rest.push({ ...piece, peer: last.peer });
    }
  }
  return { nets: mergeNets(rest), lone };
}

export const equalNets = (a: readonly NetPiece[], b: readonly NetPiece[]): boolean =>
  a.length === b.length &&
  a.every((piece, i) => piece.start === b[i]!.start && piece.end === b[i]!.end && piece.peer === b[i]!.peer);

/** Two splits of the address space cut against each other, every piece that either holds; [] where they are equal. */
export function cutNets(before: readonly NetPiece[], after: readonly NetPiece[]): NetChange[] {
  const bounds = new Set<bigint>();
  for (const { start, end } of [...before, ...after]) bounds.add(start).add(end + 1n);
  const sorted = [...bounds].sort((a, b) => (a < b ? -1 : 1));
  const out: NetChange[] = [];
  let changed = false;
  let i = 0;
  let j = 0;
  for (const [index, start] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next === undefined) break;
    while (i < before.length && before[i]!.end < start) i++;
    while (j < after.length && after[j]!.end < start) j++;
    const at = (piece: NetPiece | undefined): Hash =>
      piece !== undefined && piece.start <= start ? piece.peer : nobody;
    const from = at(before[i]);
    const to = at(after[j]);
    if (from !== to) changed = true;
    if (from !== nobody || to !== nobody) out.push({ start, end: next - 1n, from, to });
  }
  return changed ? out : [];
}
