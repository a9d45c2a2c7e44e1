/**
 * The fixed part of the table: maps and the chains that look things up. Everything that changes is elements, one small
 * chain for each subject class, one for each drop id, and the epoch in the rules of the base chains.
 *
 * `meta priority` (skb->priority) is the scratch register: nft can look up only what a packet carries, and this field is
 * free between routing and the queueing discipline. It is 0 again when a judged packet leaves; `meta mark` is other
 * software's.
 */
import { type Direction, directions } from "../policy/model/verdict.ts";
import { closedDrop } from "./closed.ts";
import { untrusted } from "./epoch.ts";
import { denyChain, hash, letter, logPrefix } from "./names.ts";
import { classid, firstSign, pairKey, subjectMask, tableFlags } from "./numbers.ts";
import {
  accept,
  assign,
  drop,
  is,
  isNot,
  jump,
  type Rule,
  replace,
  ruleText,
  type Statement,
  turnOn,
} from "./rules.ts";
import { strangerDrop, strangerRules, strayRules } from "./strangers.ts";

export interface TableOptions {
  readonly table: string;
  readonly logGroup: number;
  readonly epochBits: number;
  readonly markShift: number;
  /** Of the hooks forward and input: after DNAT, before SNAT, and no other table's own. */
  readonly priority: number;
  /**
   * The node's ends of its pods' links, names or `cali*` for all that begin so; of pods on a bridge, the bridge. A packet
   * that comes in from one, or goes out to one, is dropped unless the address on that side is that of a known pod.
   */
  readonly podInterfaces: readonly string[];
}

export const defaultTableOptions: TableOptions = {
  table: "bulkhead",
  logGroup: 4789,
  epochBits: 16,
  markShift: 16,
  priority: -5,
  podInterfaces: [],
};

/** Raised with every change of the fixed part. */
const layout = 5;

/** The element of the set `about` whose comment says what a later process must know. */
export const aboutKey = 1;
export const about = (
  { logGroup, epochBits, markShift, priority, podInterfaces }: TableOptions,
  epoch: number,
  owesEpoch: boolean,
): string =>
  `bulkhead ${layout} log ${logGroup} bits ${epochBits} shift ${markShift} priority ${priority} ` +
  `interfaces ${podInterfaces.length === 0 ? "none" : hash(...podInterfaces)} ` +
  `epoch ${epoch}${owesEpoch ? " over" : ""}`;

/** Where the table of this listing has its bits of conntrack marks; null where it is not ours. */
export function aboutPlace(listing: string): Pick<TableOptions, "epochBits" | "markShift"> | null {
  const said = /comment "bulkhead \d+ log \d+ bits (\d+) shift (\d+) /.exec(listing);
  return said === null ? null : { epochBits: Number(said[1]), markShift: Number(said[2]) };
}

/** The bits of the conntrack mark that are ours. */
export const markMask = ({ epochBits, markShift }: Pick<TableOptions, "epochBits" | "markShift">): number =>
  ((2 ** epochBits - 1) * 2 ** markShift) >>> 0;

/** An epoch in its place in the conntrack mark. */
export const epochMark = (options: Pick<TableOptions, "markShift">, epoch: number): number =>
  (epoch * 2 ** options.markShift) >>> 0;

const addressTypes = { "4": "ipv4_addr", "6": "ipv6_addr" } as const;

/** Names of maps: `e_peer4`, `i_net6`, … */
export const mapName = (direction: Direction, what: string): string => `${letter[direction]}_${what}`;

function maps(direction: Direction): string[] {
  const out: string[] = [];
  const map = (what: string, type: string, interval = false): void => {
    out.push(`map ${mapName(direction, what)} {`, `type ${type}`, ...(interval ? ["flags interval"] : []), "}");
  };
  for (const [digit, type] of Object.entries(addressTypes)) {
    map(`subject${digit}`, `${type} : verdict`);
    map(`peer${digit}`, `${type} : classid`);
    map(`net${digit}`, `${type} : classid`, true);
  }
  map("pair", "classid : classid");
  map("port", "classid . inet_proto . inet_service : verdict");
  map("range", "classid . inet_proto . inet_service : verdict", true);
  map("proto", "classid . inet_proto : verdict");
  map("rest", "classid : verdict");
  out.push(`set ${mapName(direction, "peers")} {`, "type classid", "}");
  return out;
}

/** The other end, by conntrack's view of the flow's first packet, or by the packet's own header. */
const peerAddress: Readonly<Record<Direction, { tracked: (ip: string) => string; header: (ip: string) => string }>> = {
  egress: { tracked: (ip) => `ct reply ${ip} saddr`, header: (ip) => `${ip} daddr` },
  ingress: { tracked: (ip) => `ct original ${ip} saddr`, header: (ip) => `${ip} saddr` },
};
const subjectAddress: typeof peerAddress = { egress: peerAddress.ingress, ingress: peerAddress.egress };

const ips = { "4": "ip", "6": "ip6" } as const;
const ported = "meta l4proto { tcp, udp, sctp }";

