import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { families, formatAddress, parseAddress } from "../../net/address.ts";
import { decisions } from "../evaluate/evaluate.ts";
import { directions } from "../model/verdict.ts";
import { emptyWorld, isFinished, type Pod, type World } from "../model/world.ts";
import { applyToWorld, arbitraryChange, arbitraryWorld, pairsOf } from "../world.arbitrary.ts";
import { compile } from "./live-plan.ts";
import type { Change, LivePlan, PeerClass, Plan } from "./plan.ts";

const hasClasses = (pod: Pod): boolean => !pod.hostNetwork && !isFinished(pod);

/** What readers keep of one pod. */
function podFacts(plan: Plan, key: string): unknown {
  const pod = plan.pods.get(key);
  if (pod === undefined || !hasClasses(pod)) return null;
  return {
    ips: pod.ips,
    node: pod.node,
    classes: directions.map((direction) => [
      plan.policyClass(pod, direction).key,
      ...families.flatMap((family) => [
        plan.podPeer(pod, family, direction).key,
        ...plan.addressDependent(pod, family, direction).map((group) => group.key),
      ]),
    ]),
  };
}

const nodeFacts = (plan: Plan): unknown =>
  [...plan.nodes.values()]
    .map((node) => [node.name, node.ips.map((ip) => directions.map((one) => plan.nodePeer(node, ip, one).key))])
    .sort();

const netFacts = (plan: Plan, direction: "ingress" | "egress"): unknown =>
  plan
    .netClasses(direction)
    .map(({ set, peer }) => `${set.key} ${peer.key}`)
    .sort();

/** All that a plan says, with contents in place of ids. */
function facts(plan: Plan): unknown {
  const keys = [...plan.pods.keys()].sort();
  return {
    pods: keys.map((key) => [key, podFacts(plan, key)]),
    nodes: nodeFacts(plan),
    nets: directions.map((direction) => netFacts(plan, direction)),
    groups: directions.map((direction) => Array.from(plan.groups(direction), ({ key }) => key).sort()),
    objects: [plan.namespaces, plan.nodes, plan.services, plan.policies].map((map) => [...map.keys()].sort()),
  };
}

const verdicts = (plan: Plan, world: World): unknown =>
  pairsOf(world).map(({ from, to, family, viaService = false }) => decisions(plan, from, to, family, { viaService }));

