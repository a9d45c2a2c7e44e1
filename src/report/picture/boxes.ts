/** Boxes of a picture: namespaces, nodes, the outside. */
import { byCluster, type Groups } from "../grouping.ts";
import { type Arrow, type Box, isBox } from "./arrows.ts";

export const boxesOf = (groups: Groups): Box[] =>
  [...byCluster(groups.members)].map(([id, { title, groups: members }]) => ({ id, title, groups: members }));

const isOutside = ({ id }: Box): boolean => id.startsWith("cidr/");

/** The outside twice: those that call into the cluster stand apart from those that are only called. */
export function splitOutside(boxes: readonly Box[], arrows: readonly Arrow[]): Box[] {
  const callers = new Set(arrows.flatMap(({ from }) => (isBox(from) ? from.groups : [from])));
  return boxes.flatMap((box): Box[] => {
    if (!isOutside(box)) return [box];
    const left = box.groups.filter((group) => callers.has(group));
    const right = box.groups.filter((group) => !callers.has(group));
    if (left.length === 0 || right.length === 0) return [box];
    return [
      { ...box, id: `${box.id}/from`, groups: left },
      { ...box, id: `${box.id}/to`, groups: right },
    ];
  });
}