const chain = (name: string, ...rules: readonly string[]): string[] => [`chain ${name} {`, ...rules, "}"];

function lookups(direction: Direction): string[] {
  const name = (what: string): string => mapName(direction, what);
  const find = (map: string, address: (ip: string) => string): string[] =>
    Object.entries(ips).map(([digit, ip]) => `meta priority set ${address(ip)} map @${name(map + digit)}`);
  const peers = (address: (ip: string) => string): string[] => [
    ...find("peer", address),
    "meta priority != 0:0 return",
    ...find("net", address),
  ];
  const answers = (port: string): string[] => {
    const has = (flag: keyof typeof tableFlags): string => {
      const bit = classid(tableFlags[flag]);
      return `meta priority & ${bit} == ${bit}`;
    };
    const byPort = `${ported} meta priority . meta l4proto . ${port}`;
    return [
      `${has("ports")} ${byPort} vmap @${name("port")}`,
      `${has("ranges")} ${byPort} vmap @${name("range")}`,
      `${has("protocols")} meta priority . meta l4proto vmap @${name("proto")}`,
      `meta priority vmap @${name("rest")}`,
    ];
  };
  return [
    ...chain(
      name("find_peer"),
      "meta priority set 0:0",
      `ct state invalid,untracked goto ${name("find_peer_header")}`,
      ...peers(peerAddress[direction].tracked),
    ),
    ...chain(name("find_peer_header"), ...peers(peerAddress[direction].header)),
    // A pair without a table of its own has that of its subject. Numbers of tables have no subject bits, so that the
    // second rule finds nothing after the first found something.
    ...chain(
      name("judge"),
      `meta priority set meta priority map @${name("pair")}`,
      `meta priority set meta priority & ${subjectMask} map @${name("pair")}`,
      `ct state invalid,untracked goto ${name("answer_header")}`,
      ...answers("ct reply proto-src"),
    ),
    ...chain(name("answer_header"), ...answers("th dport")),
  ];
}

/** The maps whose keys have ranges of ports, and a chain that looks each up. */
export const rangeChains: ReadonlyMap<string, string> = new Map(
  directions.map((direction) => [mapName(direction, "range"), mapName(direction, "judge")]),
);

type Hook = "forward" | "input";
export const hookNames: readonly Hook[] = ["forward", "input"];
export const baseChain = (hook: Hook): string => `base_${hook}`;

const setPriority = (value: number): string => ruleText([assign("meta priority", value)]);

/** What `meta priority` says of a flow whose source is not ruled. No key of a pair, and no table, is like these three. */
const unruled = pairKey(firstSign, 0);
/** Of a flow that the egress of a ruled source allowed. */
const admitted = pairKey(firstSign + 2, 0);
/** Of a flow that every ruled direction allowed. */
const passed = pairKey(firstSign + 3, 0);

/**
 * The base chains' rules in one epoch: they find the source's class, judge, find the destination's class, judge. What finds
 * a class comes back here and leads to no judging chain: before it commits, the kernel follows every way through all
 * elements of the maps, and one of before 2026 does so anew for each element that leads to the next map. The stamp is here, and not in a chain that is jumped to: a packet keeps the rules
 * of the chain that it began in, but finds those of a chain that it comes to later as a later transaction may have left
 * them, and must not carry an epoch that began after its lookups. Only `pass` lets a packet get to the stamp: a judging
 * chain that ends without a verdict denies.
 */
export function baseRules(options: TableOptions, hook: Hook, epoch: number): readonly Rule[] {
  const mask = markMask(options);
  const mark = epochMark(options, epoch);
  const priority = "meta priority";
  const states: Statement = { kind: "states", states: ["new", "established"] };
  const trusted = (rule: Rule): Rule[] => (epoch === untrusted ? [] : [rule]);
  return [
    // A related flow has the mark of the flow that it came from, and no judgement of its own.
    ...trusted([states, is("ct mark", mark, mask), accept]),
    [jump(`judge_${hook}`)],
    [isNot(priority, unruled), jump(mapName("egress", "judge"))],
    [isNot(priority, unruled, unruled), drop],
    [jump("arrive")],
    [isNot(priority, passed), jump(mapName("ingress", "judge"))],
    [isNot(priority, passed), drop],
    ...trusted([replace("ct mark", mask, mark)]),
    [assign(priority, 0), accept],
  ];
}

const dispatch = (direction: Direction, how: "tracked" | "header"): string[] =>
  Object.entries(ips).map(
    ([digit, ip]) => `${subjectAddress[direction][how](ip)} vmap @${mapName(direction, `subject${digit}`)}`,
  );

const neighbours = "icmpv6 type { 133, 134, 135, 136, 137 } accept"; // router and neighbour discovery, redirect: spec A7.7
const errors = "ct state related meta l4proto { icmp, ipv6-icmp } accept"; // spec A6.4

/** What the packet came with must not pass for what this hook finds out. */
const unknown = setPriority(0);

/** Where each family of addresses has its maps. */
export const familyDigit = { IPv4: "4", IPv6: "6" } as const;

