import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCidr } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import { compile } from "../compile/live-plan.ts";
import type { Plan } from "../compile/plan.ts";
import type { Labels } from "../model/labels.ts";
import { type NetworkPolicySpec, type Policy, policyRef } from "../model/policy.ts";
import { directions } from "../model/verdict.ts";
import { emptyWorld, type Pod, type World } from "../model/world.ts";
import { clusterPolicyNamed, podNamed, policyNamed, shopNamespace, templateNamed } from "../objects.arbitrary.ts";
import { arbitraryWorld } from "../world.arbitrary.ts";
import { type AskOptions, ask } from "./ask.ts";
import { endPods } from "./brute-force.arbitrary.ts";
import { applyChange, type Draft, draft } from "./edits.ts";
import { explain } from "./explain.ts";
import type { Reference } from "./reference.ts";
import { resolveReference } from "./resolve.ts";
import { clusterRule, networkPolicyRule, targetOf } from "./rule-forms.ts";
import { type Answer, type Explanation, isProblem } from "./types.ts";

function references(world: World): readonly Reference[] {
  return [
    ...endPods(world).map(({ namespace, name }): Reference => ({ kind: "pod", namespace, name })),
    ...endPods(world).map(({ namespace, name }): Reference => ({ kind: "pod", namespace, name })),
    ...world.nodes.filter(({ ips }) => ips.length > 0).map(({ name }): Reference => ({ kind: "node", name })),
    { kind: "addresses", cidr: parseCidr("203.0.113.9/32")!.cidr },
    { kind: "addresses", cidr: parseCidr("2001:db8::9/128")!.cidr },
  ];
}

const points = [
  PortSet.single("TCP", 80),
  PortSet.single("TCP", 8080),
  PortSet.single("UDP", 53),
  PortSet.single("SCTP", 9003),
  PortSet.protocol("other"),
];

const question = (sets: readonly PortSet[]) =>
  arbitraryWorld()
    .filter((world) => endPods(world).length > 1)
    .chain((world) =>
      fc.record({
        world: fc.constant(world),
        from: fc.constantFrom(...references(world)),
        to: fc.constantFrom(...references(world)),
        port: fc.constantFrom(...sets).map((set) => ({ kind: "set" as const, set })),
        family: fc.constantFrom("IPv4" as const, "IPv6" as const),
      }),
    );

function explained(plan: Plan, options: AskOptions): Explanation | null {
  const result = explain(plan, options);
  return isProblem(result) ? null : result;
}

function answerAfter(world: World, options: AskOptions, edits: readonly Draft[]): Answer {
  const answer = ask(compile(applyChange(world, edits)), options);
  if (isProblem(answer)) throw new Error(answer.message);
  return answer;
}

/** Every removal of one rule, peer or port, and the asked put into every place of every policy that has rules. */
function singleEdits(world: World, options: AskOptions, ports: PortSet): readonly Draft[] {
  const plan = compile(world);
  return world.policies.flatMap((policy) =>
    directions.flatMap((direction) => {
      const rules: readonly object[] = policy.spec?.[direction] ?? [];
      const other = resolveReference(plan, direction === "ingress" ? options.from : options.to);
      if (isProblem(other) || rules.length === 0) return [];
      const target = targetOf(plan, other, other.ends[0]!);
      const ref = policyRef(policy);
      const added = target === null ? [] : valuesFor(policy, direction, target, ports);
      return [
        ...rules.flatMap((rule, i) => [
          draft("remove-rule", ref, ["spec", direction, i]),
          ...Object.entries(rule).flatMap(([field, list]) =>
            (field === "from" || field === "to" || field === "ports") && Array.isArray(list) && list.length > 1
              ? list.map((_, j) =>
                  draft(field === "ports" ? "remove-port" : "remove-peer", ref, ["spec", direction, i, field, j]),
                )
              : [],
          ),
        ]),
        ...[...rules.keys(), rules.length].flatMap((i) =>
          added.map((value) => draft("add-rule", ref, ["spec", direction, i], value)),
        ),
      ];
    }),
  );
}

function valuesFor(
  policy: Policy,
  direction: "ingress" | "egress",
  target: NonNullable<ReturnType<typeof targetOf>>,
  ports: PortSet,
) {
  const { kind } = policy;
  if (kind === "NetworkPolicy") return [networkPolicyRule(target, ports, direction, policy.metadata.namespace)];
  return (["Accept", "Deny", "Pass"] as const).flatMap(
    (action) => clusterRule(kind, action, target, ports, direction) ?? [],
  );
}

