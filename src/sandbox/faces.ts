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
import { podReference } from "../policy/analyze/reference.ts";
import type { Plan } from "../policy/compile/plan.ts";
import type { End } from "../policy/model/verdict.ts";
import { isFinished, type World } from "../policy/model/world.ts";

/** One address of a pod, of a node, or of the outside. */
export interface Face {
  readonly end: End;
  readonly family: Family;
  readonly address: string;
  /** As a reference: `shop/web-0`, `node/n1`, `203.0.113.9`. */
  readonly ref: string;
  /** What the matrix shows it under: the workload, the node, the class of outside addresses. */
  readonly group: string;
}

const familyOf = (address: string): Family | null => parseAddress(address)?.family ?? null;

/**
 * Addresses that an ordinary socket cannot dial, or that a host does not route: "this network", IPv4 inside IPv6 (dialled as
 * IPv4), link-local IPv6 (needs an interface).
 */
const undialable = AddressSet.ofCidrs(["0.0.0.0/8", "::/80", "fe80::/10"].map((text) => parseCidr(text)!.cidr));

/** An end at one of its addresses. */
export function faceOf(end: End, address: string): Face {
  const family = familyOf(address);
  if (family === null) throw new RangeError(`not an IP address: ${address}`);
  const common = { family, address };
  switch (end.kind) {
    case "pod": {
      const { namespace, workload } = end.pod;
      const group =
        workload.kind === "Pod"
          ? podReference(namespace, workload.name)
          : `${namespace}/${workload.kind.toLowerCase()}/${workload.name}`;
      return { ...common, end, ref: podReference(namespace, end.pod.name), group };
    }
    case "node": {
      // Asked address by address: policies may tell the addresses of one node apart.
      const node = { ...end.node, ips: [address] };
      const ref = `node/${node.name}`;
      return { ...common, end: { kind: "node", node }, ref, group: ref };
    }
    case "address":
      return { ...common, end, ref: address, group: "external" };
  }
}

/** Every pod, every address of every node, and of every class of outside addresses that policies tell apart the first and last. */
export function facesOf(plan: Plan, world: World, wanted: readonly Family[] = families): Face[] {
  const out: Face[] = [];
  const add = (end: End, addresses: readonly string[]): void => {
    for (const address of addresses) {
      const family = familyOf(address);
      if (family !== null && wanted.includes(family)) out.push(faceOf(end, address));
    }
  };
  for (const pod of world.pods) if (!pod.hostNetwork && !isFinished(pod)) add({ kind: "pod", pod }, pod.ips);
  for (const node of world.nodes) add({ kind: "node", node }, node.ips);
  const outside = externalAddresses(plan).minus(undialable);
  for (const { set } of addressClasses(plan)) {
    const part = set.intersect(outside);
    for (const family of wanted) for (const address of ends(part, family)) add({ kind: "address", address }, [address]);
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
