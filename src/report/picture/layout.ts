/** Where everything stands in a picture of boxes and arrows. Units: CSS pixels. */
import { type Group, type Groups, shortName } from "../grouping.ts";
import { type Arrow, type ArrowEnd, type Badge, type Box, isBox, type Merged, mergeArrows } from "./arrows.ts";
import { boxesOf, splitOutside } from "./boxes.ts";
import { columns, type Weights } from "./rank.ts";
import { clip, textWidth } from "./text.ts";

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A tag at the edge of a target: the ports of the arrows that end there. */
export interface Socket {
  readonly ports: string;
  readonly label: string;
  readonly side: "left" | "right";
  readonly rect: Rect;
}

export interface PlacedEnd {
  readonly end: ArrowEnd;
  readonly label: string;
  readonly badges: readonly string[];
  readonly rect: Rect;
  readonly sockets: readonly Socket[];
}

export interface Layout {
  readonly boxes: readonly PlacedEnd[];
  readonly groups: readonly PlacedEnd[];
  readonly arrows: readonly PlacedArrow[];
  readonly width: number;
  readonly height: number;
}

export interface PlacedArrow {
  readonly arrow: Arrow;
  readonly from: { readonly x: number; readonly y: number; readonly leaves: "left" | "right" };
  readonly to: { readonly x: number; readonly y: number; readonly enters: "left" | "right" };
  /** Index of the box that the arrow starts in. */
  readonly color: number;
  /** Does it leave its box? */
  readonly crosses: boolean;
}

const size = {
  line: 18,
  badgeLine: 15,
  padding: 9,
  socket: 18,
  socketGap: 4,
  gapY: 14,
  gapX: 56,
  boxGapX: 84,
  boxGapY: 26,
  titleHeight: 28,
  margin: 24,
  tallest: 1100,
  widest: 2400,
} as const;

interface Sized {
  readonly end: ArrowEnd;
  readonly label: string;
  readonly badges: readonly string[];
  readonly sockets: readonly Omit<Socket, "rect">[];
  readonly width: number;
  readonly height: number;
}

