import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { connectionPorts } from "../endpoint.ts";
import { type Group, type Groups, groupEndpoints, isJudged } from "../grouping.ts";
import { arbitraryMap } from "../report.arbitrary.ts";
import { type ArrowEnd, isBox, mergeArrows } from "./arrows.ts";
import { boxesOf, splitOutside } from "./boxes.ts";
import { columns } from "./rank.ts";

const pairText = (from: string, to: string, ports: string): string => `${from} > ${to}: ${ports}`;

describe("grouping", () => {
  test("hides nothing and adds nothing", () => {
    fc.assert(
      fc.property(arbitraryMap, (map) => {
        const groups = groupEndpoints(map);
        const refs = groups.members.flatMap(({ endpoints }) => endpoints.map(({ ref }) => ref));
        expect(refs.sort()).toEqual(map.endpoints.map(({ ref }) => ref).sort());
        const expanded = Array.from(groups.edges()).flatMap(({ from, to, ports }) =>
          from.endpoints.flatMap((a) =>
            to.endpoints.flatMap((b) => (a.ref === b.ref ? [] : [pairText(a.ref, b.ref, ports)])),
          ),
        );
        expect(expanded.sort()).toEqual(
          map.connections.map((one) => pairText(one.from, one.to, connectionPorts(one))).sort(),
        );
      }),
      { numRuns: 300 },
    );
  });
});

/** What a reader of the picture would take an end to mean. */
const membersOf = (end: ArrowEnd): readonly Group[] => (isBox(end) ? end.groups : [end]);

function read(groups: Groups, merged: ReturnType<typeof mergeArrows>): Set<string> {
  const number = new Map(groups.members.map((group, i) => [group, String(i)]));
  const said = new Set<string>();
  const say = (from: readonly Group[], to: readonly Group[], ports: string): void => {
    for (const a of from)
      for (const b of to) if (isJudged(a, b)) said.add(pairText(number.get(a)!, number.get(b)!, ports));
  };
  const pods = groups.members.filter(({ kind }) => kind === "pod" || kind === "workload");
  for (const { from, to, ports } of merged.arrows) say(membersOf(from), membersOf(to), ports);
  const marked = (...kinds: readonly string[]): Group[] =>
    merged.badges.flatMap(({ at, kind }) => (kinds.includes(kind) ? membersOf(at) : []));
  for (const from of marked("open-out", "open-both"))
    for (const to of marked("open-in", "open-both")) say([from], [to], "any");
  for (const { at, kind, ports } of merged.badges) {
    const here = membersOf(at);
    if (kind === "from-anywhere") say(groups.members, here, ports);
    if (kind === "to-anywhere") say(here, groups.members, ports);
    if (kind === "from-all-pods") say(pods, here, ports);
    if (kind === "to-all-pods") say(here, pods, ports);
    if (kind === "among-themselves") say(here, here, ports);
  }
  return said;
}

describe("merged arrows", () => {
  test("say exactly what is allowed", () => {
    fc.assert(
      fc.property(arbitraryMap, (map) => {
        const groups = groupEndpoints(map);
        const whole = boxesOf(groups);
        const boxes = splitOutside(whole, mergeArrows(groups, whole).arrows);
        const number = new Map(groups.members.map((group, i) => [group, String(i)]));
        const edges = Array.from(groups.edges(), ({ from, to, ports }) =>
          pairText(number.get(from)!, number.get(to)!, ports),
        );
        expect([...read(groups, mergeArrows(groups, boxes))].sort()).toEqual(edges.sort());
      }),
      { numRuns: 500 },
    );
  });
});

describe("columns", () => {
  test("a chain runs from left to right, a cycle is opened once", () => {
    expect(
      columns(3, [
        [0, 1, 1],
        [1, 2, 1],
      ]),
    ).toEqual([0, 1, 2]);
    const cycle = columns(3, [
      [0, 1, 5],
      [1, 2, 5],
      [2, 0, 1],
    ]);
    expect(cycle[0]! < cycle[1]! && cycle[1]! < cycle[2]!).toBe(true);
  });

  test("every forward arrow of an acyclic picture runs right", () => {
    const edges = fc.array(
      fc.tuple(fc.nat(9), fc.nat(9)).filter(([a, b]) => a < b),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(edges, (list) => {
        const column = columns(
          10,
          list.map(([a, b]) => [a, b, 1] as const),
        );
        for (const [a, b] of list) expect(column[a]!).toBeLessThan(column[b]!);
      }),
    );
  });
});
