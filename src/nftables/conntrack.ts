/**
 * Entries of connection tracking: clearing bits of their marks, and removing them. Calls block their thread: used in
 * `kernel-worker.ts` only.
 */
import { addressBytes, parseAddress } from "../net/address.ts";
import { type Ask, Ctnetlink } from "./ctnetlink.ts";
import { attribute, attributes, hostNumber32, nested, number32 } from "./netlink.ts";

// linux/netfilter/nfnetlink_conntrack.h; a type's upper byte is NFNL_SUBSYS_CTNETLINK
const get = 0x101; // IPCTNL_MSG_CT_GET
const change = 0x100; // IPCTNL_MSG_CT_NEW, without NLM_F_CREATE
const remove = 0x102; // IPCTNL_MSG_CT_DELETE
const original = 1; // CTA_TUPLE_ORIG
const reply = 2; // CTA_TUPLE_REPLY
const markAttribute = 8; // CTA_MARK
const idAttribute = 12; // CTA_ID
const zoneAttribute = 18; // CTA_ZONE
const maskAttribute = 21; // CTA_MARK_MASK
const filterAttribute = 25; // CTA_FILTER
const tupleIP = 1; // CTA_TUPLE_IP
const anyFamily = 0; // AF_UNSPEC

/** What names one entry. */
const named = (entry: ReadonlyMap<number, Buffer>, types: readonly number[]): Buffer[] =>
  types.flatMap((type) => {
    const found = entry.get(type);
    return found === undefined ? [] : [Buffer.from(found)]; // the dump's own memory is used again
  });

const walks = 8;

/**
 * Sets the bits of `mask` to 0 on every flow of the thread's network namespace whose masked mark is in `first..last`.
 * @returns how many flows were changed
 * @throws where ctnetlink is missing or refuses, and when the table never holds still
 */
export function clearMarks(mask: number, first: number, last: number): number {
  return Ctnetlink.use((socket) => {
    let total = 0;
    for (let i = 0; i < walks; i++) {
      const found: Ask[] = [];
      const whole = socket.dump({ type: get, family: anyFamily, content: [] }, (family, entry) => {
        const masked = ((entry.get(markAttribute)?.readUInt32BE(4) ?? 0) & mask) >>> 0;
        if (!entry.has(original) || masked < first || masked > last) return;
        const content = [
          ...named(entry, [original, zoneAttribute]),
          number32(markAttribute, 0),
          number32(maskAttribute, mask),
        ];
        found.push({ type: change, family, content });
      });
      for (const one of found) socket.change(one);
      total += found.length;
      if (found.length === 0 && whole) return total;
    }
    throw new Error("ctnetlink: flows with old marks kept appearing");
  });
}

/** Addresses up to which the kernel is asked for the flows of each; beyond, one walk through all flows costs less. */
const askedSingly = 16;

/**
 * Removes every flow of the thread's network namespace that an address opened or answers.
 * @returns how many flows were removed
 * @throws where ctnetlink is missing or refuses, and when the table never holds still
 */
export function forgetFlows(addresses: readonly string[]): number {
  const own = addresses.map(bytesOf);
  const wanted = new Set(own.map((bytes) => bytes.toString("hex")));
  const dumps: Ask[] =
    own.length > askedSingly
      ? [{ type: get, family: anyFamily, content: [] }]
      : own.flatMap((address) => [original, reply].map((side) => flowsFrom(address, side)));
  return Ctnetlink.use((socket) => {
    let total = 0;
    for (const dump of dumps) {
      let left = walks;
      for (let whole = false; !whole; ) {
        if (left-- === 0) throw new Error("ctnetlink: the table never held still");
        const found: Ask[] = [];
        whole = socket.dump(dump, (family, entry) => {
          // A kernel that knows no filters (before 5.8) shows everything.
          if (!wanted.has(sourceOf(entry.get(original))) && !wanted.has(sourceOf(entry.get(reply)))) return;
          // With its id no other entry is meant; without a tuple all would be.
          const content = named(entry, [original, zoneAttribute, idAttribute]);
          if (entry.has(original)) found.push({ type: remove, family, content });
        });
        for (const one of found) socket.change(one);
        total += found.length;
      }
    }
    return total;
  });
}

function bytesOf(text: string): Buffer {
  const parsed = parseAddress(text);
  if (parsed === null) throw new Error(`not an address: ${text}`);
  return Buffer.from(addressBytes(parsed));
}

// CTA_IP_V4_SRC, CTA_IP_V6_SRC; AF_INET, AF_INET6
const sources: ReadonlyMap<number, { readonly type: number; readonly family: number }> = new Map([
  [4, { type: 1, family: 2 }],
  [16, { type: 3, family: 10 }],
]);

/** A dump of the flows whose tuple of one side (`original`, `reply`) has this source. */
function flowsFrom(address: Buffer, side: number): Ask {
  const { type, family } = sources.get(address.length)!;
  const flags = hostNumber32(side, 1); // CTA_FILTER_ORIG_FLAGS or _REPLY_FLAGS: CTA_FILTER_F_CTA_IP_SRC
  const tuple = nested(side, nested(tupleIP, attribute(type, address)));
  return { type: get, family, content: [tuple, nested(filterAttribute, flags)] };
}

/** The source address of a tuple, in hexadecimal digits. */
function sourceOf(tuple: Buffer | undefined): string {
  const ip = tuple === undefined ? undefined : attributes(tuple.subarray(4)).get(tupleIP);
  if (ip === undefined) return "";
  const all = attributes(ip.subarray(4));
  for (const { type } of sources.values()) {
    const source = all.get(type);
    if (source !== undefined) return source.subarray(4).toString("hex");
  }
  return "";
}
