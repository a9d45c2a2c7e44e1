/** A matrix as a picture: rows open connections to columns. Readable where arrows are too many. */

import { xml } from "../escape.ts";
import type { Group, Groups } from "../grouping.ts";
import { groupName, isJudged, isOutside, shortName } from "../grouping.ts";
import { boxesOf } from "./boxes.ts";
import { svgDocument } from "./document.ts";
import { clip, textWidth } from "./text.ts";

const cell = 13;
const gap = 7;
const margin = 24;

interface Line {
  readonly group: Group;
  readonly label: string;
  /** Offset along the axis. */
  readonly at: number;
}

interface Band {
  readonly title: string;
  readonly start: number;
  readonly end: number;
  /** Addresses and nodes: between two of them nothing is judged. */
  readonly outside: boolean;
}

/** Groups along one axis, with a gap between namespaces. */
function axis(groups: Groups): {
  readonly lines: readonly Line[];
  readonly bands: readonly Band[];
  readonly length: number;
} {
  const lines: Line[] = [];
  const bands: Band[] = [];
  let at = 0;
  for (const { title, groups: members } of boxesOf(groups)) {
    const start = at;
    for (const group of members) {
      lines.push({ group, label: clip(shortName(group), 26), at });
      at += cell;
    }
    bands.push({ title, start, end: at, outside: members.every(isOutside) });
    at += gap;
  }
  return { lines, bands, length: at - gap };
}

/** One word for how wide a set of ports is, which is also its colour. */
export const width = (ports: string): "any" | "wide" | "some" =>
  ports === "any" || ports.includes("IPv4 any") || ports.includes("IPv6 any")
    ? "any"
    : /\ball\b|\bbut\b|\d-\d/.test(ports)
      ? "wide"
      : "some";

/** As much of a title as fits; "" when it would be one letter. */
const clipTo = (text: string, room: number): string => {
  const length = Math.floor(room / 7.4);
  return length < 2 ? "" : clip(text, length);
};

export function matrixSvg(groups: Groups, title: string, summary: string): string {
  const { lines, bands, length } = axis(groups);
  const nameWidth = Math.max(60, ...lines.map(({ label }) => textWidth(label, 10)));
  const bandWidth = Math.max(40, ...bands.map(({ title: name }) => textWidth(clip(name, 26), 12)));
  const left = margin + bandWidth + 14 + nameWidth + 10;
  const top = margin + 34 + 18 + Math.min(150, nameWidth * 0.87) + 10;
  const parts: string[] = [];
  for (const [i, { title: name, start, end }] of bands.entries()) {
    const y = top + start;
    parts.push(
      `<rect class="band c${i % 8}" x="${margin}" y="${y}" width="${left + length - margin}" height="${end - start}" rx="4"/>`,
      `<rect class="band c${i % 8}" x="${left + start}" y="${margin + 34}" width="${end - start}" height="${top + length - margin - 34}" rx="4"/>`,
      `<text class="title f${i % 8}" x="${left + start + 5}" y="${margin + 49}">${xml(clipTo(name, end - start - 8))}<title>${xml(name)}</title></text>`,
      `<text class="title f${i % 8}" x="${margin + 8}" y="${y + (end - start) / 2 + 4}">${xml(clip(name, 26))}</text>`,
    );
  }
  // Most pairs are denied: a block of namespace by namespace is one rectangle, patterned with denied cells.
  for (const from of bands)
    for (const to of bands) {
      if (from.outside && to.outside) continue;
      const size = `width="${to.end - to.start}" height="${from.end - from.start}"`;
      parts.push(
        `<g transform="translate(${left + to.start} ${top + from.start})"><rect ${size} fill="url(#denied)"/></g>`,
      );
    }
  for (const { label, at, group } of lines) {
    const full = xml(groupName(group));
    const middle = at + cell / 2;
    parts.push(
      `<text class="name end" x="${left - 8}" y="${top + middle + 4}">${xml(label)}<title>${full}</title></text>`,
      `<text class="name" transform="translate(${left + middle + 4} ${top - 8}) rotate(-60)">${xml(label)}<title>${full}</title></text>`,
    );
  }
  for (const from of lines)
    for (const to of lines) {
      const ports = groups.ports(from.group, to.group);
      const x = left + to.at + 1;
      const y = top + from.at + 1;
      if (from === to && !isJudged(from.group, to.group) && !isOutside(from.group))
        parts.push(`<path class="self" d="M${x + 3} ${y + 3}l${cell - 8} ${cell - 8}"/>`);
      if (ports !== undefined)
        parts.push(
          `<rect class="cell ${width(ports)}" x="${x}" y="${y}" width="${cell - 2}" height="${cell - 2}" rx="2">` +
            `<title>${xml(`${groupName(from.group)} → ${groupName(to.group)}: ${ports}`)}</title></rect>`,
        );
    }
  const legendY = top + length + 26;
  const legend = [
    ["any", "any port"],
    ["wide", "many ports"],
    ["some", "some ports"],
    ["none", "denied"],
  ] as const;
  let x = left;
  for (const [kind, words] of legend) {
    parts.push(
      `<rect class="cell ${kind}" x="${x}" y="${legendY}" width="${cell - 2}" height="${cell - 2}" rx="2"/>`,
      `<text class="name" x="${x + cell + 4}" y="${legendY + 11}">${words}</text>`,
    );
    x += cell + textWidth(words, 11) + 30;
  }
  return svgDocument({
    width: Math.max(left + length + margin + 60, x),
    height: legendY + cell + margin,
    title,
    summary: `${summary}. Rows open connections to columns.`,
    body: `<defs><pattern id="denied" width="${cell}" height="${cell}" patternUnits="userSpaceOnUse"><rect class="cell none" x="1" y="1" width="${cell - 2}" height="${cell - 2}" rx="2"/></pattern></defs>\n${parts.join("\n")}`,
  });
}
