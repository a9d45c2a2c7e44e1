/** The cluster's addresses. Each cluster is a network of its own, so all of them have the same. */

export type Families = "dual" | "ipv4" | "ipv6";

/** The part of each range that a cluster of these families has, in its order. */
const pick = (families: Families, v4: string, v6: string): readonly string[] =>
  families === "dual" ? [v4, v6] : families === "ipv4" ? [v4] : [v6];

/** `index`: 0 is the control plane's machine, nodes count from 1 (to 99). */
export const machineAddresses = (families: Families, index: number): readonly string[] =>
  pick(families, `172.30.0.${index + 1}`, `fd00:30::${index + 1}`);

/** With their prefix lengths, both families: the machines' own network always has both. */
export const machineInterface = (index: number): readonly string[] => [
  `172.30.0.${index + 1}/24`,
  `fd00:30::${index + 1}/64`,
];

export const podCIDRs = (families: Families, node: number): readonly string[] =>
  pick(families, `10.244.${node}.0/24`, `fd00:244:0:${node}::/64`);

export const clusterCIDRs = (families: Families): readonly string[] => pick(families, "10.244.0.0/16", "fd00:244::/48");

export const serviceCIDRs = (families: Families): readonly string[] => pick(families, "10.96.0.0/16", "fd00:96::/112");

export const dnsAddress = (families: Families): string => pick(families, "10.96.0.10", "fd00:96::a")[0]!;

export const inUrl = (address: string): string => (address.includes(":") ? `[${address}]` : address);
