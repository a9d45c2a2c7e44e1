/** Namespaces as boxes, workloads inside, arrows with their ports at the destination. */
import { xml } from "../escape.ts";
import { type Group, groupName } from "../grouping.ts";
import { type ArrowEnd, isBox, type Merged } from "./arrows.ts";
import { svgDocument } from "./document.ts";
import type { Layout } from "./layout.ts";
import type { PlacedArrow, PlacedEnd } from "./place.ts";

const header = 40;

const round = (n: number): string => String(Math.round(n * 10) / 10);

const fullName = (end: ArrowEnd): string =>
  isBox(end)
    ? `all of ${end.title}`
    : end.endpoints.length > 1
      ? end.endpoints.map(({ ref }) => ref).join(", ")
      : groupName(end);

function arrowPath({ from, to }: PlacedArrow): string {
  const reach = Math.max(34, Math.min(320, Math.abs(to.x - from.x) * 0.5));
  const out = from.leaves === "right" ? reach : -reach;
  // A short hook where it turns back, so that it stays near its box.
  const back = to.enters === "left" ? -reach : Math.min(reach, 70);
  const tip = to.enters === "left" ? -2 : 2;
  return `M${round(from.x)} ${round(from.y)}C${round(from.x + out)} ${round(from.y)} ${round(to.x + back)} ${round(to.y)} ${round(to.x + tip)} ${round(to.y)}`;
}

const sockets = ({ sockets: list }: PlacedEnd): string =>
  list
    .map(
      ({ rect, label, ports }) =>
        `<g><title>${xml(ports)}</title><rect class="port" x="${round(rect.x)}" y="${round(rect.y)}" width="${round(rect.width)}" height="${rect.height}" rx="${rect.height / 2}"/>` +
        `<text class="porttext" x="${round(rect.x + rect.width / 2)}" y="${round(rect.y + rect.height / 2 + 3.7)}">${xml(label)}</text></g>`,
    )
    .join("");

/** Where the text of a card may begin: right of the tags on its left. */
const textStart = ({ rect, sockets: list }: PlacedEnd): number =>
  Math.max(rect.x + 10, ...list.filter(({ side }) => side === "left").map((s) => s.rect.x + s.rect.width + 8));

const badges = (item: PlacedEnd, x: number, y: number): string =>
  item.badges
    .map((text, i) => `<text class="badge open" x="${round(x)}" y="${round(y + 15 * i)}">${xml(text)}</text>`)
    .join("");

const openLegend = "→ open may call, on any port, whatever is marked ← open; ⇄ is both.";

/** What a page needs to find cards and arrows again: the groups at an end, by their number. */
const numbers = (end: ArrowEnd, number: ReadonlyMap<Group, number>): string =>
  (isBox(end) ? end.groups : [end]).map((group) => number.get(group)).join(" ");

export function graphSvg(
  layout: Layout & { readonly merged: Merged },
  members: readonly Group[],
  title: string,
  summary: string,
): string {
  const number = new Map(members.map((group, i) => [group, i]));
  const boxes = layout.boxes.map(
    ({ rect }, i) =>
      `<rect class="box c${i % 8}" x="${round(rect.x)}" y="${round(rect.y)}" width="${round(rect.width)}" height="${round(rect.height)}" rx="10"/>`,
  );
  // Above the arrows that pass through the box.
  const titles = layout.boxes.map((item, i) => {
    const x = textStart(item);
    const { y } = item.rect;
    return `<text class="title halo f${i % 8}" x="${round(x)}" y="${round(y + 19)}">${xml(item.label)}</text>${badges(item, x, y + 34)}${sockets(item)}`;
  });
  const arrows = layout.arrows.map((placed) => {
    const { from, to, ports } = placed.arrow;
    const color = placed.color % 8;
    return `<path class="arrow s${color}" data-from="${numbers(from, number)}" data-to="${numbers(to, number)}" d="${arrowPath(placed)}" marker-end="url(#head${color})"><title>${xml(`${fullName(from)} → ${fullName(to)}: ${ports}`)}</title></path>`;
  });
  const cards = layout.groups.map((item) => {
    const { rect } = item;
    const x = textStart(item);
    const textHeight = 18 + 15 * item.badges.length;
    const y = rect.y + (rect.height - textHeight) / 2 + 13;
    return (
      `<g class="item" data-group="${numbers(item.end, number)}"><title>${xml(fullName(item.end))}</title>` +
      `<rect class="card" x="${round(rect.x)}" y="${round(rect.y)}" width="${round(rect.width)}" height="${round(rect.height)}" rx="6"/>` +
      `<text x="${round(x)}" y="${round(y)}">${xml(item.label)}</text>${badges(item, x, y + 15)}${sockets(item)}</g>`
    );
  });
  const rightmost = Math.max(0, ...layout.arrows.map(({ to }) => (to.enters === "right" ? to.x : 0)));
  const hook = Math.max(0, rightmost + 60 - layout.width);
  const hasOpen = layout.merged.badges.some(({ kind }) => kind.startsWith("open-"));
  const legend = hasOpen
    ? `<text class="sub" x="24" y="${round(layout.height + header + 6)}">${openLegend}</text>\n`
    : "";
  return svgDocument({
    width: Math.max(layout.width + hook, hasOpen ? 620 : 0),
    height: layout.height + header + (hasOpen ? 24 : 0),
    title,
    summary,
    body: `${legend}<g transform="translate(0 ${header})">\n${[...boxes, ...arrows, ...cards, ...titles].join("\n")}\n</g>`,
  });
}
