import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { groupEndpoints } from "../grouping.ts";
import { arbitraryMap } from "../report.arbitrary.ts";
import { isBox } from "./arrows.ts";
import { layOut } from "./layout.ts";
import { matrixSvg } from "./matrix.ts";
import type { Rect } from "./place.ts";

const overlap = (a: Rect, b: Rect): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const inside = (inner: Rect, outer: Rect): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width + 0.001 &&
  inner.y + inner.height <= outer.y + outer.height + 0.001;

describe("layout", () => {
  test("nothing lies on anything else, everything lies in its box and in the picture", () => {
    fc.assert(
      fc.property(arbitraryMap, (map) => {
        const layout = layOut(groupEndpoints(map));
        const page = { x: 0, y: 0, width: layout.width, height: layout.height };
        for (const list of [layout.boxes, layout.groups])
          for (const [i, { rect }] of list.entries()) {
            expect(inside(rect, page)).toBe(true);
            for (const other of list.slice(i + 1)) expect(overlap(rect, other.rect)).toBe(false);
          }
        for (const { end, rect } of layout.groups) {
          const home = layout.boxes.find((box) => isBox(box.end) && !isBox(end) && box.end.groups.includes(end))!;
          expect(inside(rect, home.rect)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("every arrow ends at a tag with its ports", () => {
    fc.assert(
      fc.property(arbitraryMap, (map) => {
        const layout = layOut(groupEndpoints(map));
        for (const { arrow, to } of layout.arrows) {
          const target = [...layout.boxes, ...layout.groups].find(({ end }) => end === arrow.to)!;
          const tag = target.sockets.find(({ ports, side }) => ports === arrow.ports && side === to.enters)!;
          expect(to.y).toBeCloseTo(tag.rect.y + tag.rect.height / 2);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("a matrix has one cell for each pair of groups that is allowed", () => {
    fc.assert(
      fc.property(arbitraryMap, (map) => {
        const groups = groupEndpoints(map);
        const svg = matrixSvg(groups, "title", "summary");
        const cells = svg.match(/<rect class="cell (?:any|wide|some)"[^>]*><title>/g) ?? [];
        expect(cells.length).toBe(Array.from(groups.edges()).length);
      }),
      { numRuns: 50 },
    );
  });
});
