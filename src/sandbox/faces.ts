/** Who can open connections to whom in a world, address by address. */
import {
  type Address,
  AddressSet,
  type Family,
  families,
  formatAddress,
  parseAddress,
  parseCidr,
} from "../net/address.ts";
import { addressClasses, externalAddresses } from "../policy/analyze/endpoint.ts";
import type { PeerClass, Plan } from "../policy/compile/plan.ts";
import type { Direction, End } from "../policy/model/verdict.ts";
import { isFinished, namespacedName, type World } from "../policy/model/world.ts";

/** One address of a pod, of a node, or of the outside. */
export interface Face {
  readonly end: End;
  readonly family: Family;
  readonly address: string;
  /** As a reference: `shop/web-0`, `node/n1`, `203.0.113.9`. */
  readonly ref: string;
  /** What the matrix shows it under: the workload, the node, the class of outside addresses. */
  readonly group: string;
  /** How it looks to rules of the other end. */
  readonly peers: Readonly<Record<Direction, PeerClass>>;
}

const familyOf = (address: string): Family | null => parseAddress(address)?.family ?? null;

/**
 * Addresses that an ordinary socket cannot dial, or that a host does not route: "this network", IPv4 inside IPv6 (dialled as
 * IPv4), link-local IPv6 (needs an interface).
 */
const undialable = AddressSet.ofCidrs(
  ["0.0.0.0/8", "::/96", "::ffff:0:0/96", "fe80::/10"].map((text) => parseCidr(text)!.cidr),
);

/** Every pod, every address of every node, and of every class of outside addresses that policies tell apart the first and last. */
export function facesOf(plan: Plan, world: World, wanted: readonly Family[] = families): Face[] {
  const out: Face[] = [];
  for (const pod of world.pods) {
    if (pod.hostNetwork || isFinished(pod)) continue;
    for (const address of pod.ips) {
      const family = familyOf(address);
      if (family === null || !wanted.includes(family)) continue;
      const peers = { egress: plan.podPeer(pod, family, "egress"), ingress: plan.podPeer(pod, family, "ingress") };
      const { kind, name } = pod.workload;
      const group = `${pod.namespace}/${kind === "Pod" ? "" : `${kind.toLowerCase()}/`}${name}`;
      out.push({ end: { kind: "pod", pod }, family, address, ref: namespacedName(pod), group, peers });
    }
  }
  for (const node of world.nodes) {
    for (const address of node.ips) {
      const family = familyOf(address);
      if (family === null || !wanted.includes(family)) continue;
      const peers = {
        egress: plan.nodePeer(node, address, "egress"),
        ingress: plan.nodePeer(node, address, "ingress"),
      };
      const ref = `node/${node.name}`;
      // Asked address by address: policies may tell the addresses of one node apart.
      out.push({ end: { kind: "node", node: { ...node, ips: [address] } }, family, address, ref, group: ref, peers });
    }
  }
  const outside = externalAddresses(plan).minus(undialable);
  for (const { set, peers } of addressClasses(plan)) {
    const part = set.intersect(outside);
    const group = part.cidrs()[0];
    if (group === undefined) continue;
    for (const family of wanted)
      for (const address of ends(part, family))
        out.push({ end: { kind: "address", address }, family, address, ref: address, group: "external", peers });
  }
  return out;
}

/** The first and last address of a family. */
function ends(set: AddressSet, family: Family): string[] {
  const ranges = set.byFamily[family];
  const first: Address | undefined = ranges[0] && { family, value: ranges[0].start };
  const last: Address | undefined = ranges.at(-1) && { family, value: ranges.at(-1)!.end };
  return [...new Set([first, last].filter((one) => one !== undefined).map(formatAddress))];
}
