/** Nodes. */
import { formatAddress, parseAddress } from "../net/address.ts";
import type { Source } from "../policy/model/source.ts";
import type { Node } from "../policy/model/world.ts";
import type { Fields } from "./fields.ts";
import type { Metadata } from "./metadata.ts";

export function readNode(object: Fields, { name, labels }: Metadata, source: Source | null): Node {
  const spec = object.object("spec");
  const cidrs = spec.cidrs("podCIDRs");
  return {
    name,
    labels,
    ips: readNodeIPs(object.object("status")),
    podCIDRs: cidrs.length > 0 ? cidrs : spec.cidr("podCIDR"),
    source,
  };
}

/** Every address that is an IP, whatever its type says (spec C8.5); host names are left out. */
function readNodeIPs(status: Fields): string[] {
  const addresses = status.objects("addresses").flatMap((entry) => {
    const address = parseAddress(entry.string("address"));
    return address === null ? [] : [formatAddress(address)];
  });
  return [...new Set(addresses)];
}
