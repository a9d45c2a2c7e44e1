import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PortSet } from "../../net/ports.ts";
import { compile } from "../compile/live-plan.ts";
import { allowedPorts } from "../evaluate/evaluate.ts";
import type { Policy, PolicyKind } from "../model/policy.ts";
import { emptyWorld, type Pod } from "../model/world.ts";
import { podNamed } from "../objects.arbitrary.ts";
import { arbitraryPolicy } from "../policies.arbitrary.ts";
import { arbitraryWorld, pairsOf } from "../world.arbitrary.ts";
import { decodePolicy, formatFieldError } from "./index.ts";
import { apiVersionOf } from "./kinds.ts";
import { decodeStored } from "./stored.ts";

const kinds: readonly PolicyKind[] = [
  "NetworkPolicy",
  "ClusterNetworkPolicy",
  "AdminNetworkPolicy",
  "BaselineAdminNetworkPolicy",
];

type Json = Record<string, unknown>;

/** As the API server has it. */
const stored = ({ kind, metadata, spec }: Policy): Json =>
  JSON.parse(
    JSON.stringify({
      apiVersion: apiVersionOf(kind),
      kind,
      metadata: {
        ...metadata,
        uid: "u",
        resourceVersion: "5",
        generation: 3,
        newInKubernetes: true,
        managedFields: "?",
      },
      spec,
      status: { conditions: [{ type: "x" }] },
    }),
  ) as Json;

/** Every object and list of a spec, with its depth. */
function placesOf(value: unknown): (Json | unknown[])[] {
  if (typeof value !== "object" || value === null) return [];
  return [value as Json, ...Object.values(value).flatMap(placesOf)];
}

/** Label maps have no fields: any key is a label there. */
const isLabelMap = (place: object, spec: unknown): boolean =>
  placesOf(spec).some((above) => !Array.isArray(above) && above["matchLabels"] === place);

