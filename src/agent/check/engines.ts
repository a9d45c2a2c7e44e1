/** Other policy engines on the node, by what they leave in the kernel. They are named, and not touched. */
import { type Finding, ok, problem } from "./finding.ts";

interface Signs {
  readonly engine: string;
  /** Tables of nftables, `family name`. */
  readonly tables?: RegExp;
  readonly chains?: RegExp;
  readonly interfaces?: RegExp;
}

const signs: readonly Signs[] = [
  { engine: "Calico", tables: /^(ip|ip6|arp) calico$/, chains: /^cali-/, interfaces: /^cali[0-9a-f]{11}$/ },
  { engine: "Cilium", chains: /^CILIUM_/, interfaces: /^(cilium_host|cilium_net|lxc_health)$/ },
  { engine: "kube-router", tables: /^(ip|ip6) kube-router-filter/, chains: /^KUBE-(ROUTER|NWPLCY|POD-FW)-/ },
  { engine: "kube-network-policies", tables: /^inet kube-network-policies/ },
  { engine: "Antrea", tables: /^inet antrea/, chains: /^ANTREA-/, interfaces: /^antrea-gw0$/ },
  { engine: "OVN-Kubernetes", interfaces: /^ovn-k8s-mp0$/ },
  { engine: "Weave Net", chains: /^WEAVE-NPC/, interfaces: /^(weave|vethwe-bridge)$/ },
  { engine: "Azure NPM", chains: /^AZURE-NPM/ },
  { engine: "Romana", chains: /^ROMANA-/ },
];

/** What is on a node, as `nft list` and the kernel name it. */
export interface NodeMarks {
  /** `inet bulkhead` */
  readonly tables: readonly string[];
  readonly chains: readonly string[];
  readonly interfaces: readonly string[];
}

/** Reads `nft list chains`. */
export function tablesAndChains(listing: string): Pick<NodeMarks, "tables" | "chains"> {
  const tables: string[] = [];
  const chains: string[] = [];
  for (const [, kind, family, name] of listing.matchAll(/^\s*(table|chain) (?:(\S+) )?(\S+) \{/gm)) {
    if (kind === "table") tables.push(`${family} ${name}`);
    else chains.push(name!);
  }
  return { tables, chains };
}

/** One finding for each engine that has left something. */
export function findEngines({ tables, chains, interfaces }: NodeMarks): Finding[] {
  const found = signs.flatMap(({ engine, ...patterns }) => {
    const seen = [
      ...pick("table", tables, patterns.tables),
      ...pick("chain", chains, patterns.chains),
      ...pick("interface", interfaces, patterns.interfaces),
    ];
    if (seen.length === 0) return [];
    return [
      problem(
        "engines",
        `${engine} is or was here (${seen.join(", ")}): a packet must then pass both engines, and what it denies Bulkhead can't allow`,
      ),
    ];
  });
  return found.length > 0 ? found : [ok("engines", "no other policy engine")];
}

function pick(what: string, names: readonly string[], pattern: RegExp | undefined): string[] {
  const matching = pattern === undefined ? [] : names.filter((name) => pattern.test(name));
  if (matching.length === 0) return [];
  const more = matching.length === 1 ? "" : ` and ${matching.length - 1} more`;
  return [`${what} ${matching[0]}${more}`];
}
