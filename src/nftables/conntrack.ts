/**
 * Entries of connection tracking: clearing bits of their marks, and removing them. Calls block their thread: used in
 * `kernel-worker.ts` only.
 */
import { addressBytes } from "../netns/bytes.ts";
import { AF_INET, AF_INET6 } from "../netns/libc.ts";
import { type AttributeWriter, attributes, contentOf } from "../netns/netlink-layout.ts";
import { type Ask, Netfilter } from "./netfilter.ts";

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

/** Dumps all flows of all families. */
const everything: Ask = { type: get, family: 0, content: () => undefined }; // AF_UNSPEC

/** What names one entry. */
const named = (entry: ReadonlyMap<number, Buffer>, types: readonly number[]): Buffer[] =>
  types.flatMap((type) => {
    const found = entry.get(type);
    return found === undefined ? [] : [Buffer.from(found)]; // the dump's own memory is used again
  });

function repeat(out: AttributeWriter, name: readonly Buffer[]): void {
  for (const one of name) out.bytes(one).pad();
}

const walks = 8;

/**
 * Sets the bits of `mask` to 0 on every flow of the thread's network namespace whose masked mark is in `first..last`.
 * @returns how many flows were changed
 * @throws where ctnetlink is missing or refuses, and when the table never holds still
 */
export function clearMarks(mask: number, first: number, last: number): number {
  return Netfilter.use((socket) => {
    let total = 0;
    for (let i = 0; i < walks; i++) {
      const found: Ask[] = [];
      const whole = socket.dump(everything, (family, entry) => {
        const masked = ((entry.get(markAttribute)?.readUInt32BE(4) ?? 0) & mask) >>> 0;
        if (!entry.has(original) || masked < first || masked > last) return;
        const name = named(entry, [original, zoneAttribute]);
        const content: Ask["content"] = (out) => {
          repeat(out, name);
          out.number32(markAttribute, 0);
          out.number32(maskAttribute, mask);
        };
        found.push({ type: change, family, content });
      });
      for (const one of found) socket.change(one);
      total += found.length;
      if (found.length === 0 && whole) return total;
    }
    throw new Error("conntrack: flows with old marks kept appearing");
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
  const own = addresses.map((address) => Buffer.from(addressBytes(address)));
  const wanted = new Set(own.map((bytes) => bytes.toString("hex")));
  const dumps: Ask[] =
    own.length > askedSingly
      ? [everything]
      : own.flatMap((address) => [original, reply].map((side) => flowsFrom(address, side)));
  return Netfilter.use((socket) => {
    let total = 0;
    for (const dump of dumps) {
      let left = walks;
      for (let whole = false; !whole; ) {
        if (left-- === 0) throw new Error("conntrack: the table never held still");
        const found: Ask[] = [];
        whole = socket.dump(dump, (family, entry) => {
          // A kernel that knows no filters (before 5.8) shows everything.
          if (!wanted.has(sourceOf(entry.get(original))) && !wanted.has(sourceOf(entry.get(reply)))) return;
          // With its id no other entry is meant; without a tuple all would be.
          const name = named(entry, [original, zoneAttribute, idAttribute]);
          if (entry.has(original)) found.push({ type: remove, family, content: (out) => repeat(out, name) });
        });
        for (const one of found) socket.change(one);
        total += found.length;
      }
    }
    return total;
  });
}

// CTA_IP_V4_SRC, CTA_IP_V6_SRC
const sources: ReadonlyMap<number, { readonly type: number; readonly family: number }> = new Map([
  [4, { type: 1, family: AF_INET }],
  [16, { type: 3, family: AF_INET6 }],
]);

/** A dump of the flows whose tuple of one side (`original`, `reply`) has this source. */
function flowsFrom(address: Buffer, side: number): Ask {
  const { type, family } = sources.get(address.length)!;
  const content: Ask["content"] = (out) => {
    out.nested(side, () => out.nested(tupleIP, () => out.attribute(type, address)));
    // CTA_FILTER_ORIG_FLAGS or _REPLY_FLAGS: CTA_FILTER_F_CTA_IP_SRC
    out.nested(filterAttribute, () => out.hostNumber32(side, 1));
  };
  return { type: get, family, content };
}

/** The source address of a tuple, in hexadecimal digits. */
function sourceOf(tuple: Buffer | undefined): string {
  const all = attributes(contentOf(attributes(contentOf(tuple)).get(tupleIP)));
  for (const { type } of sources.values()) {
    const source = all.get(type);
    if (source !== undefined) return contentOf(source).toString("hex");
  }
  return "";
}