interface SizedBox extends Sized {
  readonly box: Box;
  /** Sub-columns of groups, left to right. */
  readonly columns: readonly (readonly Sized[])[];
  readonly titleHeight: number;
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

type SideOf = (arrow: Arrow) => "left" | "right";

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

const badgeText = ({ kind, ports }: Badge): string => {
  switch (kind) {
    case "open-in":
      return "← open";
    case "open-out":
      return "→ open";
    case "open-both":
      return "⇄ open";
    case "from-anywhere":
      return `← from anywhere: ${ports}`;
    case "to-anywhere":
      return `→ to anywhere: ${ports}`;
    case "from-all-pods":
      return `← from all pods: ${ports}`;
    case "to-all-pods":
      return `→ to all pods: ${ports}`;
    case "among-themselves":
      return `↔ among themselves: ${ports}`;
  }
};

type Measure = (end: ArrowEnd, label: string) => Sized;

function measurer(merged: Merged, side: SideOf): Measure {
  const badgesAt = new Map<ArrowEnd, string[]>();
  for (const badge of merged.badges) badgesAt.set(badge.at, [...(badgesAt.get(badge.at) ?? []), badgeText(badge)]);
  const socketsAt = new Map<ArrowEnd, Omit<Socket, "rect">[]>();
  for (const arrow of merged.arrows) {
    const list = socketsAt.get(arrow.to) ?? [];
    socketsAt.set(arrow.to, list);
    const socket = { ports: arrow.ports, label: clip(arrow.ports, 24), side: side(arrow) };
    if (!list.some((known) => known.ports === socket.ports && known.side === socket.side)) list.push(socket);
  }
  return (end, text) => {
    const label = clip(text, 38);
    const badges = (badgesAt.get(end) ?? []).map((badge) => clip(badge, 46));
    const sockets = socketsAt.get(end) ?? [];
    const words = Math.max(textWidth(label, 12.5), ...badges.map((badge) => textWidth(badge, 10.5)));
    const sideWidth = (which: "left" | "right"): number =>
      socketWidth(sockets.filter((socket) => socket.side === which));
    const rows = Math.max(
      ...(["left", "right"] as const).map((which) => sockets.filter((socket) => socket.side === which).length),
    );
    const text_ = size.line + badges.length * size.badgeLine;
    const tags = rows * (size.socket + size.socketGap) - size.socketGap;
    return {
      end,
      label,
      badges,
      sockets,
      width: Math.ceil(words + 2 * size.padding + sideWidth("left") + sideWidth("right")),
      height: Math.max(text_, tags) + size.padding,
    };
  };
}

/** Width that the tags of one side take. */
function socketWidth(sockets: readonly Omit<Socket, "rect">[]): number {
  if (sockets.length === 0) return 0;
  return Math.ceil(Math.max(...sockets.map(({ label }) => textWidth(label, 10.5))) + 16);
}

function sizeBox(box: Box, inner: ReadonlyMap<Group, number>, measure: Measure): SizedBox {
  const title = measure(box, box.title);
  const stacks: Sized[][] = [];
  for (const group of box.groups) {
    const column = inner.get(group)!;
    while (stacks.length <= column) stacks.push([]);
    stacks[column]!.push(measure(group, shortName(group)));
  }
  const wrapped = stacks.flatMap(wrap);
  const stackHeight = (stack: readonly Sized[]): number =>
    stack.reduce((sum, { height }) => sum + height + size.gapY, -size.gapY);
  const stackWidth = (stack: readonly Sized[]): number => Math.max(...stack.map(({ width }) => width));
  const titleHeight = Math.max(size.titleHeight, title.height + 4);
  const content = wrapped.reduce((sum, stack) => sum + stackWidth(stack), (wrapped.length - 1) * size.gapX);
  return {
    ...title,
    box,
    columns: wrapped,
    titleHeight,
    width: Math.max(content, title.width) + 2 * size.padding + 6,
    height: titleHeight + Math.max(...wrapped.map(stackHeight)) + size.gapY + 6,
  };
}

/** A stack that is too tall stands as several. */
function wrap(stack: readonly Sized[]): Sized[][] {
  const out: Sized[][] = [[]];
  let height = 0;
  for (const item of stack) {
    if (height + item.height > size.tallest) {
      out.push([]);
      height = 0;
    }
    out.at(-1)!.push(item);
    height += item.height + size.gapY;
  }
  return out.filter((part) => part.length > 0);
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
    width: Math.max(x - size.boxGapX + size.margin, 320),
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

function placeGroups(box: SizedBox, rect: Rect): PlacedEnd[] {
  const out: PlacedEnd[] = [];
  const widths = box.columns.map((stack) => Math.max(...stack.map(({ width }) => width)));
  // Columns share what the box is wider than they need.
  const spare = rect.width - widths.reduce((a, b) => a + b, 0) - (widths.length - 1) * size.gapX - 2 * size.padding - 6;
  const extra = spare / widths.length;
  let x = rect.x + size.padding + 3;
  for (const [k, stack] of box.columns.entries()) {
    const width = widths[k]! + extra;
    let y = rect.y + box.titleHeight;
    for (const item of stack) {
      const own = { x, y, width, height: item.height };
      out.push({
        end: item.end,
        label: item.label,
        badges: item.badges,
        rect: own,
        sockets: placeSockets(item.sockets, own),
      });
      y += item.height + size.gapY;
    }
    x += width + size.gapX;
  }
  return out;
}

function placeSockets(sockets: readonly Omit<Socket, "rect">[], { x, y, width, height }: Rect): Socket[] {
  return (["left", "right"] as const).flatMap((side) => {
    const list = sockets.filter((socket) => socket.side === side);
    const own = socketWidth(list) - 6;
    const tall = list.length * (size.socket + size.socketGap) - size.socketGap;
    return list.map((socket, i) => ({
      ...socket,
      rect: {
        x: side === "left" ? x - 5 : x + width - own + 5,
        y: y + (height - tall) / 2 + i * (size.socket + size.socketGap),
        width: own,
        height: size.socket,
      },
    }));
  });
}

function placeArrows(
  placed: readonly PlacedEnd[],
  arrows: readonly Arrow[],
  side: SideOf,
  home: (end: ArrowEnd) => number,
): PlacedArrow[] {
  const at = new Map(placed.map((item) => [item.end, item]));
  const middle = ({ rect }: PlacedEnd): number => rect.y + rect.height / 2;
  // Arrows leave a side in the order of where they go, spread over it.
  const leaving = new Map<string, Arrow[]>();
  const ids = new Map<ArrowEnd, number>(placed.map(({ end }, i) => [end, i]));
  const leaves = (arrow: Arrow): "left" | "right" => {
    const enters = side(arrow);
    return enters === "left" || at.get(arrow.from)!.rect.x <= at.get(arrow.to)!.rect.x ? "right" : "left";
  };
  const key = (arrow: Arrow): string => `${ids.get(arrow.from)}/${leaves(arrow)}`;
  for (const arrow of arrows) leaving.set(key(arrow), [...(leaving.get(key(arrow)) ?? []), arrow]);
  for (const list of leaving.values()) list.sort((a, b) => middle(at.get(a.to)!) - middle(at.get(b.to)!));
  return arrows.map((arrow) => {
    const from = at.get(arrow.from)!;
    const list = leaving.get(key(arrow))!;
    const { rect } = from;
    const band = isBox(arrow.from) ? Math.min(rect.height, size.titleHeight) : rect.height;
    const y = rect.y + (band * (list.indexOf(arrow) + 1)) / (list.length + 1);
    const enters = side(arrow);
    const socket = at.get(arrow.to)!.sockets.find((s) => s.ports === arrow.ports && s.side === enters)!;
    const exit = leaves(arrow);
    return {
      arrow,
      from: { x: exit === "right" ? rect.x + rect.width : rect.x, y, leaves: exit },
      to: {
        x: enters === "left" ? socket.rect.x : socket.rect.x + socket.rect.width,
        y: socket.rect.y + socket.rect.height / 2,
        enters,
      },
      color: home(arrow.from),
      crosses: home(arrow.from) !== home(arrow.to),
    };
  });
}
