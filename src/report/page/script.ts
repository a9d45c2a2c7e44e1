/**
 * What the map's page does in a browser: views, filter, folding, what is under the pointer. Plain script text, because the
 * page must stand alone; it makes text nodes only, never markup, from names.
 */
export const pageScript = String.raw`"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, attributes) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    return element;
  };
  const { clusters, groups, ports, edges } = data;
  const byPair = new Map(edges.map(([from, to, p]) => [from * groups.length + to, p]));
  const portsOf = (from, to) => byPair.get(from * groups.length + to);
  const full = (group) => group.refs.join(", ");
  const text = groups.map((group) => (clusters[group.cluster] + " " + full(group)).toLowerCase());

  // ---- what is under the pointer
  const say = (...parts) => {
    const line = parts.map((part, i) => make(i % 2 === 0 ? "span" : "b", part));
    $("detail").replaceChildren(...line);
  };
  const sayEdge = (from, to) => {
    const p = portsOf(from, to);
    say("", full(groups[from]), " → ", full(groups[to]), p === undefined ? " denied" : " on " + ports[p].text);
  };
  const sayGroup = (g) => {
    const out = edges.filter(([from]) => from === g).length;
    const into = edges.filter(([, to]) => to === g).length;
    say("", full(groups[g]), " may call " + out + ", may be called by " + into + " of " + groups.length);
  };

  // ---- views
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const show = (name) => {
    for (const tab of tabs) {
      const on = tab.getAttribute("aria-controls") === name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = !on;
    }
    if (name === "matrix") drawGrid();
    if (name === "list") drawRows();
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => show(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (step === 0) return;
      const next = tabs[(i + step + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  });

  // ---- filter: a group matches by name, an edge by either end or by its ports
  let words = [];
  const groupMatches = (g) => words.every((word) => text[g].includes(word));
  const edgeMatches = ([from, to, p]) => {
    const whole = text[from] + " " + text[to] + " " + ports[p].text.toLowerCase();
    return words.every((word) => whole.includes(word));
  };

  // ---- matrix
  const folded = new Set(groups.length > 70 ? clusters.map((_, i) => i) : []);
  const drawGrid = () => {
    const wanted = new Set();
    groups.forEach((_, g) => { if (groupMatches(g)) wanted.add(g); });
    if (words.length > 0) for (const edge of edges) if (edgeMatches(edge)) { wanted.add(edge[0]); wanted.add(edge[1]); }
    const lines = [];
    clusters.forEach((title, c) => {
      const members = groups.map((_, g) => g).filter((g) => groups[g].cluster === c && wanted.has(g));
      if (members.length === 0) return;
      const size = members.reduce((sum, g) => sum + groups[g].refs.length, 0);
      lines.push({ cluster: c, title: (folded.has(c) ? "▸ " : "▾ ") + title + (folded.has(c) ? " (" + size + ")" : ""), members: folded.has(c) ? members : [] });
      if (!folded.has(c)) for (const g of members) lines.push({ group: g, title: groups[g].name, members: [g] });
    });
    const grid = $("grid");
    const caption = grid.caption;
    const head = make("thead");
    const top = make("tr");
    top.append(make("td", "from ↓  to →"));
    const foldButton = (line) => {
      const button = make("button", line.title, { type: "button", "aria-expanded": String(!folded.has(line.cluster)) });
      button.addEventListener("click", () => {
        if (!folded.delete(line.cluster)) folded.add(line.cluster);
        drawGrid();
      });
      return button;
    };
    const columns = lines.filter((line) => line.members.length > 0);
    for (const line of columns) {
      const cell = make("th", undefined, { scope: "col", title: line.group === undefined ? clusters[line.cluster] : full(groups[line.group]) });
      const box = make("div");
      const span = make("span");
      if (line.group === undefined) span.append(foldButton(line));
      else span.textContent = line.title;
      box.append(span);
      cell.append(box);
      top.append(cell);
    }
    head.append(top);
    const body = make("tbody");
    for (const line of lines) {
      const row = make("tr");
      const name = make("th", undefined, { scope: "row", title: line.group === undefined ? clusters[line.cluster] : full(groups[line.group]) });
      if (line.group === undefined) name.append(foldButton(line));
      else { name.textContent = line.title; name.style.paddingLeft = "14px"; }
      row.append(name);
      if (line.members.length > 0) for (const column of columns) row.append(gridCell(line, column));
      body.append(row);
    }
    grid.replaceChildren(caption, head, body);
    // One stop for the tabulator; arrow keys go on from there.
    const first = grid.querySelector("td.cell");
    if (first !== null) first.tabIndex = 0;
  };
  const widths = ["some", "wide", "any"];
  const gridCell = (row, column) => {
    const cell = make("td", undefined, { class: "cell" });
    let pairs = 0;
    let open = 0;
    let widest = -1;
    const found = new Set();
    for (const from of row.members) for (const to of column.members) {
      if (groups[from].outside && groups[to].outside) continue;
      const own = groups[from].refs.length * (from === to ? groups[from].refs.length - 1 : groups[to].refs.length);
      pairs += own;
      const p = portsOf(from, to);
      if (p === undefined || own === 0) continue;
      open += own;
      widest = Math.max(widest, widths.indexOf(ports[p].width));
      found.add(ports[p].text);
    }
    if (pairs === 0) cell.classList.add("self");
    else if (open > 0) {
      cell.classList.add(widths[widest]);
      // Folded namespaces: the share of pairs that may connect.
      if (open < pairs) cell.style.opacity = String(0.3 + (0.6 * open) / pairs);
    }
    const tell = () => {
      if (row.group !== undefined && column.group !== undefined) return sayEdge(row.group, column.group);
      const what = (line) => (line.group === undefined ? clusters[line.cluster] : full(groups[line.group]));
      const list = [...found].slice(0, 6).join(", ") + (found.size > 6 ? " and " + (found.size - 6) + " more" : "");
      say("", what(row), " → ", what(column), open === 0 ? " denied" : " " + open + " of " + pairs + " pairs, on " + list);
    };
    cell.addEventListener("pointerenter", tell);
    cell.addEventListener("focus", tell);
    cell.tabIndex = -1;
    return cell;
  };
  $("grid").addEventListener("keydown", (event) => {
    const cell = event.target.closest("td.cell");
    if (cell === null) return;
    const row = cell.parentElement;
    const at = cell.cellIndex;
    const next = { ArrowLeft: row.cells[at - 1], ArrowRight: row.cells[at + 1], ArrowUp: row.previousElementSibling?.cells[at], ArrowDown: row.nextElementSibling?.cells[at] }[event.key];
    if (next === undefined || !next.classList.contains("cell")) return;
    event.preventDefault();
    next.tabIndex = 0;
    next.focus();
  });
  $("grid").addEventListener("click", (event) => event.target.closest("td.cell")?.focus());

  // ---- list
  const most = 2000;
  const drawRows = () => {
    const shown = edges.filter(edgeMatches);
    const rows = shown.slice(0, most).map(([from, to, p]) => {
      const row = make("tr");
      row.append(make("td", full(groups[from])), make("td", full(groups[to])), make("td", ports[p].text));
      return row;
    });
    $("rows").tBodies[0].replaceChildren(...rows);
    $("more").textContent = shown.length > most ? "and " + (shown.length - most) + " more: filter to see them" : shown.length === 0 ? "nothing matches" : "";
  };

  // ---- picture
  const items = [...document.querySelectorAll("#picture .item")];
  const arrows = [...document.querySelectorAll("#picture .arrow")];
  const numbers = (element, name) => element.getAttribute(name).split(" ").map(Number);
  const dim = (isLit) => {
    const lit = new Set();
    for (const arrow of arrows) {
      const from = numbers(arrow, "data-from");
      const to = numbers(arrow, "data-to");
      const on = isLit === null || isLit(from, to);
      arrow.classList.toggle("dim", !on);
      if (on) for (const g of [...from, ...to]) lit.add(g);
    }
    for (const item of items) item.classList.toggle("dim", isLit !== null && !lit.has(numbers(item, "data-group")[0]) && !isLit([], numbers(item, "data-group")));
  };
  const dimByFilter = () => dim(words.length === 0 ? null : (from, to) => [...from, ...to].some(groupMatches));
  for (const item of items) {
    const [g] = numbers(item, "data-group");
    item.tabIndex = 0;
    const enter = () => { sayGroup(g); dim((from, to) => from.includes(g) || to.includes(g)); };
    item.addEventListener("pointerenter", enter);
    item.addEventListener("focus", enter);
    item.addEventListener("pointerleave", dimByFilter);
    item.addEventListener("blur", dimByFilter);
  }
  for (const arrow of arrows)
    arrow.addEventListener("pointerenter", () => say("", arrow.querySelector("title").textContent));

  let timer;
  $("filter").addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      words = event.target.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
      dimByFilter();
      if (!$("matrix").hidden) drawGrid();
      if (!$("list").hidden) drawRows();
    }, 120);
  });
  show(tabs.find((tab) => tab.getAttribute("aria-selected") === "true").getAttribute("aria-controls"));
})();
`;