const turned = (before: Answer, after: Answer): boolean => (before.allowed ? !after.partly : after.allowed);

describe("explain", () => {
  test("the change turns the answer round", () => {
    let changes = 0;
    fc.assert(
      fc.property(question(points), ({ world, ...options }) => {
        const before = explained(compile(world), options);
        if (before === null || before.change.length === 0) return;
        changes++;
        const after = answerAfter(world, options, before.change);
        expect(turned({ ...before, kind: "Verdict" }, after)).toBe(true);
        for (const list of before.alternatives)
          expect(turned({ ...before, kind: "Verdict" }, answerAfter(world, options, list))).toBe(true);
      }),
      { numRuns: 250 },
    );
    expect(changes).toBeGreaterThan(50);
  });

  test("no single edit does what takes several", () => {
    fc.assert(
      fc.property(question([...points, PortSet.allPorts]), ({ world, ...options }) => {
        const before = explained(compile(world), options);
        if (before === null || before.change.length < 2) return;
        for (const edit of singleEdits(world, options, options.port.set))
          if (turned({ ...before, kind: "Verdict" }, answerAfter(world, options, [edit])))
            expect([JSON.stringify(edit), before.change.map(({ text }) => text)]).toBe("no such edit");
      }),
      { numRuns: 300 },
    );
  });

  test("also where the pairs of a question are decided by policies of different tiers", () => {
    const denies = (name: string, tier: string, cidr: string): Policy =>
      clusterPolicyNamed(name, { tier, egress: [{ action: "Deny", to: [{ networks: [cidr] }] }] });
    const world: World = {
      ...emptyWorld,
      nodes: [{ name: "n2", labels: {}, ips: ["172.18.0.12", "192.0.2.12"], podCIDRs: [], source: null }],
      namespaces: [shopNamespace],
      pods: [podNamed("web", { ips: ["10.244.1.2"], node: "n1" })],
      policies: [denies("admin", "Admin", "192.0.2.0/24"), denies("base", "Baseline", "172.18.0.0/16")],
    };
    const before = explained(compile(world), {
      from: { kind: "pod", namespace: "shop", name: "web" },
      to: { kind: "node", name: "n2" },
      port: { kind: "set", set: PortSet.single("TCP", 80) },
      family: "IPv4",
    });
    expect(before!.change.map(({ text }) => text)).toEqual([
      "insert before egress rule 0 of ClusterNetworkPolicy admin: Accept to node/n2 on 80/TCP",
    ]);
  });

  test("on many ports too", () => {
    const sets = [PortSet.allPorts, PortSet.of([{ protocol: "TCP", start: 79, end: 8080 }])];
    fc.assert(
      fc.property(question(sets), ({ world, ...options }) => {
        const before = explained(compile(world), options);
        if (before === null || before.change.length === 0) return;
        expect(turned({ ...before, kind: "Verdict" }, answerAfter(world, options, before.change))).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test("of sets too, where a short change exists", () => {
    const sets = (world: World): readonly Reference[] => [
      { kind: "pods", namespace: null },
      { kind: "external" },
      ...[...new Set(endPods(world).map(({ namespace }) => namespace))].map(
        (namespace): Reference => ({
          kind: "pods",
          namespace,
        }),
      ),
    ];
    const asked = arbitraryWorld()
      .filter((world) => endPods(world).length > 1)
      .chain((world) =>
        fc.record({
          world: fc.constant(world),
          from: fc.constantFrom(...sets(world), ...references(world)),
          to: fc.constantFrom(...sets(world)),
          port: fc.constantFrom(...points).map((set) => ({ kind: "set" as const, set })),
        }),
      );
    fc.assert(
      fc.property(asked, ({ world, ...options }) => {
        const before = explained(compile(world), options);
        if (before === null || before.change.length === 0) return;
        expect(turned({ ...before, kind: "Verdict" }, answerAfter(world, options, before.change))).toBe(true);
      }),
      { numRuns: 80 },
    );
  });

  test("what no policy decides can't be changed by one", () => {
    fc.assert(
      fc.property(question(points), ({ world, ...options }) => {
        const before = explained(compile(world), options);
        if (before === null || before.unchangeable === undefined) return;
        expect(before.change).toEqual([]);
        if (before.unchangeable !== "no-expression")
          expect([before.egress.exempt, before.ingress.exempt]).not.toContain(null);
      }),
      { numRuns: 150 },
    );
  });

  describe("proposes what opens or closes least", () => {
    const pod = (name: string, labels: Labels): Pod => templateNamed(name, { labels: { app: name, ...labels } });
    const shop = (...policies: readonly Policy[]): World => ({
      ...emptyWorld,
      namespaces: [shopNamespace],
      pods: [pod("web", { "pod-template-hash": "5d4" }), pod("api", {}), pod("db", {})],
      policies,
    });
    const changeOf = (world: World, from: string, to: string) => {
      const end = (name: string): Reference => ({ kind: "pod", namespace: "shop", name });
      const port = { kind: "set" as const, set: PortSet.single("TCP", 5432) };
      return explained(compile(world), { from: end(from), to: end(to), port })!.change;
    };
    const denyAll = policyNamed("deny", { podSelector: {} });
    const toDb = (peers: readonly string[], ports: readonly number[]): NetworkPolicySpec => ({
      podSelector: { matchLabels: { app: "db" } },
      ingress: [
        {
          from: peers.map((app) => ({ podSelector: { matchLabels: { app } } })),
          ports: ports.map((port) => ({ port })),
        },
      ],
    });

    test("a policy of its own rather than a rule for the whole namespace", () => {
      const [edit] = changeOf(shop(denyAll), "web", "db");
      expect(edit).toMatchObject({
        op: "add-policy",
        policy: { name: "db-from-web" },
        value: {
          spec: {
            podSelector: { matchLabels: { app: "db" } },
            policyTypes: ["Ingress"],
            ingress: [
              { from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ protocol: "TCP", port: 5432 }] },
            ],
          },
        },
      });
    });

    test("a peer where the ports are there, a port where the peer is, else a rule", () => {
      const world = (...of: Parameters<typeof toDb>) => shop(denyAll, policyNamed("db", toDb(...of)));
      expect(changeOf(world(["api"], [5432]), "web", "db")).toMatchObject([
        {
          op: "add-peer",
          path: "spec.ingress[0].from",
          text: "add shop/web to the peers of ingress rule 0 of NetworkPolicy shop/db",
        },
      ]);
      expect(changeOf(world(["web"], [80]), "web", "db")).toMatchObject([
        { op: "add-port", path: "spec.ingress[0].ports", value: { protocol: "TCP", port: 5432 } },
      ]);
      expect(changeOf(world(["api"], [80]), "web", "db")).toMatchObject([{ op: "add-rule", path: "spec.ingress[1]" }]);
    });

    test("one of several peers goes, not the rule", () => {
      const world = shop(policyNamed("db", toDb(["api", "web"], [5432])));
      expect(changeOf(world, "web", "db")).toMatchObject([{ op: "remove-peer", path: "spec.ingress[0].from[1]" }]);
    });

    test("both rules that allow go, where nothing less does", () => {
      const everywhere = { podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Egress"], egress: [{}] };
      const world = shop(
        policyNamed("a", toDb(["web"], [5432])),
        policyNamed("b", toDb(["api", "web"], [5432])),
        policyNamed("c", everywhere),
        policyNamed("d", everywhere),
      );
      expect(
        changeOf(world, "web", "db")
          .map(({ op, policy: { name } }) => `${op} ${name}`)
          .sort(),
      ).toEqual(["remove-peer b", "remove-rule a"]);
    });

    test("what nothing isolates is isolated", () => {
      expect(changeOf(shop(), "web", "db")).toMatchObject([{ op: "add-policy", policy: { name: "db-deny-ingress" } }]);
    });

    test("a cluster rule that denies is passed just before it", () => {
      const world = shop(
        clusterPolicyNamed("guard", {
          ingress: [
            { action: "Accept", from: [{ namespaces: { matchLabels: { none: "such" } } }] },
            { action: "Deny", from: [{ namespaces: {} }] },
          ],
        }),
      );
      expect(changeOf(world, "web", "db")).toMatchObject([
        { op: "add-rule", path: "spec.ingress[1]", value: { action: "Pass" } },
      ]);
    });
  });
});
