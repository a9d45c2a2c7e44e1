/** Links, addresses and routes. Layouts from linux/rtnetlink.h, linux/if_link.h and linux/veth.h. */
import type { ByteWriter } from "./bytes.ts";
import { AF_INET, AF_INET6, int, SystemError } from "./libc.ts";
import type { NetlinkMessage, NetlinkSocket } from "./netlink.ts";
import { AttributeWriter, attributes, contentOf, flags as netlinkFlags, textOf } from "./netlink-layout.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;

const IFF_UP = 0x1;
const IFF_NOARP = 0x80;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_OPERSTATE = 16;
const linkHeaderLength = 16;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;

/** Index of `lo` in every namespace. */
export const loopback = 1;

/** One end of a veth pair. The caller chooses the index: no need to ask for it afterwards. */
export interface LinkEnd {
  readonly name: string;
  readonly index: number;
}

// Both ends have one MAC address and no ARP: the kernel then sends to the device's own address (NUD_NOARP), which is the
// other end's. No neighbour entries, no ARP, no neighbour discovery, no duplicate address detection.
const everyMac = Uint8Array.of(0x02, 0, 0, 0, 0, 0x01);

function linkHeader(writer: ByteWriter, index: number, flags: number): void {
  writer.u8(0).u8(0).u16(0).u32(index).u32(flags).u32(flags);
}

function linkAttributes(writer: AttributeWriter, name: string): void {
  writer.text(IFLA_IFNAME, name);
  writer.attribute(IFLA_ADDRESS, everyMac);
}

/**
 * A veth pair: `here`, up, where the message is sent, `there` in the namespace of a descriptor. `there` must be set up
 * from inside: while a pair is being made its second end cannot.
 */
export function vethPair(here: LinkEnd, there: LinkEnd, thereFd: number): NetlinkMessage {
  const writer = new AttributeWriter();
  linkHeader(writer, here.index, IFF_UP | IFF_NOARP);
  linkAttributes(writer, here.name);
  writer.nested(IFLA_LINKINFO, () => {
    writer.text(IFLA_INFO_KIND, "veth");
    writer.nested(IFLA_INFO_DATA, () =>
      writer.nested(VETH_INFO_PEER, () => {
        linkHeader(writer, there.index, IFF_NOARP);
        linkAttributes(writer, there.name);
        writer.attribute(IFLA_NET_NS_FD, int(thereFd));
      }),
    );
  });
  return {
    type: RTM_NEWLINK,
    flags: netlinkFlags.create | netlinkFlags.exclusive,
    body: writer.finish(),
    what: `create link ${here.name}`,
  };
}

export function linkUp(index: number): NetlinkMessage {
  const writer = new AttributeWriter();
  linkHeader(writer, index, IFF_UP);
  return { type: RTM_NEWLINK, flags: 0, body: writer.finish(), what: `set link ${index} up` };
}

/**
 * Does a link pass packets? One that is up need not yet: the kernel gives it its queue later, from a work queue, and drops
 * what is sent until then.
 */
export function isOperational(netlink: NetlinkSocket, index: number): boolean {
  const operational = 6; // IF_OPER_UP
  const writer = new AttributeWriter();
  linkHeader(writer, index, 0);
  const answer = lookAtLink(netlink, writer, `look at link ${index}`);
  return contentOf(answer.get(IFLA_OPERSTATE))[0] === operational;
}

/** What a link is: `bridge`, `veth`, …; null for a device of the machine's own, and where there is no link of that name. */
export function linkKind(netlink: NetlinkSocket, name: string): string | null {
  const writer = new AttributeWriter();
  linkHeader(writer, 0, 0);
  writer.text(IFLA_IFNAME, name);
  let answer: ReturnType<typeof lookAtLink>;
  try {
    answer = lookAtLink(netlink, writer, `look at link ${name}`);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENODEV") return null;
    throw error;
  }
  const kind = attributes(contentOf(answer.get(IFLA_LINKINFO))).get(IFLA_INFO_KIND);
  return kind === undefined ? null : textOf(kind);
}

/** The attributes of the answer. */
function lookAtLink(netlink: NetlinkSocket, request: AttributeWriter, what: string): ReadonlyMap<number, Buffer> {
  const withoutStatistics = 8; // RTEXT_FILTER_SKIP_STATS
  request.attribute(IFLA_EXT_MASK, int(withoutStatistics));
  const answer = netlink.query({ type: RTM_GETLINK, flags: 0, body: request.finish(), what });
  return attributes(answer.subarray(linkHeaderLength));
}

/** Both ends of a veth pair go. */
export function removeLink(index: number): NetlinkMessage {
  const writer = new AttributeWriter();
  linkHeader(writer, index, 0);
  return { type: RTM_DELLINK, flags: 0, body: writer.finish(), what: `remove link ${index}` };
}

const domainOf = (address: Uint8Array): number => (address.length === 4 ? AF_INET : AF_INET6);

/** Gives a link a single address (/32, /128). */
export function addAddress(index: number, address: Uint8Array): NetlinkMessage {
  const IFA_ADDRESS = 1;
  const IFA_LOCAL = 2;
  const noDad = 0x02;
  const writer = new AttributeWriter();
  writer
    .u8(domainOf(address))
    .u8(address.length * 8)
    .u8(address.length === 16 ? noDad : 0)
    .u8(0)
    .u32(index);
  writer.attribute(IFA_LOCAL, address);
  writer.attribute(IFA_ADDRESS, address);
  return {
    type: RTM_NEWADDR,
    flags: netlinkFlags.create | netlinkFlags.replace,
    body: writer.finish(),
    what: `address ${Buffer.from(address).toString("hex")}`,
  };
}

export interface Route {
  readonly destination: Uint8Array;
  readonly prefix: number;
  readonly link: number;
  /** Delivered here instead of sent out. */
  readonly local?: boolean;
  /** In the table that is asked first, where the kernel keeps its own addresses. */
  readonly first?: boolean;
}

function routeMessage(
  type: number,
  flags: number,
  { destination, prefix, link, local = false, first = false }: Route,
): NetlinkMessage {
  const RTA_DST = 1;
  const RTA_OIF = 4;
  const mainTable = 254;
  const localTable = 255;
  const fromBoot = 3;
  const scopeLink = 253;
  const scopeHost = 254;
  const unicast = 1;
  const localType = 2;
  const writer = new AttributeWriter();
  writer.u8(domainOf(destination)).u8(prefix).u8(0).u8(0);
  writer
    .u8(first ? localTable : mainTable)
    .u8(fromBoot)
    .u8(destination.length === 16 ? 0 : local ? scopeHost : scopeLink);
  writer.u8(local ? localType : unicast).u32(0);
  if (prefix > 0) writer.attribute(RTA_DST, destination);
  writer.attribute(RTA_OIF, int(link));
  return {
    type,
    flags,
    body: writer.finish(),
    what: `route ${Buffer.from(destination).toString("hex")}/${prefix}`,
  };
}

/** An equal route is replaced. */
export const addRoute = (route: Route): NetlinkMessage =>
  routeMessage(RTM_NEWROUTE, netlinkFlags.create | netlinkFlags.replace, route);
export const removeRoute = (route: Route): NetlinkMessage => routeMessage(RTM_DELROUTE, 0, route);
