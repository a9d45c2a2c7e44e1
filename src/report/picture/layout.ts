/** Where everything stands in a picture of boxes and arrows: columns of boxes. Units: CSS pixels. */
import type { Group, Groups } from "../grouping.ts";
import { type ArrowEnd, isBox, type Merged, mergeArrows } from "./arrows.ts";
import { boxesOf, splitOutside } from "./boxes.ts";
import { measurer, type SideOf, type SizedBox, size, sizeBox } from "./measure.ts";
import { type PlacedArrow, type PlacedEnd, placeArrows, placeGroups, placeSockets } from "./place.ts";
import { columns, type Weights } from "./rank.ts";

export interface Layout {
  readonly boxes: readonly PlacedEnd[];
  readonly groups: readonly PlacedEnd[];
  readonly arrows: readonly PlacedArrow[];
  readonly width: number;
  readonly height: number;
}

export function layOut(groups: Groups): Layout & { readonly merged: Merged } {
  const whole = boxesOf(groups);
  const boxes = splitOutside(whole, mergeArrows(groups, whole).arrows);
  const merged = mergeArrows(groups, boxes);
  const homeOf = new Map(boxes.flatMap((box, i) => box.groups.map((group): [Group, number] => [group, i])));
  const home = (end: ArrowEnd): number => (isBox(end) ? boxes.indexOf(end) : homeOf.get(end)!);

  const links = merged.arrows.map(({ from, to }) => [home(from), home(to)] as const);
  const ranks = columns(boxes.length, weightsOf(links));
  const inner = new Map<Group, number>();
  for (const box of boxes) {
    const index = new Map(box.groups.map((group, i) => [group as ArrowEnd, i]));
    const pairs = merged.arrows.flatMap(({ from, to }): [number, number][] => {
      const a = index.get(from);
      const b = index.get(to);
      return a === undefined || b === undefined ? [] : [[a, b]];
    });
    for (const [i, column] of columns(box.groups.length, weightsOf(pairs)).entries()) inner.set(box.groups[i]!, column);
  }
  const sizeAll = (boxColumn: readonly number[]): { sized: readonly SizedBox[]; side: SideOf } => {
    const place = (end: ArrowEnd): number => boxColumn[home(end)]! * 1000 + (isBox(end) ? -1 : inner.get(end)!);
    // Within a column, and backwards, an arrow enters from the right.
    const side: SideOf = ({ from, to }) => (place(from) < place(to) ? "left" : "right");
    const measure = measurer(merged, side);
    return { sized: boxes.map((box) => sizeBox(box, inner, measure)), side };
  };
  const packed = pack(ranks, sizeAll(ranks).sized);
  const { sized, side } = sizeAll(packed);
  return { ...arrange(sized, packed, merged, side, home), merged };
}

/** Ranks as columns, unless that makes a ribbon: then the boxes fill, in the order of their ranks, columns of a page. */
function pack(ranks: readonly number[], sized: readonly SizedBox[]): number[] {
  const widths: number[] = [];
  for (const [i, rank] of ranks.entries()) widths[rank] = Math.max(widths[rank] ?? 0, sized[i]!.width);
  const ribbon = widths.reduce((sum, width) => sum + (width ?? 0) + size.boxGapX, 0);
  if (ribbon <= size.widest) return [...ranks];
  const order = ranks.map((_, i) => i).sort((a, b) => ranks[a]! - ranks[b]!);
  const total = sized.reduce((sum, { height }) => sum + height + size.boxGapY, 0);
  const width = Math.max(...sized.map((box) => box.width)) + size.boxGapX;
  // As many columns as make a page about one and a half times as wide as tall.
  const count = Math.max(2, Math.round(Math.sqrt((1.5 * total) / width)));
  const out = new Array<number>(ranks.length).fill(0);
  let height = 0;
  for (const i of order) {
    out[i] = Math.min(count - 1, Math.floor((height + sized[i]!.height / 2) / (total / count)));
    height += sized[i]!.height + size.boxGapY;
  }
  return out;
}

