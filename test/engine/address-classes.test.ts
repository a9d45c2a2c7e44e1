/** The plan's split of the address space: it covers everything, and each class is judged as the reference judges its edges. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressSet, families, formatAddress, parseAddress } from "../../src/net/address.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { PeerClass, Plan } from "../../src/policy/compile/plan.ts";
import { referenceVerdict } from "../../src/policy/evaluate/reference.ts";
import { type Direction, directions, type Flow } from "../../src/policy/model/verdict.ts";
import { isFinished, type Pod, type World } from "../../src/policy/model/world.ts";
import { arbitraryWorld, protocolPorts } from "../../src/policy/world.arbitrary.ts";

const points = protocolPorts.filter((_, i) => i % 12 === 0);

test("every class of addresses, at the ends of its ranges", () => {
  fc.assert(
    fc.property(arbitraryWorld(), fc.constantFrom(...directions), (world, direction) => {
      const plan = compile(world);
      const pods = world.pods.filter((pod) => !pod.hostNetwork && !isFinished(pod));
      for (const { address, peer } of edges(plan, direction)) {
        for (const pod of pods) {
          const pieces = plan.judge(plan.policyClass(pod, direction), peer);
          for (const { protocol, port } of points) {
            const decision = pieces.find(({ ports }) => ports.has(protocol, port))?.decision;
            const flow = flowWith(pod, address, direction, { protocol, port });
            expect(decision, `${address} ${protocol} ${port}`).toEqual(lawOf(world, flow, direction));
          }
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("the classes are disjoint and cover both families", () => {
  fc.assert(
    fc.property(arbitraryWorld(), fc.constantFrom(...directions), (world, direction) => {
      let covered = AddressSet.empty;
      for (const { set } of compile(world).netClasses(direction)) {
        expect(covered.intersect(set).isEmpty).toBe(true);
        covered = covered.union(set);
      }
      expect(covered.equals(AddressSet.all)).toBe(true);
    }),
  );
});

/** First and last address of every range of every class, but those that mean a pod or node. */
function* edges(plan: Plan, direction: Direction): Generator<{ readonly address: string; readonly peer: PeerClass }> {
  for (const { set, peer } of plan.netClasses(direction)) {
    for (const family of families) {
      for (const value of set.byFamily[family].flatMap(({ start, end }) => [start, end])) {
        const address = formatAddress({ family, value });
        const isWritable = parseAddress(address)!.family === family; // an IPv4-mapped address reads as IPv4
        if (isWritable && plan.endAt(address) === null) yield { address, peer };
      }
    }
  }
}

function flowWith(pod: Pod, address: string, direction: Direction, point: Pick<Flow, "protocol" | "port">): Flow {
  const own = { kind: "pod", pod } as const;
  const other = { kind: "address", address } as const;
  const ends = direction === "egress" ? { from: own, to: other } : { from: other, to: own };
  return { ...ends, family: parseAddress(address)!.family, ...point };
}

const lawOf = (world: World, flow: Flow, direction: Direction) => referenceVerdict(world, flow)[direction];