/** The pod space that is held, and who was known to have an address: `held4`, `owners6`. */
export const heldSet = (digit: string): string => `held${digit}`;
export const ownersSet = (digit: string): string => `owners${digit}`;

/** Where the entry of an unruled pod of this node leads: as source to the other end, as destination to the end. */
export const freeChain: Readonly<Record<Direction, string>> = { egress: "unruled", ingress: "end" };

/** The rule of a drop id's chain. */
export const denyRule = ({ logGroup }: TableOptions, id: string): Rule => [
  { kind: "counter", name: denyChain(id) },
  { kind: "log", prefix: `${logPrefix}${id} `, group: logGroup, snaplen: 128 },
  drop,
];

function strangers(options: TableOptions, direction: Direction, how: "tracked" | "header"): readonly string[] {
  return strangerRules(direction, how, subjectAddress[direction][how], {
    drop: denyChain(strangerDrop[direction]),
    heldSet,
    straysChain: mapName(direction, "strays"),
    podInterfaces: options.podInterfaces,
  });
}

/** Drops that are always there: of strangers, and of subjects that cannot be programmed. */
export const fixedDrops: readonly string[] = directions.flatMap((d) => [strangerDrop[d], closedDrop[d]]);

function fixedChains(options: TableOptions): readonly string[] {
  return [
    ...fixedDrops.flatMap((id) => [
      `counter ${denyChain(id)} {`,
      "}",
      ...chain(denyChain(id), ruleText(denyRule(options, id))),
    ]),
    ...directions.flatMap((direction) =>
      chain(mapName(direction, "strays"), ...strayRules(direction, denyChain(strangerDrop[direction]))),
    ),
  ];
}

/** The table without anything in it, and without hooks. */
export function skeleton(options: TableOptions, epoch: number): string[] {
  return [
    `table inet ${options.table} {`,
    "set about {",
    "type classid",
    `elements = { ${classid(aboutKey)} comment "${about(options, epoch, false)}" }`,
    "}",
    ...maps("egress"),
    ...maps("ingress"),
    ...Object.entries(addressTypes).flatMap(([digit, type]) => [
      ...[`set ${heldSet(digit)} {`, `type ${type}`, "flags interval", "}"],
      ...[`set ${ownersSet(digit)} {`, `type ${type}`, "}"],
    ]),
    ...fixedChains(options),
    // Reached when every ruled direction of a flow allowed it.
    ...chain("pass", setPriority(passed)),
    // Reached when a ruled source is allowed to.
    ...chain("admit", setPriority(admitted)),
    ...chain(freeChain.egress, setPriority(unruled)),
    ...chain(
      "arrive",
      "ct state invalid,untracked goto arrive_header",
      ...dispatch("ingress", "tracked"),
      ...strangers(options, "ingress", "tracked"),
      `goto ${freeChain.ingress}`,
    ),
    ...chain(
      "arrive_header",
      ...dispatch("ingress", "header"),
      ...strangers(options, "ingress", "header"),
      `goto ${freeChain.ingress}`,
    ),
    // The destination is not ruled: what nobody judged is not stamped.
    ...chain(
      freeChain.ingress,
      ruleText([is("meta priority", admitted), { kind: "goto", chain: "pass" }]),
      "meta priority set 0:0 accept",
    ),
    ...lookups("egress"),
    ...lookups("ingress"),
    ...chain(
      "judge_forward",
      neighbours,
      errors,
      unknown,
      "ct state invalid,untracked goto judge_forward_header",
      ...dispatch("egress", "tracked"),
      ...strangers(options, "egress", "tracked"),
      `goto ${freeChain.egress}`,
    ),
    ...chain(
      "judge_forward_header",
      ...dispatch("egress", "header"),
      ...strangers(options, "egress", "header"),
      `goto ${freeChain.egress}`,
    ),
    // The own node is no subject, and what it opens itself is exempt, replies included: also where its address is of pod
    // space, as that of a bridge is.
    ...chain(
      "judge_input",
      neighbours,
      errors,
      unknown,
      "ct state invalid,untracked goto judge_input_header",
      ...dispatch("egress", "tracked"),
      "ct direction reply accept",
      ...strangers(options, "egress", "tracked"),
      "accept",
    ),
    ...chain(
      "judge_input_header",
      ...dispatch("egress", "header"),
      ...strangers(options, "egress", "header"),
      "accept",
    ),
    "}",
  ];
}

/** The base chains, as they are before the first epoch. */
export function hooks(options: TableOptions): string[] {
  return [
    `table inet ${options.table} {`,
    ...hookNames.flatMap((hook) =>
      chain(
        baseChain(hook),
        `type filter hook ${hook} priority ${options.priority}; policy accept;`,
        ...baseRules(options, hook, untrusted).map(ruleText),
      ),
    ),
    "}",
  ];
}

/** A subject class's chain: leaves the key of the pair. */
export const subjectRules = (direction: Direction, number: number): readonly Rule[] => [
  [jump(mapName(direction, "find_peer"))],
  [turnOn("meta priority", number)],
];
