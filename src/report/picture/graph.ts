/** Namespaces as boxes, workloads inside, arrows with their ports at the destination. */
import { xml } from "../escape.ts";
import { groupName } from "../grouping.ts";
import { type ArrowEnd, isBox, type Merged } from "./arrows.ts";
import { svgDocument } from "./document.ts";
import type { Layout, PlacedArrow, PlacedEnd } from "./layout.ts";

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
  const back = to.enters === "left" ? -reach : reach;
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

export function graphSvg(layout: Layout & { readonly merged: Merged }, title: string, summary: string): string {
  const boxes = layout.boxes.map((item, i) => {
    const { rect } = item;
    const x = textStart(item);
    return (
      `<g><rect class="box c${i % 8}" x="${round(rect.x)}" y="${round(rect.y)}" width="${round(rect.width)}" height="${round(rect.height)}" rx="10"/>` +
      `<text class="title f${i % 8}" x="${round(x)}" y="${round(rect.y + 19)}">${xml(item.label)}</text>${badges(item, x, rect.y + 34)}</g>`
    );
  });
  const arrows = layout.arrows.map((placed) => {
    const { from, to, ports } = placed.arrow;
    const color = placed.color % 8;
    return `<path class="arrow s${color}" d="${arrowPath(placed)}" marker-end="url(#head${color})"><title>${xml(`${fullName(from)} → ${fullName(to)}: ${ports}`)}</title></path>`;
  });
  const cards = layout.groups.map((item) => {
    const { rect } = item;
    const x = textStart(item);
    const textHeight = 18 + 15 * item.badges.length;
    const y = rect.y + (rect.height - textHeight) / 2 + 13;
    return (
      `<g><title>${xml(fullName(item.end))}</title>` +
      `<rect class="card" x="${round(rect.x)}" y="${round(rect.y)}" width="${round(rect.width)}" height="${round(rect.height)}" rx="6"/>` +
      `<text x="${round(x)}" y="${round(y)}">${xml(item.label)}</text>${badges(item, x, y + 15)}${sockets(item)}</g>`
    );
  });
  const hasOpen = layout.merged.badges.some(({ kind }) => kind.startsWith("open-"));
  const legend = hasOpen
    ? `<text class="sub" x="24" y="${round(layout.height + header + 6)}">${openLegend}</text>\n`
    : "";
  return svgDocument({
    width: Math.max(layout.width, hasOpen ? 620 : 0),
    height: layout.height + header + (hasOpen ? 24 : 0),
    title,
    summary,
    body: `${legend}<g transform="translate(0 ${header})">\n${[...boxes, ...arrows, ...cards, ...layout.boxes.map(sockets)].join("\n")}\n</g>`,
  });
}