function weightsOf(pairs: readonly (readonly [number, number])[]): Weights {
  const weights = new Map<string, [number, number, number]>();
  for (const [from, to] of pairs) {
    const entry = weights.get(`${from},${to}`) ?? [from, to, 0];
    entry[2]++;
    weights.set(`${from},${to}`, entry);
  }
  return [...weights.values()];
}

function arrange(
  sized: readonly SizedBox[],
  boxColumn: readonly number[],
  merged: Merged,
  side: SideOf,
  home: (end: ArrowEnd) => number,
): Layout {
  const byColumn: number[][] = [];
  for (const [i, column] of boxColumn.entries()) {
    while (byColumn.length <= column) byColumn.push([]);
    byColumn[column]!.push(i);
  }
  const stacks = byColumn.filter((column) => column.length > 0).flatMap((column) => splitColumn(column, sized));
  orderStacks(stacks, sized, merged, home);

  const heightOf = (stack: readonly number[]): number =>
    stack.reduce((sum, i) => sum + sized[i]!.height + size.boxGapY, -size.boxGapY);
  const tallest = Math.max(0, ...stacks.map(heightOf));
  const boxes: PlacedEnd[] = new Array(sized.length);
  const groups: PlacedEnd[] = [];
  let x: number = size.margin;
  for (const stack of stacks) {
    const width = Math.max(...stack.map((i) => sized[i]!.width));
    let y = size.margin + (tallest - heightOf(stack)) / 2;
    for (const i of stack) {
      const box = sized[i]!;
      const rect = { x, y, width, height: box.height };
      const sockets = placeSockets(box.sockets, { ...rect, height: box.titleHeight });
      boxes[i] = { end: box.end, label: box.label, badges: box.badges, rect, sockets };
      groups.push(...placeGroups(box, rect));
      y += box.height + size.boxGapY;
    }
    x += width + size.boxGapX;
  }
  const arrows = placeArrows([...boxes, ...groups], merged.arrows, side, home);
  return {
    boxes,
    groups,
    arrows,
    width: Math.max(x - size.boxGapX + size.margin, 480),
    height: tallest + 2 * size.margin,
  };
}

/** A column of boxes that is too tall stands as several. */
function splitColumn(column: readonly number[], sized: readonly SizedBox[]): number[][] {
  const total = column.reduce((sum, i) => sum + sized[i]!.height + size.boxGapY, 0);
  const target = total / Math.ceil(total / (size.tallest * 2));
  const out: number[][] = [[]];
  let height = 0;
  for (const i of column) {
    const own = sized[i]!.height + size.boxGapY;
    if (height > 0 && height + own / 2 > target) {
      out.push([]);
      height = 0;
    }
    out.at(-1)!.push(i);
    height += own;
  }
  return out;
}

/** Boxes of a column in the order of what they are connected with, so that fewer arrows cross. */
function orderStacks(
  stacks: number[][],
  sized: readonly SizedBox[],
  merged: Merged,
  home: (end: ArrowEnd) => number,
): void {
  const middle = new Map<number, number>();
  const measureMiddles = (): void => {
    for (const stack of stacks) {
      let y = -stack.reduce((sum, i) => sum + sized[i]!.height, 0) / 2;
      for (const i of stack) {
        middle.set(i, y + sized[i]!.height / 2);
        y += sized[i]!.height;
      }
    }
  };
  const links = merged.arrows.map(({ from, to }) => [home(from), home(to)] as const);
  for (let round = 0; round < 4; round++) {
    measureMiddles();
    for (const stack of stacks) {
      const pull = new Map(
        stack.map((i) => {
          const ends = links.flatMap(([a, b]) => (a === i && b !== i ? [b] : b === i && a !== i ? [a] : []));
          const mean = ends.reduce((sum, end) => sum + middle.get(end)!, 0) / Math.max(1, ends.length);
          return [i, ends.length === 0 ? middle.get(i)! : mean];
        }),
      );
      stack.sort((a, b) => pull.get(a)! - pull.get(b)!);
    }
  }
}
