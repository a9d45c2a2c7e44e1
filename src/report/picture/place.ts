/** Positions of what is measured, inside its box and at the ends of arrows. Units: CSS pixels. */
import { type Arrow, type ArrowEnd, isBox } from "./arrows.ts";
import { type SideOf, type SizedBox, size, socketWidth, type Tag } from "./measure.ts";

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Socket extends Tag {
  readonly rect: Rect;
}

export interface PlacedEnd {
  readonly end: ArrowEnd;
  readonly label: string;
  readonly badges: readonly string[];
  readonly rect: Rect;
  readonly sockets: readonly Socket[];
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

export function placeGroups(box: SizedBox, rect: Rect): PlacedEnd[] {
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

export function placeSockets(sockets: readonly Tag[], { x, y, width, height }: Rect): Socket[] {
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

export function placeArrows(
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
