/** How large everything in a picture is. Units: CSS pixels. */
import { type Group, shortName } from "../grouping.ts";
import type { Arrow, ArrowEnd, Badge, Box, Merged } from "./arrows.ts";
import { clip, textWidth } from "./text.ts";

export const size = {
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

/** A tag at the edge of a target: the ports of the arrows that end there. */
export interface Tag {
  readonly ports: string;
  readonly label: string;
  readonly side: "left" | "right";
}

export interface Sized {
  readonly end: ArrowEnd;
  readonly label: string;
  readonly badges: readonly string[];
  readonly sockets: readonly Tag[];
  readonly width: number;
  readonly height: number;
}

export interface SizedBox extends Sized {
  readonly box: Box;
  /** Sub-columns of groups, left to right. */
  readonly columns: readonly (readonly Sized[])[];
  readonly titleHeight: number;
}

/** The side at which an arrow enters its target. */
export type SideOf = (arrow: Arrow) => "left" | "right";

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

export type Measure = (end: ArrowEnd, label: string) => Sized;

export function measurer(merged: Merged, side: SideOf): Measure {
  const badgesAt = new Map<ArrowEnd, string[]>();
  for (const badge of merged.badges) badgesAt.set(badge.at, [...(badgesAt.get(badge.at) ?? []), badgeText(badge)]);
  const socketsAt = new Map<ArrowEnd, Tag[]>();
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
export function socketWidth(sockets: readonly Tag[]): number {
  if (sockets.length === 0) return 0;
  return Math.ceil(Math.max(...sockets.map(({ label }) => textWidth(label, 10.5))) + 16);
}

export function sizeBox(box: Box, inner: ReadonlyMap<Group, number>, measure: Measure): SizedBox {
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
