/** The words that random worlds are written in: labels, selectors, addresses and ports, in every absent, null and empty form. */
import fc from "fast-check";
import { type Family, families, parseAddress } from "../net/address.ts";
import type { PortProtocol } from "../net/ports.ts";
import { type LabelSelector, type LabelSelectorRequirement, type Labels, namespaceNameLabel } from "./model/labels.ts";
import type { IPBlock, NetworkPolicyPort } from "./model/policy.ts";
import type { ContainerPort } from "./model/world.ts";

// ---- forms ----------------------------------------------------------------------------------------------------------

export const absent = Symbol("absent");
export type Field<T> = fc.Arbitrary<T | typeof absent>;

/** A record whose fields may be missing. */
export function object<T extends object>(fields: { readonly [K in keyof T]-?: Field<T[K]> }): fc.Arbitrary<T> {
  return fc
    .record(fields as Record<string, fc.Arbitrary<unknown>>)
    .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== absent)) as T);
}

export function weighted<T>(...choices: readonly (readonly [number, fc.Arbitrary<T> | T])[]): fc.Arbitrary<T> {
  return fc.oneof(
    ...choices.map(([weight, choice]) => ({
      weight: Math.round(weight * 100), // fast-check takes whole numbers
      arbitrary: choice instanceof fc.Arbitrary ? choice : (fc.constant(choice) as fc.Arbitrary<T>),
    })),
  );
}

/** A field that is missing, null or set; `set` is the weight of being set, against 2. */
export const maybe = <T>(arbitrary: fc.Arbitrary<T>, set = 6): Field<T | null> =>
  weighted<T | null | typeof absent>([set, arbitrary], [1, null], [1, absent]);

/** A list that is missing, null, empty or filled. */
export const list = <T>(item: fc.Arbitrary<T>, maxLength: number, filled = 8): Field<readonly T[] | null> =>
  maybe(
    weighted<readonly T[]>([filled, fc.array(item, { minLength: 1, maxLength })], [1, fc.constant<readonly T[]>([])]),
    filled,
  );

export const pick = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

// ---- labels ---------------------------------------------------------------------------------------------------------

export const podKeys = ["app", "tier", "env"] as const;
export const namespaceKeys = ["team", "env", namespaceNameLabel] as const;
export const nodeKeys = ["kubernetes.io/os", "pool"] as const;
export const namespaceNames = ["x", "y", "z"] as const;
const values: Readonly<Record<string, readonly string[]>> = {
  app: ["a", "b", ""],
  tier: ["front", "back"],
  env: ["", "prod"],
  team: ["red", "blue", ""],
  [namespaceNameLabel]: namespaceNames,
  "kubernetes.io/os": ["linux", "windows"],
  pool: ["web", "db"],
};

const label = (keys: readonly string[]): fc.Arbitrary<readonly [string, string]> =>
  pick(...keys).chain((key) => pick(...values[key]!).map((value) => [key, value] as const));

export const labels = (keys: readonly string[], maxLength: number): fc.Arbitrary<Labels> =>
  fc.array(label(keys), { maxLength }).map((pairs) => Object.fromEntries(pairs));

function requirement(keys: readonly string[]): fc.Arbitrary<LabelSelectorRequirement> {
  return pick(...keys).chain((key) => {
    const some = fc.uniqueArray(pick(...values[key]!), { minLength: 1, maxLength: 2 });
    return weighted<LabelSelectorRequirement>(
      [3, some.map((v) => ({ key, operator: "In", values: v }))],
      [4, some.map((v) => ({ key, operator: "NotIn", values: v }))],
      [2, { key, operator: "Exists" }],
      [1, { key, operator: "Exists", values: [] }],
      [2, { key, operator: "DoesNotExist", values: null }],
    );
  });
}

/** Selectors that no API server takes today, but that stored objects hold (spec A10.9, C1.4). */
const unparsableSelector: fc.Arbitrary<LabelSelector> = pick<LabelSelector>(
  { matchExpressions: [{ key: "app", operator: "Gt", values: ["1"] }] },
  { matchExpressions: [{ key: "app", operator: "in", values: ["a"] }] },
  { matchExpressions: [{ key: "app", operator: "In", values: [] }] },
  { matchExpressions: [{ key: "app", operator: "NotIn" }] },
  { matchExpressions: [{ key: "app", operator: "DoesNotExist", values: ["a"] }] },
  { matchExpressions: [{ key: "app", operator: "NotIn", values: ["not valid"] }] },
  { matchLabels: { "bad key": "a" } },
  { matchLabels: { app: "-a" } },
);

