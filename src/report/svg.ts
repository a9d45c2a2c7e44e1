/** `map -o svg`: boxes and arrows while they can be followed with the eye, a matrix beyond that. */
import type { Connectivity } from "../policy/analyze/types.ts";
import { type Groups, groupEndpoints } from "./grouping.ts";
import { graphSvg } from "./picture/graph.ts";
import { layOut } from "./picture/layout.ts";
import { matrixSvg } from "./picture/matrix.ts";

/** More than these, and nobody follows an arrow. `crossing`: arrows between namespaces. */
const most = { groups: 260, arrows: 400, crossing: 90 } as const;

export const mapTitle = "Who can reach whom";

export const mapSummary = ({ endpoints, connections }: Connectivity): string =>
  `${endpoints.length} endpoints, ${connections.length} connections; what is not shown is denied`;

/** Boxes and arrows; null when they would be too many to read. */
export function connectivityGraph(map: Connectivity, groups: Groups): string | null {
  if (groups.members.length > most.groups) return null;
  const layout = layOut(groups);
  const crossing = layout.arrows.filter(({ crosses }) => crosses).length;
  if (layout.arrows.length > most.arrows || crossing > most.crossing) return null;
  return graphSvg(layout, groups.members, mapTitle, mapSummary(map));
}

export function connectivitySvg(map: Connectivity): string {
  const groups = groupEndpoints(map);
  return connectivityGraph(map, groups) ?? matrixSvg(groups, mapTitle, mapSummary(map));
}
