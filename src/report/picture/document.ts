/** An SVG that stands alone: its own style, light and dark, no font or script from elsewhere. */
import { xml } from "../escape.ts";

export interface SvgContent {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly summary: string;
  readonly body: string;
}

/** Hues of namespaces, apart in lightness too. */
const hues = [212, 152, 28, 268, 340, 186, 48, 4] as const;

const light = {
  page: "#ffffff",
  ink: "#1b2430",
  faint: "#5d6b7c",
  card: "#ffffff",
  line: "#c9d2dc",
  none: "#eef1f4",
  any: "#e8a13a",
  wide: "#e6cf5c",
  some: "#3f86d8",
};
const dark = {
  page: "#12161c",
  ink: "#e6ebf1",
  faint: "#98a5b4",
  card: "#1c232c",
  line: "#3a4653",
  none: "#222a34",
  any: "#d08f2e",
  wide: "#b9a23c",
  some: "#4f94e6",
};

const variables = (colors: typeof light, lightness: number, tint: number, saturation: number): string =>
  [
    ...Object.entries(colors).map(([name, value]) => `--${name}:${value}`),
    ...hues.flatMap((hue, i) => [
      `--hue${i}:hsl(${hue} ${saturation}% ${lightness}%)`,
      `--tint${i}:hsl(${hue} ${Math.round(saturation * 0.75)}% ${tint}%)`,
    ]),
  ].join(";");

/** Custom properties of both colour schemes on `selector`. */
export const palette = (selector: string): string =>
  `${selector}{${variables(light, 40, 95, 62)}}` +
  `@media (prefers-color-scheme:dark){${selector}{${variables(dark, 66, 15, 52)}}}`;

const style = `${palette("svg.bulkhead")}
svg.bulkhead{background:var(--page);font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
svg.bulkhead text{fill:var(--ink);font-size:12.5px}
svg.bulkhead .head{font-size:16px;font-weight:600}
svg.bulkhead .sub,svg.bulkhead .badge{fill:var(--faint);font-size:11px}
svg.bulkhead .badge{font-size:10.5px}
svg.bulkhead .badge.open{fill:var(--any);font-weight:600}
svg.bulkhead .title{font-size:12.5px;font-weight:600}
svg.bulkhead .halo{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-opacity:.8}
svg.bulkhead .name{font-size:10px}
svg.bulkhead .end{text-anchor:end}
svg.bulkhead .card{fill:var(--card);stroke:var(--line)}
svg.bulkhead .port{fill:var(--card);stroke:var(--faint)}
svg.bulkhead .porttext{font-size:10.5px;text-anchor:middle;font-variant-numeric:tabular-nums}
svg.bulkhead .arrow{fill:none;stroke-width:1.5;opacity:.75}
svg.bulkhead .arrow:hover{stroke-width:3.5;opacity:1}
svg.bulkhead .self{stroke:var(--line);fill:none}
svg.bulkhead .cell.none{fill:var(--none)}
svg.bulkhead .cell.any{fill:var(--any)}
svg.bulkhead .cell.wide{fill:var(--wide)}
svg.bulkhead .cell.some{fill:var(--some)}
${hues.map((_, i) => `svg.bulkhead .c${i}{fill:var(--tint${i})}svg.bulkhead .box.c${i}{stroke:var(--hue${i});stroke-opacity:.45}svg.bulkhead .f${i}{fill:var(--hue${i})}svg.bulkhead .s${i}{stroke:var(--hue${i})}`).join("\n")}`;

export const svgDocument = ({ width, height, title, summary, body }: SvgContent): string => {
  const w = Math.ceil(width);
  const h = Math.ceil(height);
  return `<svg xmlns="http://www.w3.org/2000/svg" class="bulkhead" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" role="img" aria-labelledby="bulkhead-title bulkhead-summary">
<title id="bulkhead-title">${xml(title)}</title>
<desc id="bulkhead-summary">${xml(summary)}</desc>
<style>${style}</style>
<defs>${hues.map((_, i) => `<marker id="head${i}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path class="f${i}" d="M0 .8 7.2 4 0 7.2z"/></marker>`).join("")}</defs>
<text class="head" x="24" y="32">${xml(title)}</text>
<text class="sub summary" x="24" y="49">${xml(summary)}</text>
${body}
</svg>
`;
};
