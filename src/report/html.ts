/** `map -o html`: one file, nothing loaded from elsewhere; picture, matrix and list of the same map. */
import type { Connectivity } from "../policy/analyze/types.ts";
import { scriptJson, xml } from "./escape.ts";
import { byCluster, type Groups, groupEndpoints, isOutside, shortName } from "./grouping.ts";
import { pageScript } from "./page/script.ts";
import { pageStyle } from "./page/style.ts";
import { width } from "./picture/matrix.ts";
import { connectivityGraph, mapSummary, mapTitle } from "./svg.ts";

/** What the page's script reads. Numbers point into the lists. */
interface PageData {
  readonly clusters: readonly string[];
  readonly groups: readonly {
    readonly cluster: number;
    readonly name: string;
    readonly refs: readonly string[];
    readonly outside: boolean;
  }[];
  readonly ports: readonly { readonly text: string; readonly width: string }[];
  readonly edges: readonly (readonly [from: number, to: number, ports: number])[];
}

function pageData(groups: Groups): PageData {
  const clusters = [...byCluster(groups.members).values()];
  const clusterOf = new Map(clusters.flatMap((cluster, i) => cluster.groups.map((group) => [group, i] as const)));
  const number = new Map(groups.members.map((group, i) => [group, i]));
  const ports = new Map<string, number>();
  const edges = Array.from(groups.edges(), ({ from, to, ports: text }) => {
    const known = ports.get(text) ?? ports.size;
    ports.set(text, known);
    return [number.get(from)!, number.get(to)!, known] as const;
  });
  return {
    clusters: clusters.map(({ title }) => title),
    groups: groups.members.map((group) => ({
      cluster: clusterOf.get(group)!,
      name: shortName(group),
      refs: group.endpoints.map(({ ref }) => ref),
      outside: isOutside(group),
    })),
    ports: Array.from(ports.keys(), (text) => ({ text, width: width(text) })),
    edges,
  };
}

export function connectivityHtml(map: Connectivity): string {
  const groups = groupEndpoints(map);
  const graph = connectivityGraph(map, groups);
  const view = graph === null ? "matrix" : "picture";
  const tab = (name: string, text: string): string =>
    `<button type="button" role="tab" id="tab-${name}" aria-controls="${name}" aria-selected="${name === view}">${text}</button>`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${xml(mapTitle)}</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<div><h1>${xml(mapTitle)}</h1><p>${xml(mapSummary(map))}</p></div>
<div class="tools">
<label>Filter <input id="filter" type="search" placeholder="name, namespace or port" autocomplete="off" spellcheck="false"></label>
<div role="tablist" aria-label="View">${graph === null ? "" : tab("picture", "Picture")}${tab("matrix", "Matrix")}${tab("list", "List")}</div>
</div>
</header>
<main>
${graph === null ? "" : `<section id="picture" role="tabpanel" aria-labelledby="tab-picture">${graph}</section>`}
<section id="matrix" role="tabpanel" aria-labelledby="tab-matrix"${view === "matrix" ? "" : " hidden"}>
<p class="legend"><span class="key any"></span> any port <span class="key wide"></span> many ports <span class="key some"></span> some ports <span class="key"></span> denied. Rows open connections to columns. Click a namespace to fold or unfold it.</p>
<div class="scroll"><table id="grid"><caption>Who may open connections to whom</caption></table></div>
</section>
<section id="list" role="tabpanel" aria-labelledby="tab-list" hidden>
<div class="scroll"><table id="rows"><caption>Allowed connections</caption><thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Ports</th></tr></thead><tbody></tbody></table></div>
<p id="more"></p>
</section>
<noscript><p>Matrix and list need scripts.</p></noscript>
</main>
<footer id="detail" role="status" aria-live="polite">Point at something, or move to it with the keyboard, to see what it may do.</footer>
<script type="application/json" id="data">${scriptJson(pageData(groups))}</script>
<script>${pageScript}</script>
</body>
</html>
`;
}
