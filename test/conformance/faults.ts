/** Faults that a compiler, an evaluator or a writer of nftables could have, or that some had (spec A19). */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are pieces of source text
import type { Fault } from "./mutant.ts";

type Edit = readonly [title: string, place: string, text: string, by: string];

const of = (layer: Fault["layer"], edits: readonly Edit[]): Fault[] =>
  edits.map(([title, place, text, by]) => ({ layer, title, place, replace: [text, by] }));

const policy = "policy/compile/policy.ts";
const judge = "policy/compile/judge.ts";
const reference = "policy/evaluate/reference.ts";

export const faults: readonly Fault[] = [
  ...of("compiler", [
    [
      "rules of the other direction",
      "policy/compile/classes.ts",
      "policy.rules[this.direction]",
      'policy.rules[this.direction === "ingress" ? "egress" : "ingress"]',
    ],
    ["except is ignored", policy, "holes.length === 0 ? set", "holes.length >= 0 ? set"],
    ["the Baseline tier is lost", judge, 'undecided = firstMatch(ofTier("Baseline"), ports, undecided, pieces);', ""],
    [
      "priorities in reverse",
      "policy/compile/order.ts",
      "(a.priority ?? 0) - (b.priority ?? 0)",
      "(b.priority ?? 0) - (a.priority ?? 0)",
    ],
    [
      "NotIn needs the key",
      "policy/select/selector.ts",
      "!Object.hasOwn(labels, key) || !unwanted",
      "Object.hasOwn(labels, key) && !unwanted",
    ],
    [
      "endPort is exclusive",
      "policy/compile/rule-ports.ts",
      "end: endPort ?? port",
      "end: endPort ? endPort - 1 : port",
    ],
    [
      "a port's name is looked up on the source",
      judge,
      'subject.direction === "ingress" ? subject.ownPorts : ports',
      'subject.direction === "egress" ? subject.ownPorts : ports',
    ],
    ["a named port has every protocol", judge, "(protocol ?? port.protocol) === port.protocol", "true"],
    [
      "protocols are ignored",
      "policy/compile/rule-ports.ts",
      "endPort }: NetworkPolicyPort): Element {",
      'endPort }: NetworkPolicyPort): Element {\n  written = "TCP";',
    ],
    [
      "egress: [] is a policyType",
      "policy/decode/defaults.ts",
      "spec?.egress && spec.egress.length > 0",
      "spec?.egress",
    ],
    [
      "no rules isolate nobody",
      policy,
      'ingress: types.includes("Ingress")',
      'ingress: types.includes("Ingress") && (spec.ingress ?? []).length > 0',
    ],
    ["Pass accepts", policy, '"BaselineAdminNetworkPolicy" ? "Pass"', '"BaselineAdminNetworkPolicy" ? "Accept"'],
    ["the own node is judged", "policy/evaluate/evaluate.ts", "ingress: ownNode ?", "ingress: false ?"],
    [
      "peers are of the policy's namespace",
      policy,
      "groups.pods(namespaceSelector ?? namespace,",
      "groups.pods(namespace,",
    ],
    [
      "a new policy does not reach pods that are known",
      "policy/compile/pod-classes.ts",
      "remembered.policy[direction] = null;",
      "remembered.policy[direction] ??= null;",
    ],
  ]),
  ...of("reference", [
    [
      "source and destination are swapped",
      reference,
      'direction: "egress", subject: from, peer: to',
      'direction: "egress", subject: to, peer: from',
    ],
    ["except is ignored", reference, "!excepts.some(", "!excepts.slice(excepts.length).some("],
    ["the Baseline tier is lost", reference, 'decideCluster(question, subject.pod, "Baseline") ??', ""],
    ["priorities in reverse", reference, "priorityOf(a) - priorityOf(b)", "priorityOf(b) - priorityOf(a)"],
    ["NotIn needs the key", reference, "return !listed;", "return present && !listed;"],
    ["endPort is exclusive", reference, "endPort ?? port)", "(endPort ?? port + 1) - 1)"],
    ["egress: [] is a policyType", reference, 'empty(spec?.egress) ? ["Ingress"]', 'unset(spec?.egress) ? ["Ingress"]'],
    [
      "no rules isolate nobody",
      reference,
      "if (isolating.length === 0) return null;",
      "if (isolating.every(({ spec }) => empty(spec?.[direction]))) return null;",
    ],
    [
      "the own node is judged",
      reference,
      "peer.node.name === subject.pod.node) return",
      "peer.node.name !== peer.node.name) return",
    ],
    [
      "a port's name is looked up on the source",
      reference,
      "const hasNamedPort = ({ to, flow }",
      "const hasNamedPort = ({ peer: to, flow }",
    ],
    ["a named port has every protocol", reference, "one.protocol === flow.protocol && one.number", "one.number"],
    [
      "Pass accepts",
      reference,
      'if (action === "Pass") return null;',
      'if (action === "Pass") return decision("allow", tier, []);',
    ],
    ["families mix", reference, "inner.family === outer.family && ", ""],
  ]),
  ...of("nftables", [
    [
      "subject and peer are swapped",
      "nftables/",
      "{ egress: peerAddress.ingress, ingress: peerAddress.egress }",
      "peerAddress",
    ],
    [
      "no peers of IPv6",
      "nftables/",
      "if (op.to === null) break;",
      'if (op.to === null || (op.kind === "exact" && digit === "6")) break;',
    ],
    [
      "no networks of IPv6",
      "nftables/",
      "if (old.has(text(piece))) continue;",
      'if (old.has(text(piece)) || op.family === "IPv6") continue;',
    ],
    [
      "ranges of ports are lost",
      "nftables/",
      "for (const { protocol, start, end, answer } of ranges) {",
      "for (const { protocol, start, end, answer } of ranges.slice(ranges.length)) {",
    ],
    [
      "answers about a whole protocol are lost",
      "nftables/",
      "for (const { protocol, answer } of protocols) put(",
      "for (const { protocol, answer } of protocols.slice(protocols.length)) put(",
    ],
    ["the last port of a few is left out", "nftables/", "port <= piece.end", "port < piece.end"],
    ["a drop has another's id", "nftables/", "prefix: `${logPrefix}${id} `", "prefix: `${logPrefix}000000000000 `"],
    [
      "who may leave may enter",
      "nftables/",
      '[jump("arrive")],',
      '[is(priority, admitted), accept], [jump("arrive")],',
    ],
    [
      "the input hook is missing",
      "nftables/",
      'hookNames: readonly Hook[] = ["forward", "input"]',
      'hookNames: readonly Hook[] = ["forward"]',
    ],
    ["established is enough", "nftables/", '[states, is("ct mark", mark, mask), accept]', "[states, accept]"],
    [
      "nothing begins an epoch",
      "nftables/",
      "closes(before: PortTable, after: PortTable): boolean {",
      "closes(before: PortTable, after: PortTable): boolean {\n  return false;",
    ],
    [
      "a subject's answer to strangers is lost",
      "nftables/",
      '`meta priority set meta priority & ${subjectMask} map @${name("pair")}`,',
      "",
    ],
    ["old elements stay", "nftables/", "if (op.from !== null) out.remove(map, key);", ""],
    ["a message says goto and means accept", "nftables/", "verdictCode.goto, value.chain", "verdictCode.accept"],
    ["a message compares the other way round", "nftables/", "equal ? 0 : 1", "equal ? 1 : 0"],
  ]),
];
