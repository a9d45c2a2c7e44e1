import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { families } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import { compile } from "../compile/live-plan.ts";
import type { PortDecision } from "../model/verdict.ts";
import { emptyWorld } from "../model/world.ts";
import { arbitraryFlow, arbitraryWorld, pairsOf, protocolPorts } from "../world.arbitrary.ts";
import { allowedPorts, decisions, evaluate } from "./evaluate.ts";
import { referenceVerdict } from "./reference.ts";

describe("the engine and the reference", () => {
  test("give the same verdict, tier and reasons for random flows", () => {
    fc.assert(
      fc.property(
        arbitraryWorld().chain((world) =>
          fc.tuple(fc.constant(world), fc.array(arbitraryFlow(world), { minLength: 1 })),
        ),
        ([world, flows]) => {
          const plan = compile(world);
          for (const flow of flows) expect(evaluate(plan, flow)).toEqual(referenceVerdict(world, flow));
        },
      ),
      { numRuns: 800 },
    );
  });

  test("give the same for every pair and boundary port of random worlds", () => {
    fc.assert(
      fc.property(arbitraryWorld({ maxPods: 4, maxNodes: 2 }), (world) => {
        const plan = compile(world);
        for (const pair of pairsOf(world)) {
          const { egress, ingress } = decisions(plan, pair.from, pair.to, pair.family, pair);
          for (const point of protocolPorts) {
            const { allowed: _, ...expected } = referenceVerdict(world, { ...pair, ...point });
            const at = (pieces: readonly PortDecision[]) =>
              pieces.find(({ ports }) => ports.has(point.protocol, point.port))?.decision;
            const decided = { egress: at(egress), ingress: at(ingress) };
            if (!isDeepStrictEqual(decided, expected)) expect({ point, ...pair, ...decided }).toEqual(expected);
          }
        }
      }),
      { numRuns: 12 },
    );
  });
});

describe("decisions", () => {
  test("are disjoint, not empty, and cover every port", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const plan = compile(world);
        for (const { from, to, family } of pairsOf(world)) {
          for (const pieces of Object.values(decisions(plan, from, to, family))) {
            let covered = PortSet.empty;
            for (const { ports } of pieces as { ports: PortSet }[]) {
              expect(ports.isEmpty).toBe(false);
              expect(ports.intersect(covered).isEmpty).toBe(true);
              covered = covered.union(ports);
            }
            expect(covered.isAll).toBe(true);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});

test("allowedPorts without policies is everything", () => {
  const from = { kind: "address", address: "203.0.113.9" } as const;
  for (const family of families) expect(allowedPorts(compile(emptyWorld), from, from, family).isAll).toBe(true);
});
