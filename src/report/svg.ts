/** `map -o svg`: boxes and arrows while they can be followed with the eye, a matrix beyond that. */
import type { Connectivity } from "../policy/analyze/types.ts";
import { groupEndpoints } from "./grouping.ts";
import { graphSvg } from "./picture/graph.ts";
import { layOut } from "./picture/layout.ts";
import { matrixSvg } from "./picture/matrix.ts";

/** More than these, and nobody follows an arrow. */
const most = { groups: 45, arrows: 80 } as const;

export const mapSummary = ({ endpoints, connections }: Connectivity): string =>
  `${endpoints.length} endpoints, ${connections.length} connections; what is not shown is denied`;

export function connectivitySvg(map: Connectivity, title = "Who can reach whom"): string {
  const groups = groupEndpoints(map);
  if (groups.members.length <= most.groups) {
    const layout = layOut(groups);
    if (layout.arrows.length <= most.arrows) return graphSvg(layout, title, mapSummary(map));
  }
  return matrixSvg(groups, title, mapSummary(map));
}
