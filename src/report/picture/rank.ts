/** Columns for the boxes of a picture: arrows should run from left to right as far as cycles allow. */

/** @example weights: from 0 to 1 twice → [[0, 1, 2]] */
export type Weights = readonly (readonly [from: number, to: number, weight: number])[];

/**
 * The column of each item, 0 on the left. Cycles are opened where it costs few arrows (the ordering of Eades, Lin and Smyth),
 * then every item stands as far left as the arrows into it allow.
 */
export function columns(size: number, weights: Weights): number[] {
  const position = sequence(size, weights);
  const order = Array.from({ length: size }, (_, i) => i).sort((a, b) => position[a]! - position[b]!);
  const into: number[][] = Array.from({ length: size }, () => []);
  for (const [from, to] of weights) if (position[from]! < position[to]!) into[to]!.push(from);
  const column = new Array<number>(size).fill(0);
  for (const item of order) for (const from of into[item]!) column[item] = Math.max(column[item]!, column[from]! + 1);
  return column;
}

/** Place of each item in a line in which few arrows run backwards. */
function sequence(size: number, weights: Weights): number[] {
  const out = new Array<number>(size).fill(0);
  const into = new Array<number>(size).fill(0);
  for (const [from, to, weight] of weights) {
    if (from === to) continue;
    out[from]! += weight;
    into[to]! += weight;
  }
  const left = new Set(Array.from({ length: size }, (_, i) => i));
  const head: number[] = [];
  const tail: number[] = [];
  const take = (item: number, end: number[]): void => {
    left.delete(item);
    end.push(item);
    for (const [from, to, weight] of weights) {
      if (from === item) into[to]! -= weight;
      if (to === item) out[from]! -= weight;
    }
  };
  while (left.size > 0) {
    const sink = [...left].find((item) => out[item] === 0 && into[item]! > 0);
    const source = [...left].find((item) => into[item] === 0);
    if (source !== undefined) take(source, head);
    else if (sink !== undefined) take(sink, tail);
    else
      take(
        [...left].reduce((a, b) => (out[b]! - into[b]! > out[a]! - into[a]! ? b : a)),
        head,
      );
  }
  const position = new Array<number>(size).fill(0);
  for (const [i, item] of [...head, ...tail.reverse()].entries()) position[item] = i;
  return position;
}
