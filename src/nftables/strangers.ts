/**
 * Strangers: addresses of this node's pod space that no known pod has. What they send and what is sent to them is
 * dropped (spec A17.1, A17.5); what the node itself opens to them passes, as it does to every pod (A7.3).
 *
 * Pod space is known by CIDRs, which are elements and can change, or by the node's ends of pods' links, which are rules.
 * Both ends of a flow are looked at by conntrack's tuple, so that a reply is judged as the flow's first packet was; in
 * forward an address of the tuple and the interface on its side belong together, which way the packet may go.
 */
import type { Direction } from "../policy/model/verdict.ts";
import { hash } from "./names.ts";

/** What drops of strangers' packets are called: `egress` where the source is one, `ingress` where the destination is. */
export const strangerDrop: Readonly<Record<Direction, string>> = {
  egress: hash("source is a stranger"),
  ingress: hash("destination is a stranger"),
};

/** @throws Error for what is no name of an interface, nor the start of one and `*` */
export function checkedInterfaces(patterns: readonly string[]): readonly string[] {
  for (const pattern of patterns) {
    if (!/^[\w.:@+-]{1,15}\*?$/.test(pattern)) throw new Error(`pod interface ${JSON.stringify(pattern)}: not a name`);
  }
  return patterns;
}

/** In forward alone there is an outgoing interface: in input the destination is the node. */
const forwarded = "meta oif != 0";

/**
 * Rules for a flow whose end on one side, the subject of `direction`, has no entry among this node's pods.
 * @param address of that end in an expression of nft, by family: `ct original ip saddr`
 * @param how `header`: the packet is in no flow, or in none that is known
 */
export function strangerRules(
  direction: Direction,
  how: "tracked" | "header",
  address: (ip: string) => string,
  { drop, heldSet, straysChain, podInterfaces }: StrangerNames,
): readonly string[] {
  const source = direction === "egress";
  const onlyForward = source ? "" : `${forwarded} `;
  const here = source ? "iifname" : "oifname";
  const there = source ? "oifname" : "iifname";
  return [
    `${onlyForward}${address("ip")} @${heldSet("4")} goto ${drop}`,
    `${onlyForward}${address("ip6")} @${heldSet("6")} goto ${drop}`,
    ...podInterfaces.flatMap((pattern) =>
      how === "header"
        ? [`${here} "${pattern}" jump ${straysChain}`]
        : [
            `ct direction original ${here} "${pattern}" jump ${straysChain}`,
            `${forwarded} ct direction reply ${there} "${pattern}" jump ${straysChain}`,
          ],
    ),
  ];
}

export interface StrangerNames {
  /** The chain that counts, logs and drops. */
  readonly drop: string;
  readonly heldSet: (digit: string) => string;
  /** The chain with `strayRules`. */
  readonly straysChain: string;
  readonly podInterfaces: readonly string[];
}

/** What passes a pod's interface and is no pod's address: how a pod comes to its address, and what is sent to many. */
export const strayRules = (direction: Direction, drop: string): readonly string[] =>
  direction === "egress"
    ? [
        "icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } return",
        "ip saddr 0.0.0.0 ip protocol igmp return",
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 return",
        "ip6 saddr fe80::/10 udp sport 546 udp dport 547 return",
        `goto ${drop}`,
      ]
    : ["ip daddr { 224.0.0.0/4, 255.255.255.255 } return", "ip6 daddr ff00::/8 return", `goto ${drop}`];