/** `all` is the weight of selecting everything, against 13. */
export const selector = (keys: readonly string[], broken: boolean, all = 4): fc.Arbitrary<LabelSelector> =>
  weighted<LabelSelector>(
    [all, {}],
    [1, { matchLabels: null, matchExpressions: [] }],
    [5, label(keys).map(([key, value]) => ({ matchLabels: { [key]: value } }))],
    [5, requirement(keys).map((one) => ({ matchExpressions: [one] }))],
    [
      2,
      object<LabelSelector>({
        matchLabels: maybe(labels(keys, 2), 2),
        matchExpressions: list(requirement(keys), 2, 2),
      }),
    ],
    [broken ? 0.5 : 0, unparsableSelector],
  );

// ---- addresses ------------------------------------------------------------------------------------------------------

/** The addresses of the pod slot `slot`; the CIDR alphabet below knows those of the first slots. */
export const podIPv4 = (slot: number): string => `10.244.${(slot % 2) + 1}.${10 + slot}`;
export const podIPv6 = (slot: number): string => `fd00:244:${(slot % 2) + 1}::${(10 + slot).toString(16)}`;

export const cidrs: Readonly<Record<Family, readonly string[]>> = {
  IPv4: [
    "0.0.0.0/0",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.244.0.0/16",
    "10.244.0.0/16",
    "10.244.1.0/24",
    "10.244.1.77/24", // host bits (spec A11.5)
    "010.244.002.0/24", // leading zeros (A11.6)
    "10.244.2.0/024",
    "10.244.1.10/32",
    "10.244.2.11/31",
    "::ffff:10.244.0.0/112", // IPv4-mapped (A11.7)
    "::ffff:10.244.1.10/128",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "172.18.0.0/16",
    "172.18.0.11/32",
    "192.0.2.0/24",
    "203.0.113.0/24",
    "203.0.113.9/32",
  ],
  IPv6: [
    "::/0",
    "::/0",
    "fd00::/8",
    "fd00:244::/32",
    "fd00:244:1::/64",
    "FD00:0244:0002:0::5/64",
    "fd00:244:1::a/128",
    "fd00:244:2::b/127",
    "fd00:18::/64",
    "fd00:18::b/128",
    "2001:db8::/32",
    "2001:db8::9/128",
    "::ffff:0.0.0.0/90", // wider than the mapped range: an IPv6 network
  ],
};

/** Addresses outside: no pod slot and no node has one of these. */
export const externalAddresses = [
  "203.0.113.9",
  "198.51.100.7",
  "10.244.1.200",
  "10.9.9.9",
  "2001:db8::9",
  "2001:db8:ffff::1",
  "fd00:244:1::ffff",
] as const;

export const familyOf = (address: string): Family => parseAddress(address)!.family;

export const ipBlock: fc.Arbitrary<IPBlock> = pick(...families).chain((family) =>
  object<IPBlock>({
    cidr: weighted<string>([4, pick(...cidrs[family])], [2, cidrs[family][0]!]),
    except: list(weighted<string>([9, pick(...cidrs[family].slice(2))], [1, pick(...cidrs.IPv4, ...cidrs.IPv6)]), 3, 2),
  }),
);

// ---- ports ----------------------------------------------------------------------------------------------------------

export const portNames = ["web", "dns", "sig"] as const;
export const portNumbers = [1, 53, 79, 80, 81, 443, 8080, 9003, 65535] as const;

export const containerPorts: readonly ContainerPort[] = [
  { name: "web", number: 80, protocol: "TCP" },
  { name: "web", number: 8080, protocol: "TCP" },
  { name: "web", number: 80, protocol: "UDP" },
  { name: "dns", number: 53, protocol: "UDP" },
  { name: "dns", number: 53, protocol: "TCP" },
  { name: "sig", number: 9003, protocol: "SCTP" },
];

export const protocol: fc.Arbitrary<PortProtocol> = weighted<PortProtocol>([4, "TCP"], [3, "UDP"], [2, "SCTP"]);

export const range = fc
  .tuple(pick(...portNumbers), pick(...portNumbers))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));

export const networkPolicyPort = (broken: boolean): fc.Arbitrary<NetworkPolicyPort> =>
  weighted<NetworkPolicyPort>(
    [broken ? 0.3 : 0, pick<NetworkPolicyPort>({ endPort: 90 }, { port: "web", endPort: 90 }, { protocol: "ICMP" })],
    [1, {}],
    [
      1,
      object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(null, absent), endPort: pick(null, absent) }),
    ],
    [
      5,
      object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(...portNumbers), endPort: pick(null, absent) }),
    ],
    [
      4,
      object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(...portNames), endPort: pick(null, absent) }),
    ],
    [
      4,
      fc
        .tuple(
          object<NetworkPolicyPort>({ protocol: maybe(protocol), port: pick(absent), endPort: pick(absent) }),
          range,
        )
        .map(([one, { start, end }]) => ({ ...one, port: start, endPort: end })),
    ],
  );