describe("stored policies", () => {
  test("that are valid are what they are, whatever else is in the object", () => {
    fc.assert(
      fc.property(arbitraryPolicy({ kinds, notUnderstood: false }), (policy) => {
        const object = stored(policy);
        const { policy: valid, errors } = decodePolicy({ ...object, metadata: policy.metadata, status: undefined });
        fc.pre(errors.length === 0);
        const read = decodeStored(object, policy.kind);
        expect(read.policy.spec).toEqual(valid!.spec);
        expect(read.policy.metadata).toEqual({
          name: policy.metadata.name,
          namespace: policy.metadata.namespace,
          uid: "u",
        });
        expect(read.errors.map(formatFieldError).filter((message) => !message.includes("domainNames"))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test.each(kinds)("a %s of which something is not understood allows nothing that it did not allow", (kind) => {
    fc.assert(
      fc.property(
        arbitraryWorld({ maxPods: 4, maxNodes: 1, kinds, maxPolicies: 0 }),
        arbitraryPolicy({ kinds: [kind], notUnderstood: false }),
        fc.nat(),
        fc.boolean(),
        (world, policy, at, isNew) => {
          const object = stored(policy);
          const places = placesOf(object["spec"]).filter((place) => !isLabelMap(place, object["spec"]));
          const spots = places.flatMap((place) =>
            isNew
              ? Array.isArray(place)
                ? []
                : [[place, "moon"] as const]
              : Object.keys(place).map((key) => [place, key] as const),
          );
          fc.pre(spots.length > 0);
          const [place, key] = spots[at % spots.length]!;
          fc.pre(key !== "tier"); // an unknown tier is not enforced: C12.3
          (place as Json)[key] = true; // a value that no field of a policy has
          const read = decodeStored(object, kind);
          expect(read.errors).not.toEqual([]);
          expect(read.policy.kind).toBe(kind);
          const before = compile({ ...world, policies: [policy] });
          const after = compile({ ...world, policies: [read.policy] });
          for (const { from, to, family } of pairsOf(world)) {
            const opened = allowedPorts(after, from, to, family).minus(allowedPorts(before, from, to, family));
            expect(opened.key).toBe(PortSet.empty.key);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test("CIDRs of older servers keep their meaning", () => {
    const spec = { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: "010.1.2.3/8" } }] }] };
    const object = { metadata: { name: "old", namespace: "x" }, spec };
    expect(decodeStored(object, "NetworkPolicy")).toMatchObject({ policy: { spec }, errors: [] });
  });

  test.each<[string, PolicyKind, unknown, unknown]>([
    [
      "a field of a peer",
      "NetworkPolicy",
      { podSelector: {}, ingress: [{ from: [{ podSelector: {} }, { podSelector: {}, domain: "x" }] }] },
      { podSelector: {}, ingress: [{ from: [{ podSelector: {} }, {}] }] },
    ],
    [
      "a field of a rule",
      "NetworkPolicy",
      { podSelector: {}, ingress: [{ form: [] }, {}] },
      { podSelector: {}, ingress: [{ from: [{}] }, {}] },
    ],
    [
      "a field of a port",
      "NetworkPolicy",
      { podSelector: {}, egress: [{ ports: [{ port: 80 }, { port: 81, name: "x" }] }] },
      { podSelector: {}, egress: [{ ports: [{ port: 80 }, { protocol: "" }] }] },
    ],
    [
      "a direction",
      "NetworkPolicy",
      { podSelector: {}, policyTypes: ["Sideways"] },
      { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    ],
    [
      "a peer of a cluster rule",
      "ClusterNetworkPolicy",
      { tier: "Admin", priority: 1, subject: { namespaces: {} }, egress: [{ action: "Deny", to: [{ moon: {} }] }] },
      { tier: "Admin", priority: 1, subject: { namespaces: {} }, egress: [{ action: "Deny", to: [{}] }] },
    ],
    [
      "the subject's pods",
      "ClusterNetworkPolicy",
      { tier: "Admin", priority: 1, subject: { pods: { namespaceSelector: {}, podSelector: { match: 1 } } } },
      {
        tier: "Admin",
        priority: 1,
        subject: { pods: { namespaceSelector: {}, podSelector: { matchExpressions: [{ key: "", operator: "" }] } } },
      },
    ],
  ])("%s is closed, and nothing else", (_, kind, spec, expected) => {
    const metadata = { name: "default", namespace: kind === "NetworkPolicy" ? "x" : "" };
    expect(decodeStored({ metadata, spec }, kind).policy.spec).toEqual(expected);
  });

  test("what schemas don't check is reported: selectors that don't parse, names that nobody resolves", () => {
    const spec = {
      tier: "Admin",
      priority: 1,
      subject: { namespaces: { matchLabels: { "a b": "c" } } },
      egress: [{ action: "Accept", to: [{ domainNames: ["example.com"] }] }],
    };
    const { errors } = decodeStored({ metadata: { name: "a" }, spec }, "ClusterNetworkPolicy");
    expect(errors.map(formatFieldError)).toEqual([
      expect.stringContaining('spec.subject.namespaces.matchLabels: Invalid value: "a b"'),
      expect.stringContaining("names are not resolved"),
    ]);
  });

  test("an object of which nothing can be read still closes its namespace", () => {
    for (const spec of ["?", 7, [], null, undefined, { podSelector: "?" }]) {
      const { policy, errors } = decodeStored({ metadata: { name: "a", namespace: "x" }, spec }, "NetworkPolicy");
      const isAbsent = spec === null || spec === undefined;
      expect(errors.length > 0).toBe(!isAbsent);
      expect(policy.metadata).toMatchObject({ name: "a", namespace: "x" });
      const pods = [podNamed("from", { namespace: "y" }), podNamed("to", { namespace: "x" })] as const;
      const plan = compile({ ...emptyWorld, pods, policies: [policy] });
      const end = (pod: Pod) => ({ kind: "pod", pod }) as const;
      expect(allowedPorts(plan, end(pods[0]), end(pods[1]), "IPv4").isEmpty).toBe(true);
    }
  });
});
