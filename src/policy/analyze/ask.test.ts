import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { families, parseCidr } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import { compile } from "../compile/live-plan.ts";
import { evaluate } from "../evaluate/evaluate.ts";
import type { End } from "../model/verdict.ts";
import { namespacedName, type World } from "../model/world.ts";
import { arbitraryWorld } from "../world.arbitrary.ts";
import { askInDetail, flowOf } from "./ask.ts";
import { allowedByFamily, endPods, podEnd, singleEnds } from "./brute-force.arbitrary.ts";
import type { PortReference } from "./port-reference.ts";
import type { Reference } from "./reference.ts";
import { isProblem } from "./types.ts";

interface Side {
  readonly reference: Reference;
  readonly ends: readonly End[];
}

function sides(world: World): readonly Side[] {
  const pods = endPods(world);
  const namespaces = [...new Set(pods.map(({ namespace }) => namespace))];
  const external = (text: string): Side => ({
    reference: { kind: "addresses", cidr: parseCidr(text)!.cidr },
    ends: [{ kind: "address", address: text.split("/")[0]! }],
  });
  return [
    ...pods.map(
      (pod): Side => ({ reference: { kind: "pod", namespace: pod.namespace, name: pod.name }, ends: [podEnd(pod)] }),
    ),
    ...namespaces.map(
      (namespace): Side => ({
        reference: { kind: "pods", namespace },
        ends: pods.filter((pod) => pod.namespace === namespace).map(podEnd),
      }),
    ),
    { reference: { kind: "pods", namespace: null }, ends: pods.map(podEnd) },
    ...world.nodes.map(
      (node): Side => ({ reference: { kind: "node", name: node.name }, ends: [{ kind: "node", node }] }),
    ),
    external("203.0.113.9/32"),
    external("2001:db8::9/128"),
  ];
}

const ports: fc.Arbitrary<PortReference> = fc
  .constantFrom(
    PortSet.allPorts,
    PortSet.single("TCP", 80),
    PortSet.single("UDP", 53),
    PortSet.protocol("other"),
    PortSet.of([{ protocol: "TCP", start: 79, end: 8080 }]),
  )
  .map((set) => ({ kind: "set", set }));

const question = arbitraryWorld()
  .filter((world) => endPods(world).length > 0)
  .chain((world) =>
    fc.record({
      world: fc.constant(world),
      from: fc.constantFrom(...sides(world)),
      to: fc.constantFrom(...sides(world)),
      port: ports,
    }),
  );

/** Pairs with a family in common, pods with themselves aside. */
function countPairs(from: readonly End[], to: readonly End[]): number {
  const common = (a: End, b: End): boolean =>
    singleEnds(a).some(({ family }) => singleEnds(b).some((other) => other.family === family));
  const isSelf = (a: End, b: End): boolean => a.kind === "pod" && b.kind === "pod" && a.pod === b.pod;
  return from.flatMap((a) => to.filter((b) => common(a, b) && !isSelf(a, b))).length;
}

/** One workload asked about itself: one replica calls another, as through a Service. */
const isBetweenReplicas = ([a, ...more]: readonly End[], [b, ...others]: readonly End[]): boolean =>
  more.length + others.length === 0 &&
  a?.kind === "pod" &&
  b?.kind === "pod" &&
  a.pod === b.pod &&
  a.pod.template &&
  a.pod.replicas !== 0 &&
  a.pod.replicas !== 1;

describe("ask", () => {
  test("on sets is what the evaluator says of every pair", () => {
    fc.assert(
      fc.property(question, ({ world, from, to, port }) => {
        const plan = compile(world);
        const asked = askInDetail(plan, { from: from.reference, to: to.reference, port });
        const replicas = isBetweenReplicas(from.ends, to.ends);
        const pairs = allowedByFamily(plan, from.ends, to.ends, replicas);
        if (isProblem(asked)) {
          expect(pairs.size).toBe(0);
          return;
        }
        const { answer, ports: set } = asked;
        if (answer.pairs === 1 && answer.egress.exempt === "self") {
          expect(answer.allowed).toBe(true);
          return;
        }
        const every = Array.from(pairs.values(), ({ all }) => all).reduce((a, b) => a.intersect(b));
        const some = Array.from(pairs.values(), ({ some: one }) => one).reduce((a, b) => a.union(b));
        expect(PortSet.of(answer.ports.allowed).key).toBe(set.intersect(every).key);
        expect(PortSet.of(answer.ports.denied).key).toBe(set.minus(every).key);
        expect(answer.allowed).toBe(set.minus(every).isEmpty);
        expect(answer.pairs).toBe(replicas ? 1 : countPairs(from.ends, to.ends));
        expect(answer.partly).toBe(!set.intersect(some).isEmpty);
        for (const family of families)
          if (answer.families !== undefined)
            expect(PortSet.of(answer.families[family]).key).toBe(set.intersect(pairs.get(family)!.all).key);
      }),
      { numRuns: 400 },
    );
  });

  test("counterexamples are denied, examples allowed, and both directions tell of them", () => {
    fc.assert(
      fc.property(question, ({ world, from, to, port }) => {
        const plan = compile(world);
        const asked = askInDetail(plan, { from: from.reference, to: to.reference, port });
        if (isProblem(asked)) return;
        const { counterexample, example } = asked.found;
        const { viaService } = asked.question;
        if (counterexample !== null) expect(evaluate(plan, flowOf(counterexample, viaService)).allowed).toBe(false);
        if (example !== null) expect(evaluate(plan, flowOf(example, viaService)).allowed).toBe(true);
        expect(asked.answer.allowed).toBe(
          asked.answer.egress.verdict === "allow" && asked.answer.ingress.verdict === "allow",
        );
      }),
      { numRuns: 200 },
    );
  });

  test("every pod of a world is found by its reference", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const plan = compile(world);
        for (const pod of endPods(world)) {
          const reference: Reference = { kind: "pod", namespace: pod.namespace, name: pod.name };
          const asked = askInDetail(plan, { from: reference, to: { kind: "external" } });
          if (isProblem(asked)) throw new Error(`${namespacedName(pod)}: ${asked.message}`);
          expect(asked.from.ends).toHaveLength(1);
        }
      }),
      { numRuns: 30 },
    );
  });
});
