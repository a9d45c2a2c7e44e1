/** Laws that hold whatever a world says, in case both evaluators share a mistake: no verdict is written down here. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NetworkPolicy, Policy } from "../../src/policy/model/policy.ts";
import type { Flow, Verdict } from "../../src/policy/model/verdict.ts";
import type { World } from "../../src/policy/model/world.ts";
import { arbitraryFlow, arbitraryWorld } from "../../src/policy/world.arbitrary.ts";
import { evaluators } from "./evaluators.ts";

const asked = (world: fc.Arbitrary<World>): fc.Arbitrary<readonly [World, readonly Flow[]]> =>
  world.chain((one) => fc.tuple(fc.constant(one), fc.array(arbitraryFlow(one), { minLength: 8, maxLength: 8 })));

const anyWorld = asked(arbitraryWorld());
const numRuns = 80;

/** All but the reasons, whose rule indexes a change of the policies moves. */
const outcome = ({ allowed, egress, ingress }: Verdict) => ({
  allowed,
  decided: [egress, ingress].map(({ verdict, tier, exempt }) => ({ verdict, tier, exempt })),
});

const isNetworkPolicy = (policy: Policy): policy is NetworkPolicy => policy.kind === "NetworkPolicy";

/** The world with its NetworkPolicies changed. */
const withNetworkPolicies = (world: World, change: (policy: NetworkPolicy) => Policy | null): World => ({
  ...world,
  policies: world.policies.flatMap((policy) => (isNetworkPolicy(policy) ? (change(policy) ?? []) : [policy])),
});

describe.each(evaluators)("$name", ({ open }) => {
  test("the order of objects means nothing (A4.1, A18.1)", () => {
    fc.assert(
      fc.property(anyWorld, ([world, flows]) => {
        const turned = {
          ...world,
          policies: world.policies.toReversed(),
          pods: world.pods.toReversed(),
          namespaces: world.namespaces.toReversed(),
          nodes: world.nodes.toReversed(),
        };
        const [plain, other] = [open(world), open(turned)];
        for (const flow of flows) expect(other(flow)).toEqual(plain(flow));
      }),
      { numRuns },
    );
  });

  test("one more rule of a NetworkPolicy takes nothing away (A4.1)", () => {
    fc.assert(
      fc.property(asked(arbitraryWorld({ kinds: ["NetworkPolicy"] })), ([world, flows]) => {
        // Types are kept as they were: a first egress rule would else isolate (A2.1).
        const wider = withNetworkPolicies(world, (policy) => {
          const egress = policy.spec?.egress ?? [];
          const given = policy.spec?.policyTypes ?? [];
          const policyTypes = given.length > 0 ? given : egress.length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
          const extra = { ports: [{ protocol: "UDP", port: 53 }] };
          const ingress = [...(policy.spec?.ingress ?? []), extra];
          return { ...policy, spec: { ...policy.spec, policyTypes, ingress, egress: [...egress, extra] } };
        });
        const [plain, more] = [open(world), open(wider)];
        for (const flow of flows) if (plain(flow).allowed) expect(more(flow).allowed).toBe(true);
      }),
      { numRuns },
    );
  });

  test("a NetworkPolicy twice, under two names, is one (A4.1)", () => {
    fc.assert(
      fc.property(anyWorld, ([world, flows]) => {
        const copies = world.policies
          .filter(isNetworkPolicy)
          .map((policy) => ({ ...policy, metadata: { ...policy.metadata, name: `${policy.metadata.name}-copy` } }));
        const [plain, twice] = [open(world), open({ ...world, policies: [...world.policies, ...copies] })];
        for (const flow of flows) expect(outcome(twice(flow))).toEqual(outcome(plain(flow)));
      }),
      { numRuns },
    );
  });

  test("without policies everything is allowed, and with them only pods are judged (A3.2, A5.2, A7)", () => {
    fc.assert(
      fc.property(anyWorld, ([world, flows]) => {
        const [plain, free] = [open(world), open({ ...world, policies: [] })];
        for (const flow of flows) {
          expect(free(flow).allowed).toBe(true);
          const { egress, ingress } = plain(flow);
          if (flow.from.kind !== "pod") expect(egress).toMatchObject({ verdict: "allow", exempt: "no-pod" });
          if (flow.to.kind !== "pod") expect(ingress).toMatchObject({ verdict: "allow", exempt: "no-pod" });
          if (flow.from === flow.to && flow.viaService !== true) expect(egress.verdict).toBe("allow");
        }
      }),
      { numRuns },
    );
  });

  test("an Admin policy that accepts or denies everybody has the last word (C3.8)", () => {
    const first = (action: string): Policy => ({
      kind: "ClusterNetworkPolicy",
      metadata: { namespace: "", name: "0" }, // before all names of the worlds
      spec: {
        tier: "Admin",
        priority: 0,
        subject: { namespaces: {} },
        ingress: [{ action, from: [{ namespaces: {} }] }],
        egress: [{ action, to: [{ namespaces: {} }] }],
      },
      source: null,
    });
    fc.assert(
      fc.property(anyWorld, ([world, flows]) => {
        const among = (policy: Policy) => open({ ...world, policies: [...world.policies, policy] });
        const [accepting, denying] = [among(first("Accept")), among(first("Deny"))];
        for (const flow of flows) {
          const podToPod = flow.from.kind === "pod" && flow.to.kind === "pod";
          if (!podToPod || (flow.from === flow.to && flow.viaService !== true)) continue;
          expect(accepting(flow)).toMatchObject({
            allowed: true,
            egress: { tier: "Admin" },
            ingress: { tier: "Admin" },
          });
          expect(denying(flow)).toMatchObject({
            allowed: false,
            egress: { tier: "Admin" },
            ingress: { tier: "Admin" },
          });
        }
      }),
      { numRuns },
    );
  });
});