/** `expect` is slow, and only needed to show a difference. */
function same(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

const arbitraryHistory = arbitraryWorld().chain((world) =>
  fc.array(arbitraryChange(world), { minLength: 1, maxLength: 12 }).map((changes) => ({ world, changes })),
);

describe("apply", () => {
  test("makes the plan that a full compile of the changed world makes", () => {
    fc.assert(
      fc.property(arbitraryHistory, ({ world, changes }) => {
        const live = compile(world);
        facts(live); // whatever is remembered must be forgotten where it changes
        let now = world;
        for (const change of changes) {
          live.apply([change]);
          now = applyToWorld(now, change);
          const fresh = compile(now);
          same(facts(live), facts(fresh));
          same(verdicts(live, now), verdicts(fresh, now));
        }
      }),
      { numRuns: 80 },
    );
  });

  test("pods may share their labels and ports in memory", () => {
    fc.assert(
      fc.property(arbitraryHistory, ({ world, changes }) => {
        const pool = new Map<string, unknown>();
        const pooled = <T>(value: T): T => {
          const key = JSON.stringify(value);
          if (!pool.has(key)) pool.set(key, value);
          return pool.get(key) as T;
        };
        const shared = (pod: Pod): Pod => ({ ...pod, labels: pooled(pod.labels), ports: pooled(pod.ports) });
        const live = compile({ ...world, pods: world.pods.map(shared) });
        const plain = compile(world);
        same(facts(live), facts(plain));
        for (const change of changes) {
          const isPod = change.op === "put" && change.kind === "pod";
          live.apply([isPod ? { ...change, object: shared(change.object) } : change]);
          plain.apply([change]);
          same(facts(live), facts(plain));
        }
      }),
      { numRuns: 150 },
    );
  });

  test("says whose class, address or split may have changed", () => {
    fc.assert(
      fc.property(arbitraryHistory, ({ world, changes }) => {
        const live = compile(world);
        const keys = (): string[] => [...live.pods.keys()];
        const before = new Map(keys().map((key) => [key, podFacts(live, key)]));
        const nodes = nodeFacts(live);
        const nets = directions.map((direction) => netFacts(live, direction));
        const delta = live.apply(changes);
        for (const key of new Set([...before.keys(), ...keys()]))
          if (!delta.pods.has(key)) expect(podFacts(live, key)).toEqual(before.get(key));
        if (!delta.nodes) expect(nodeFacts(live)).toEqual(nodes);
        for (const [i, direction] of directions.entries())
          if (!delta.nets[direction]) expect(netFacts(live, direction)).toEqual(nets[i]);
      }),
      { numRuns: 300 },
    );
  });

  test("builds any world from nothing, in any order", () => {
    const everything = (world: World): Change[] => [
      ...world.nodes.map((object): Change => ({ op: "put", kind: "node", object })),
      ...world.namespaces.map((object): Change => ({ op: "put", kind: "namespace", object })),
      ...world.pods.map((object): Change => ({ op: "put", kind: "pod", object })),
      ...world.policies.map((object): Change => ({ op: "put", kind: "policy", object })),
    ];
    const shuffled = arbitraryWorld().chain((world) => {
      const changes = everything(world);
      return fc
        .shuffledSubarray(changes, { minLength: changes.length, maxLength: changes.length })
        .map((order) => ({ world, order }));
    });
    fc.assert(
      fc.property(shuffled, ({ world, order }) => {
        const live = compile({ ...emptyWorld, cluster: world.cluster });
        live.apply(order);
        expect(facts(live)).toEqual(facts(compile(world)));
      }),
      { numRuns: 200 },
    );
  });

  test("classes of equal content have groups of equal ids, whatever came and went in one call", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const live = compile(world);
        const ids = (): unknown => [
          ...directions.map((direction) =>
            [...live.pods.values()].filter(hasClasses).map((pod) => live.policyClass(pod, direction).groups),
          ),
          ...directions.map((direction) => live.netClasses(direction).map(({ peer }) => peer.groups)),
        ];
        const before = ids();
        live.apply([
          ...Array.from(live.policies.keys(), (key): Change => ({ op: "remove", kind: "policy", key })),
          ...world.policies.map((object): Change => ({ op: "put", kind: "policy", object })),
        ]);
        same(ids(), before);
      }),
      { numRuns: 100 },
    );
  });

  test("leaves nothing behind when everything is removed", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const live = compile(world);
        for (const key of live.policies.keys()) live.apply([{ op: "remove", kind: "policy", key }]);
        expect(facts(live)).toEqual(facts(compile({ ...world, policies: [] })));
        for (const direction of directions) expect([...live.groups(direction)]).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});

describe("endPeers", () => {
  const isAnybody = ({ groups, ports }: PeerClass): boolean => groups.length + ports.length === 0;

  /** One address at a time. */
  function asked(plan: Plan): unknown {
    const ends = new Map<string, readonly string[]>();
    for (const { ips } of [...plan.pods.values(), ...plan.nodes.values()]) {
      for (const text of ips) {
        const parsed = parseAddress(text);
        const end = parsed === null ? null : plan.endAt(text);
        if (parsed === null || end === null) continue;
        const peers = directions.map((direction) =>
          end.kind === "pod"
            ? plan.podPeer(end.pod, parsed.family, direction)
            : plan.nodePeer(end.node, text, direction),
        );
        if (!peers.every(isAnybody))
          ends.set(
            formatAddress(parsed),
            peers.map(({ key }) => key),
          );
      }
    }
    return [...ends].sort();
  }

  test("are those that are told when each address is asked for", () => {
    fc.assert(
      fc.property(arbitraryHistory, fc.boolean(), ({ world, changes }, ofOneNode) => {
        const live: LivePlan = compile(world, ofOneNode ? { node: "n1" } : {});
        for (const change of [null, ...changes]) {
          if (change !== null) live.apply([change]);
          const all = Array.from(live.endPeers(), ([address, peers]) => {
            same(live.peersAt(address)?.peers, peers);
            return [address, directions.map((direction) => peers[direction].key)];
          });
          same(all.sort(), asked(live));
        }
      }),
      { numRuns: 150 },
    );
  });
});
