/** Random maps for property tests: few endpoints and port sets, so that groups, crowds and whole namespaces are common. */
import fc from "fast-check";
import { apiVersion, type Connectivity, type EndpointEntry, type Ports } from "../policy/analyze/types.ts";

const portSets: readonly Ports[] = [
  [
    { protocol: "TCP", start: 1, end: 65535 },
    { protocol: "UDP", start: 1, end: 65535 },
    { protocol: "SCTP", start: 1, end: 65535 },
    { protocol: "other", start: 0, end: 0 },
  ],
  [{ protocol: "TCP", start: 80, end: 80 }],
];

const endpoint = (ref: string, kind: EndpointEntry["kind"], namespace: string): EndpointEntry => ({
  ref,
  kind,
  namespace,
  name: ref,
  ips: [],
  labels: {},
});

const isOutside = ({ kind }: EndpointEntry): boolean => kind === "cidr" || kind === "node";

/** Each endpoint belongs to a role, and what is allowed depends mostly on the roles. */
export const arbitraryMap: fc.Arbitrary<Connectivity> = fc
  .record({
    sizes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
    outside: fc.integer({ min: 0, max: 2 }),
    roles: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 20, maxLength: 20 }),
    rules: fc.array(fc.integer({ min: -2, max: 1 }), { minLength: 16, maxLength: 16 }),
    noise: fc.array(fc.tuple(fc.nat(19), fc.nat(19), fc.integer({ min: -1, max: 1 })), { maxLength: 4 }),
  })
  .map(({ sizes, outside, roles, rules, noise }) => {
    const endpoints = [
      ...sizes.flatMap((size, ns) =>
        Array.from({ length: size }, (_, i) => endpoint(`ns${ns}/deployment/w${i}`, "workload", `ns${ns}`)),
      ),
      ...Array.from({ length: outside }, (_, i) => endpoint(`10.${i}.0.0/16`, "cidr", "")),
      endpoint("node/a", "node", ""),
    ];
    const allowed = (a: number, b: number): Ports | undefined => {
      const exception = noise.find(([x, y]) => x === a && y === b);
      return portSets[exception?.[2] ?? rules[roles[a]! * 4 + roles[b]!]!];
    };
    const connections = endpoints.flatMap((from, a) =>
      endpoints.flatMap((to, b) => {
        const ports = allowed(a, b);
        return a === b || ports === undefined || (isOutside(from) && isOutside(to))
          ? []
          : [{ from: from.ref, to: to.ref, ports }];
      }),
    );
    return { apiVersion, kind: "Connectivity", level: "workload", endpoints, connections, notes: [] };
  });
