import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Family, families } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import { compile } from "../compile/live-plan.ts";
import type { Labels } from "../model/labels.ts";
import type { NetworkPolicy } from "../model/policy.ts";
import { emptyWorld, namespacedName, type Pod, type World } from "../model/world.ts";
import { policyNamed, shopNamespace, templateNamed } from "../objects.arbitrary.ts";
import { applyToWorld, arbitraryChange, arbitraryWorld } from "../world.arbitrary.ts";
import { connectivity } from "./connectivity.ts";
import { difference } from "./difference.ts";
import { type ConnectionEntry, type Connectivity, isProblem } from "./types.ts";

/** A world and the world after a few changes of policies and labels. */
const change = arbitraryWorld().chain((before) =>
  fc
    .array(arbitraryChange(before), { minLength: 1, maxLength: 2 })
    .map((changes) => ({ before, after: changes.reduce(applyToWorld, before) })),
);

function mapOf(world: World): Connectivity {
  const map = connectivity(compile(world), { level: "pod", external: false });
  if (isProblem(map)) throw new Error(map.message);
  return map;
}

const pairs = ({ connections }: Connectivity): Map<string, ConnectionEntry> =>
  new Map(connections.map((one) => [`${one.from} ${one.to}`, one]));

/** Families of an end of a map's reference. */
function familiesOf(world: World, ref: string): readonly Family[] {
  const pod = world.pods.find((one) => namespacedName(one) === ref);
  const ips = pod?.ips ?? world.nodes.find(({ name }) => `node/${name}` === ref)?.ips ?? [];
  if (pod !== undefined && ips.length === 0) return families;
  return families.filter((family) => ips.some((ip) => ip.includes(":") === (family === "IPv6")));
}

function allowed(world: World, connection: ConnectionEntry | undefined, key: string, family: Family): PortSet {
  const [from, to] = key.split(" ") as [string, string];
  const common = familiesOf(world, from).includes(family) && familiesOf(world, to).includes(family);
  if (connection === undefined || !common) return PortSet.empty;
  return PortSet.of(connection.families?.[family] ?? connection.ports);
}

describe("difference", () => {
  test("nothing differs from itself", () => {
    fc.assert(
      fc.property(arbitraryWorld(), (world) => {
        const result = difference(compile(world), compile(world));
        expect([...result.added, ...result.removed, ...result.changed]).toEqual([]);
        expect(result.endpoints).toEqual({ added: [], removed: [] });
        expect([result.widened, result.narrowed]).toEqual([false, false]);
      }),
      { numRuns: 40 },
    );
  });

  test("is the difference of both maps, pair by pair", () => {
    fc.assert(
      fc.property(change, ({ before, after }) => {
        const result = difference(compile(before), compile(after), { level: "pod" });
        const old = pairs(mapOf(before));
        const now = pairs(mapOf(after));
        const found = new Map(
          [...result.added, ...result.removed, ...result.changed].map((one) => [`${one.from} ${one.to}`, one]),
        );
        for (const key of new Set([...old.keys(), ...now.keys()])) {
          const was = families.map((family) => allowed(before, old.get(key), key, family));
          const is = families.map((family) => allowed(after, now.get(key), key, family));
          const widened = is.map((set, i) => set.minus(was[i]!)).reduce((a, b) => a.union(b));
          const narrowed = was.map((set, i) => set.minus(is[i]!)).reduce((a, b) => a.union(b));
          const entry = found.get(key);
          expect(`${key} +${PortSet.of(entry?.widened ?? []).key}`).toBe(`${key} +${widened.key}`);
          expect(`${key} -${PortSet.of(entry?.narrowed ?? []).key}`).toBe(`${key} -${narrowed.key}`);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("backwards, what was added is removed", () => {
    fc.assert(
      fc.property(change, ({ before, after }) => {
        const there = difference(compile(before), compile(after));
        const back = difference(compile(after), compile(before));
        const keys = (list: readonly ConnectionEntry[]) => list.map(({ from, to }) => `${from} ${to}`).sort();
        expect(keys(back.added)).toEqual(keys(there.removed));
        expect(keys(back.removed)).toEqual(keys(there.added));
        expect(keys(back.changed)).toEqual(keys(there.changed));
        expect([back.widened, back.narrowed]).toEqual([there.narrowed, there.widened]);
      }),
      { numRuns: 60 },
    );
  });

  test("a range of one family does not differ in the other", () => {
    const policy: NetworkPolicy = {
      kind: "NetworkPolicy",
      metadata: { name: "web", namespace: "shop" },
      spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "203.0.113.0/24" } }] }] },
      source: null,
    };
    const pod: Pod = {
      namespace: "shop",
      name: "web",
      labels: {},
      ips: [],
      node: null,
      hostNetwork: false,
      phase: "Running",
      ports: [],
      workload: { kind: "Pod", name: "web" },
      template: false,
      replicas: null,
      source: null,
    };
    const closed: World = { ...emptyWorld, pods: [pod], policies: [{ ...policy, spec: { podSelector: {} } }] };
    const open: World = { ...closed, policies: [policy] };
    const { added, removed, changed } = difference(compile(closed), compile(open));
    expect([added.map(({ from, to }) => `${from} ${to}`), removed, changed]).toEqual([
      ["203.0.113.0/24 shop/web"],
      [],
      [],
    ]);
  });

  describe("names the policies", () => {
    const pod = (name: string, labels: Labels = {}): Pod =>
      templateNamed(name, { labels: { app: name, ...labels }, replicas: null });
    const shop = (policies: readonly NetworkPolicy[], ...pods: readonly Pod[]): World => ({
      ...emptyWorld,
      namespaces: [shopNamespace],
      pods: pods.length > 0 ? pods : [pod("web"), pod("db")],
      policies,
    });
    const deny = policyNamed("deny", { podSelector: {} });
    const allow = (port: number) =>
      policyNamed("db", { podSelector: { matchLabels: { app: "db" } }, ingress: [{ ports: [{ port }] }] });
    const toDb = (before: World, after: World) => {
      const { added, removed, changed } = difference(compile(before), compile(after));
      return [...added, ...removed, ...changed]
        .filter(({ from, to }) => from === "shop/deployment/web" && to === "shop/deployment/db")
        .map(({ widened, narrowed, policies }) => [
          widened.map(({ start }) => start),
          narrowed.map(({ start }) => start),
          policies.map(({ name }) => name),
        ]);
    };

    test("that are new, gone or changed, not those that stay", () => {
      expect(toDb(shop([deny]), shop([deny, allow(5432)]))).toEqual([[[5432], [], ["db"]]]);
      expect(toDb(shop([deny, allow(5432)]), shop([deny]))).toEqual([[[], [5432], ["db"]]]);
      expect(toDb(shop([deny, allow(5432)]), shop([deny, allow(5433)]))).toEqual([[[5433], [5432], ["db"]]]);
      expect(toDb(shop([deny]), shop([]))).toEqual([[[1, 1, 1, 0], [], ["deny"]]]);
    });

    test("that decide, where none changed but labels did", () => {
      const fromWeb = policyNamed("db", {
        podSelector: { matchLabels: { app: "db" } },
        ingress: [{ from: [{ podSelector: { matchLabels: { role: "web" } } }], ports: [{ port: 1 }] }],
      });
      const after = shop([fromWeb], pod("web", { role: "web" }), pod("db"));
      expect(toDb(shop([fromWeb]), after)).toEqual([[[1], [], ["db"]]]);
    });
  });
});
