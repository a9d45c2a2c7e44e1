/**
 * In which byte order a table's rules look numbers up with ranges of ports: whoever wrote them turned the numbers around, or
 * did not, and elements must be like that. Used in `kernel-worker.ts` only. Layout: linux/netfilter/nf_tables.h.
 */

import { type AttributeWriter, attributes, contentOf, eachAttribute, textOf } from "../netns/netlink-layout.ts";
import { Netfilter } from "./netfilter.ts";
import { inet, nftables } from "./nfnetlink.ts";

/** `network`: the rule turns them around first. */
export type KeyOrder = "host" | "network";

const getRule = 7; // NFT_MSG_GETRULE

/**
 * Asks the chain's rule, in the thread's network namespace.
 * @returns null where no rule of the chain looks the set up
 * @throws where the kernel refuses to tell
 */
export function keyOrder(table: string, chain: string, set: string): KeyOrder | null {
  let order: KeyOrder | null = null;
  Netfilter.use((socket) => {
    const content = (out: AttributeWriter): void => {
      out.text(1, table); // NFTA_RULE_TABLE
      out.text(2, chain); // NFTA_RULE_CHAIN
    };
    socket.dump({ type: nftables * 256 + getRule, family: inet, content }, (_, rule) => {
      order = orderIn(contentOf(rule.get(4)), set) ?? order; // NFTA_RULE_EXPRESSIONS
    });
  });
  return order;
}

function orderIn(expressions: Buffer, set: string): KeyOrder | null {
  let isTurned = false;
  for (const [, expression] of eachAttribute(expressions)) {
    const parts = attributes(contentOf(expression));
    const name = textOf(parts.get(1)); // NFTA_EXPR_NAME
    if (name === "byteorder") isTurned = true;
    if (name !== "lookup") continue;
    const data = attributes(contentOf(parts.get(2))); // NFTA_EXPR_DATA
    if (textOf(data.get(1)) === set) return isTurned ? "network" : "host"; // NFTA_LOOKUP_SET
  }
  return null;
}
