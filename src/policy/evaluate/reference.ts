/**
 * The second evaluator: `docs/semantics.md` sentence by sentence, on the raw objects, without index, plan or cache. Its only
 * job is to be obviously right; everything else is compared with it. So it imports the model's types and nothing of
 * `net/`, `decode/`, `select/` or `compile/`: defaulting, selectors, addresses and ports are its own.
 *
 * Numbers in comments are rules of that document. Where it leaves a choice the comment says "choice".
 */
import { type LabelSelector, type LabelSelectorRequirement, type Labels, namespaceNameLabel } from "../model/labels.ts";
import {
  type AdminPort,
  type ClusterPeer,
  type ClusterPolicy,
  type ClusterProtocol,
  type ClusterRule,
  type ClusterSubject,
  type DestinationPort,
  type IPBlock,
  type NamespacedPods,
  type NetworkPolicy,
  type NetworkPolicyPeer,
  type NetworkPolicyPort,
  type Policy,
  policyRef,
} from "../model/policy.ts";
import type { Action, Decision, Direction, End, Exemption, Flow, Reason, Tier, Verdict } from "../model/verdict.ts";
import { isFinished, namespacedName, type Pod, type World } from "../model/world.ts";

/** Judges one connection attempt. Finished pods, and hostNetwork pods of an unknown node, are for callers to refuse. */
export function referenceVerdict(world: World, flow: Flow): Verdict {
  const from = meaning(world, flow.from);
  const to = meaning(world, flow.to);
  // A5.1, C6.2: allowed ⇔ egress(source) allows ∧ ingress(destination) allows. A5.3: each by itself.
  const egress = decide({ world, flow, to, direction: "egress", subject: from, peer: to });
  const ingress = decide({ world, flow, to, direction: "ingress", subject: to, peer: from });
  return { allowed: egress.verdict === "allow" && ingress.verdict === "allow", egress, ingress };
}

/** An end, and the addresses by which it takes part, when the question leaves a choice of them. */
type Party = End & { readonly ips: readonly string[] };

/** One direction of one connection attempt. */
interface Question {
  readonly world: World;
  readonly flow: Flow;
  readonly to: Party;
  readonly direction: Direction;
  readonly subject: Party;
  readonly peer: Party;
}

/** Whom an end means (docs/decisions.md). A8.2: a hostNetwork pod is its node. An address of a pod or node means that one. */
function meaning(world: World, end: End): Party {
  if (end.kind === "pod") {
    const { ips, hostNetwork, node: nodeName } = end.pod;
    const node = world.nodes.find(({ name }) => name === nodeName);
    if (!hostNetwork || node === undefined) return { ...end, ips };
    return { kind: "node", node, ips: ips.length > 0 ? ips : node.ips };
  }
  if (end.kind === "node") return { ...end, ips: end.node.ips };
  const ips = [end.address];
  const bits = parseAddress(end.address)?.bits;
  const isIt = (text: string): boolean => parseAddress(text)?.bits === bits;
  const pod = world.pods.find((one) => selectable(one) && one.ips.some(isIt));
  if (pod !== undefined) return { kind: "pod", pod, ips };
  const node = world.nodes.find((one) => one.ips.some(isIt));
  return node !== undefined ? { kind: "node", node, ips } : { ...end, ips };
}

function decide(question: Question): Decision {
  const { flow, direction, subject, peer } = question;
  // A5.2: an end that is no pod is not evaluated.
  if (subject.kind !== "pod") return exempt("no-pod");
  // A7.1, C11.1: a pod to itself is never blocked; A7.2, C11.2: through a Service it is judged.
  if (peer.kind === "pod" && namespacedName(peer.pod) === namespacedName(subject.pod) && flow.viaService !== true)
    return exempt("self");
  // A7.3: ingress from the pod's own node is always allowed. A7.4: from other nodes not. A7.6 (choice): nor egress to it.
  if (direction === "ingress" && peer.kind === "node" && peer.node.name === subject.pod.node) return exempt("own-node");

  // C3.1: Admin → NetworkPolicy → Baseline → allow. C3.2, C6.5: no match and Pass both leave the tier.
  return (
    decideCluster(question, subject.pod, "Admin") ??
    decideNetworkPolicy(question, subject.pod) ??
    decideCluster(question, subject.pod, "Baseline") ??
    decision("allow", "Default", [])
  );
}

const decision = (verdict: Decision["verdict"], tier: Tier, reasons: readonly Reason[]): Decision => ({
  verdict,
  tier,
  exempt: null,
  reasons,
});
const exempt = (exemption: Exemption): Decision => ({ ...decision("allow", "Default", []), exempt: exemption });

const reason = (policy: Policy, rule: number | null, direction: Direction, action: Action): Reason => ({
  policy: policyRef(policy),
  rule,
  action,
  position: policy.source?.position(rule === null ? ["metadata", "name"] : ["spec", direction, rule]) ?? null,
});

/** By Unicode code unit: names are ASCII. */
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

// ---- NetworkPolicy --------------------------------------------------------------------------------------------------

/** null: no policy isolates the subject in this direction, so it is not for this tier to decide (A3.2, C3.5). */
function decideNetworkPolicy(question: Question, subject: Pod): Decision | null {
  const { world, direction } = question;
  // A3.1: isolated ⇔ some policy of the pod's namespace selects it and has the direction among its policyTypes.
  const isolating = world.policies
    .filter((policy) => policy.kind === "NetworkPolicy")
    .filter((policy) => policy.metadata.namespace === subject.namespace)
    .filter((policy) => policyTypes(policy).includes(direction === "ingress" ? "Ingress" : "Egress"))
    // A10.9: a subject selector that cannot be parsed selects every pod of its namespace. A2.7: absent and null = {}.
    .filter((policy) => selectable(subject) && matches(policy.spec?.podSelector ?? {}, subject.labels) !== "no")
    .toSorted((a, b) => byText(a.metadata.name, b.metadata.name));
  if (isolating.length === 0) return null;

  // A4.1: the union over isolating policies (A3.3: over no others) of the union over their rules.
  const allowing = isolating.flatMap((policy) => {
    // A10.9: the rules of a policy whose subject selector cannot be parsed match nothing.
    if (matches(policy.spec?.podSelector ?? {}, subject.labels) === "unparsable") return [];
    const rules =
      direction === "ingress"
        ? (policy.spec?.ingress ?? []).map((rule) => ({ peers: rule.from, ports: rule.ports }))
        : (policy.spec?.egress ?? []).map((rule) => ({ peers: rule.to, ports: rule.ports }));
    return rules.flatMap(({ peers, ports }, i) => {
      // A2.7: no peers = all peers, no ports = all ports of all protocols. A4.2: (any peer) AND (any port).
      const peerMatches = empty(peers) || peers.some((peer) => networkPolicyPeer(question, policy, peer));
      const portMatches = empty(ports) || ports.some((port) => networkPolicyPort(question, port));
      return peerMatches && portMatches ? [reason(policy, i, direction, "Accept")] : [];
    });
  });
  return allowing.length > 0
    ? decision("allow", "NetworkPolicy", allowing)
    : decision(
        "deny",
        "NetworkPolicy",
        isolating.map((policy) => reason(policy, null, direction, "Deny")),
      );
}

/** A2.9: absent, null and [] are the same. */
const empty = <T>(list: readonly T[] | null | undefined): list is null | undefined | readonly [] =>
  list === null || list === undefined || list.length === 0;

function policyTypes({ spec }: NetworkPolicy): readonly string[] {
  // A2.3: given policyTypes are never extended.
  if (!empty(spec?.policyTypes)) return spec?.policyTypes ?? [];
  // A2.1: else Ingress, plus Egress iff egress has at least one element.
  return empty(spec?.egress) ? ["Ingress"] : ["Ingress", "Egress"];
}

function networkPolicyPeer(question: Question, policy: NetworkPolicy, peer: NetworkPolicyPeer): boolean {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const selects = !unset(podSelector) || !unset(namespaceSelector);
  // B5.1, B5.2: a peer with nothing set, or with an ipBlock beside a selector, is no valid peer; choice: matches nothing.
  if (unset(ipBlock)) {
    if (!selects || question.peer.kind !== "pod" || !selectable(question.peer.pod)) return false; // A9.5: selectors match pods only
    const { pod } = question.peer;
    const namespaceMatches = unset(namespaceSelector)
      ? pod.namespace === policy.metadata.namespace // A9.1
      : matches(namespaceSelector, namespaceLabels(question.world, pod.namespace)) === "yes"; // A9.2, A9.7
    // A9.3: both selectors AND; A2.7: no podSelector = all pods of the namespaces chosen.
    return namespaceMatches && matches(podSelector ?? {}, pod.labels) === "yes";
  }
  return !selects && everyAddress(question, (address) => inBlock(address, ipBlock));
}

function networkPolicyPort(question: Question, { protocol, port, endPort }: NetworkPolicyPort): boolean {
  const { flow } = question;
  // A2.4: protocol defaults to TCP. A13.2: protocol and port must match. A15.2: `ports` never matches other protocols.
  const wanted = protocol ?? "TCP";
  if (flow.protocol !== wanted || flow.protocol === "other") return false;
  if (unset(port)) return unset(endPort); // A13.2: every port. B4.8: endPort alone is invalid; choice: matches nothing
  if (typeof port === "string") return unset(endPort) && hasNamedPort(question, port); // A14.3; B4.7 likewise
  return inRange(flow, wanted, port, endPort ?? port); // A13.3, A13.4
}

// ---- Admin and Baseline tiers ---------------------------------------------------------------------------------------

/** null: no rule of the tier matched, or the first that did says Pass (C3.2, C6.5). */
function decideCluster(question: Question, subject: Pod, tier: "Admin" | "Baseline"): Decision | null {
  const { world, direction } = question;
  const policies = world.policies
    .filter((policy) => policy.kind !== "NetworkPolicy")
    .filter((policy) => tierOf(policy) === tier)
    .filter((policy) => subjectMatches(world, policy.spec.subject, subject) !== "no")
    // C4.1: lower number first. C18.1: ClusterNetworkPolicy before the older kinds. C4.3: then by name.
    .toSorted(
      (a, b) =>
        priorityOf(a) - priorityOf(b) || generation(a) - generation(b) || byText(a.metadata.name, b.metadata.name),
    );
  for (const policy of policies) {
    const parsable = subjectMatches(world, policy.spec.subject, subject) === "yes";
    // C3.2: rules of this direction top to bottom, the first that matches decides. C3.3: none, no effect.
    for (const [i, rule] of (policy.spec[direction] ?? []).entries()) {
      const action = judge(question, policy, rule, parsable);
      if (action === "Accept") return decision("allow", tier, [reason(policy, i, direction, "Accept")]);
      if (action === "Deny") return decision("deny", tier, [reason(policy, i, direction, "Deny")]);
      if (action === "Pass") return null; // skips all remaining rules of the tier, also of other objects
    }
  }
  return null;
}

/** C16.1: ANP = Admin, BANP = Baseline. C12.3: an unknown tier is none of ours: the object is not enforced. */
function tierOf({ kind, spec }: ClusterPolicy): string | null {
  if (kind === "AdminNetworkPolicy") return "Admin";
  return kind === "BaselineAdminNetworkPolicy" ? "Baseline" : (spec.tier ?? null);
}

/** C18.1: a BANP has priority 1000. */
const priorityOf = ({ kind, spec }: ClusterPolicy): number =>
  kind === "BaselineAdminNetworkPolicy" ? 1000 : (spec.priority ?? 1000);
const generation = ({ kind }: ClusterPolicy): number => (kind === "ClusterNetworkPolicy" ? 0 : 1);

/** What the rule does to this connection; null when it does not match. */
function judge(question: Question, policy: ClusterPolicy, rule: ClusterRule, parsableSubject: boolean): Action | null {
  const { direction } = question;
  const written = actionOf(policy, rule);
  const accepts = written === "Accept";
  const peers = (direction === "ingress" ? rule.from : rule.to) ?? [];
  const ports = (policy.kind === "ClusterNetworkPolicy" ? rule.protocols : rule.ports) ?? [];
  const ask = (port: ClusterProtocol | AdminPort): boolean | "unknown" =>
    policy.kind === "ClusterNetworkPolicy"
      ? clusterProtocol(question, port as ClusterProtocol)
      : adminPort(question, port as AdminPort);

  // C12.1: a peer with no known field: Accept matches nothing, Deny and Pass deny all. C2: peers are required, so none
  // at all is not understood either (choice).
  if (peers.length === 0 || !peers.every((peer) => isUnderstood(peer, direction, accepts)))
    return accepts ? null : "Deny";
  // A10.9 for cluster subjects (choice): where nobody can say which pods are meant, all may be, so no Accept is granted and
  // whatever Deny and Pass rules match is denied.
  if (!parsableSubject && accepts) return null;

  if (!peers.some((peer) => clusterPeer(question, peer))) return null;
  // C9.1: no protocols, no restriction. C9.4: OR. C12.2: an element with no known field: nothing for Accept, else everything.
  const matching = ports.filter((port) => {
    const answer = ask(port);
    return answer === "unknown" ? !accepts : answer;
  });
  if (ports.length > 0 && matching.length === 0) return null;
  return parsableSubject ? written : "Deny";
}

/** C16.2: v1alpha1 says Allow, and BANP has no Pass. C12.3: an unknown action is Deny. */
function actionOf({ kind }: ClusterPolicy, { action }: ClusterRule): Action {
  if (action === (kind === "ClusterNetworkPolicy" ? "Accept" : "Allow")) return "Accept";
  return action === "Pass" && kind !== "BaselineAdminNetworkPolicy" ? "Pass" : "Deny";
}

function subjectMatches(world: World, subject: ClusterSubject, pod: Pod): Match {
  if (!selectable(pod)) return "no"; // C5.2
  const { namespaces, pods } = subject;
  if (unset(pods) && !unset(namespaces)) return matches(namespaces, namespaceLabels(world, pod.namespace));
  if (unset(namespaces) && !unset(pods)) return podsMatch(world, pods, pod);
  return "unparsable"; // C2: exactly one is required (choice: what is not understood is like what can't be parsed)
}

/** C5.1, C7.1: AND of both selectors; C2: no namespaceSelector = all namespaces. */
function podsMatch(world: World, { podSelector, namespaceSelector }: NamespacedPods, pod: Pod): Match {
  const both = [
    matches(podSelector ?? {}, pod.labels),
    matches(namespaceSelector ?? {}, namespaceLabels(world, pod.namespace)),
  ];
  if (both.includes("no")) return "no"; // choice: the half that can be parsed still narrows a subject
  return both.includes("unparsable") ? "unparsable" : "yes";
}

/**
 * C7.1: ingress peers are namespaces or pods; C8: egress peers also networks, nodes and domainNames. C2: exactly one is set.
 * C8.7: domainNames in a Deny or Pass rule are judged as C12.1; a text that is no CIDR likewise (choice).
 */
function isUnderstood(peer: ClusterPeer, direction: Direction, accepts: boolean): boolean {
  const { namespaces, pods, networks, nodes, domainNames } = peer;
  const set = [!unset(namespaces), !unset(pods)];
  if (direction === "egress") set.push(!unset(nodes), !empty(networks), !empty(domainNames));
  if (set.filter((one) => one).length !== 1) return false;
  if (accepts || direction === "ingress") return true;
  return empty(domainNames) && (networks ?? []).every((text) => parseCidr(text) !== null);
}

function clusterPeer(question: Question, { namespaces, pods, networks, nodes }: ClusterPeer): boolean {
  const { world, peer } = question;
  if (!unset(namespaces) || !unset(pods)) {
    // C7.1, C8.1, C11.4: pods only, hostNetwork pods excluded.
    if (peer.kind !== "pod" || !selectable(peer.pod)) return false;
    return unset(namespaces)
      ? podsMatch(world, pods ?? {}, peer.pod) === "yes"
      : matches(namespaces, namespaceLabels(world, peer.pod.namespace)) === "yes";
  }
  // C8.2: any of the CIDRs, pod and node addresses too.
  if (!empty(networks)) return everyAddress(question, (address) => inUnion(address, networks.map(parseCidr)));
  // C8.5: all addresses of the nodes that match.
  if (!unset(nodes)) return peer.kind === "node" && matches(nodes, peer.node.labels) === "yes";
  return false; // domainNames: no name is known (choice allowed by C8.7)
}

/** "unknown": not exactly one known field is set (C2, C12.2). */
function clusterProtocol(question: Question, element: ClusterProtocol): boolean | "unknown" {
  const { tcp, udp, sctp, destinationNamedPort: name } = element;
  const answers: (boolean | "unknown")[] = [];
  if (!unset(tcp)) answers.push(destinationPort(question.flow, "TCP", tcp.destinationPort));
  if (!unset(udp)) answers.push(destinationPort(question.flow, "UDP", udp.destinationPort));
  if (!unset(sctp)) answers.push(destinationPort(question.flow, "SCTP", sctp.destinationPort));
  if (!unset(name) && name !== "") answers.push(hasNamedPort(question, name)); // C9.5: of its own protocol; C9.8
  return theOnly(answers);
}

function destinationPort(flow: Flow, protocol: string, port: DestinationPort | null | undefined): boolean | "unknown" {
  if (unset(port)) return flow.protocol === protocol; // C9.2: `tcp: {}` = all TCP ports
  const answers: boolean[] = [];
  if (!unset(port.number)) answers.push(inRange(flow, protocol, port.number, port.number));
  if (!unset(port.range)) answers.push(inRange(flow, protocol, port.range.start, port.range.end)); // C9.3: inclusive
  return theOnly(answers);
}

/** C16.4: protocol defaults to TCP; an inverted range matches nothing. A protocol nobody knows is C12.2 (choice). */
function adminPort(question: Question, { portNumber, portRange, namedPort }: AdminPort): boolean | "unknown" {
  const answers: (boolean | "unknown")[] = [];
  const numbers = (written: string | null | undefined, start: number, end: number): void => {
    const protocol = written ?? "TCP";
    const known = ["TCP", "UDP", "SCTP"].includes(protocol);
    answers.push(known ? inRange(question.flow, protocol, start, end) : "unknown");
  };
  if (!unset(portNumber)) numbers(portNumber.protocol, portNumber.port, portNumber.port);
  if (!unset(portRange)) numbers(portRange.protocol, portRange.start, portRange.end);
  if (!unset(namedPort) && namedPort !== "") answers.push(hasNamedPort(question, namedPort));
  return theOnly(answers);
}

const inRange = (flow: Flow, protocol: string, start: number, end: number): boolean =>
  flow.protocol === protocol && start <= flow.port && flow.port <= end;

const theOnly = (answers: readonly (boolean | "unknown")[]): boolean | "unknown" =>
  answers.length === 1 ? (answers[0] ?? "unknown") : "unknown";

// ---- ports by name --------------------------------------------------------------------------------------------------

/**
 * A14.1, A14.2: the name is looked up on the destination pod. A14.3: name, protocol and number must be the packet's. A14.8
 * (choice): of several numbers any. A14.6, C9.6: what is no pod has no names. A14.7: whatever the peer's kind.
 */
const hasNamedPort = ({ to, flow }: Question, name: string): boolean =>
  to.kind === "pod" &&
  to.pod.ports.some((one) => one.name === name && one.protocol === flow.protocol && one.number === flow.port);

// ---- label selectors ------------------------------------------------------------------------------------------------

/** A8.2: hostNetwork pods are never subjects nor matched by selectors. A17.4: nor are finished pods. */
const selectable = (pod: Pod): boolean => !pod.hostNetwork && !isFinished(pod);

const unset = <T>(value: T | null | undefined): value is null | undefined => value === null || value === undefined;

/** A10.7: every namespace has the label of its name, whatever its object says. */
const namespaceLabels = (world: World, name: string): Labels => ({
  ...world.namespaces.find((namespace) => namespace.name === name)?.labels,
  [namespaceNameLabel]: name,
});

type Match = "yes" | "no" | "unparsable";

/** A10.1, A10.2: every requirement must hold; an empty selector has none. */
function matches({ matchLabels, matchExpressions }: LabelSelector, labels: Labels): Match {
  const requirements: LabelSelectorRequirement[] = [
    ...Object.entries(matchLabels ?? {}).map(([key, value]) => ({ key, operator: "In", values: [value] })),
    ...(matchExpressions ?? []),
  ];
  if (!requirements.every(isParsable)) return "unparsable";
  return requirements.every((requirement) => holds(requirement, labels)) ? "yes" : "no";
}

/** A10.3 to A10.5: exact comparison; a missing key is not the empty value. */
function holds({ key, operator, values }: LabelSelectorRequirement, labels: Labels): boolean {
  const present = Object.hasOwn(labels, key);
  const listed = present && (values ?? []).includes(labels[key] ?? "");
  switch (operator) {
    case "In":
      return listed;
    case "NotIn":
      return !listed;
    case "Exists":
      return present;
    default: // DoesNotExist: `isParsable` leaves no other
      return !present;
  }
}

/** B3.1 to B3.6: what the server's parser accepts. */
function isParsable({ key, operator, values }: LabelSelectorRequirement): boolean {
  const parts = key.split("/");
  const name = parts.at(-1) ?? "";
  const keyIsValid =
    parts.length <= 2 && name !== "" && isLabelValue(name) && (parts.length === 1 || isSubdomain(parts[0] ?? ""));
  if (operator === "In" || operator === "NotIn") return keyIsValid && !empty(values) && values.every(isLabelValue);
  return keyIsValid && (operator === "Exists" || operator === "DoesNotExist") && empty(values);
}

const isLabelValue = (text: string): boolean =>
  text.length <= 63 && /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/.test(text);
const isSubdomain = (text: string): boolean =>
  text.length <= 253 && text.split(".").every((part) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(part));

// ---- addresses ------------------------------------------------------------------------------------------------------

/** The leading bits of an address as text of 0 and 1: all of them for an address, the prefix for a CIDR. */
interface Bits {
  readonly family: Flow["family"];
  readonly bits: string;
}

/**
 * Does the peer match for every address that it may have? A11.2: the peer's address. Ends have one, but a pod without an
 * address may get any of the pod CIDRs, or of the family where these are unknown (docs/decisions.md); a node of several
 * addresses is asked about by its first of the family (choice).
 */
function everyAddress({ world, flow, peer }: Question, test: (address: Bits) => boolean): boolean {
  const ofFamily = (texts: readonly string[], parse: (text: string) => Bits | null): readonly Bits[] =>
    texts.map(parse).filter((bits): bits is Bits => bits?.family === flow.family);
  if (peer.kind !== "pod" || peer.ips.length > 0) return ofFamily(peer.ips, parseAddress).slice(0, 1).some(test);
  const possible = ofFamily(world.cluster.podCIDRs, parseCidr);
  return possible.length > 0 ? possible.every(test) : test({ family: flow.family, bits: "" });
}

/** A11.1: inside `cidr` and inside no `except`. A text that is no CIDR makes the block match nothing (choice). */
function inBlock(address: Bits, { cidr, except }: IPBlock): boolean {
  const excepts = (except ?? []).map(parseCidr);
  if (excepts.includes(null)) return false;
  return (
    inUnion(address, [parseCidr(cidr)]) &&
    !excepts.some((one) => one !== null && (within(address, one) || within(one, address)))
  );
}

/** Is every address of `inner` in `outer`? A11.3: families do not mix. */
const within = (inner: Bits, outer: Bits): boolean =>
  inner.family === outer.family && inner.bits.startsWith(outer.bits);

/** Is every address of `inner` in some network? Halves it until one network holds the part or none begins in it. */
function inUnion(inner: Bits, networks: readonly (Bits | null)[]): boolean {
  if (networks.some((network) => network !== null && within(inner, network))) return true;
  if (!networks.some((network) => network !== null && within(network, inner))) return false;
  return ["0", "1"].every((bit) => inUnion({ ...inner, bits: inner.bits + bit }, networks));
}

function parseCidr(text: string): Bits | null {
  const [address, length, ...more] = text.split("/");
  if (address === undefined || length === undefined || more.length > 0 || !/^[0-9]+$/.test(length)) return null;
  const bits = address.includes(":") ? ipv6Bits(address) : ipv4Bits(address);
  if (bits === null || Number(length) > bits.length) return null;
  return fold(bits.slice(0, Number(length)), bits.length); // A11.5: host bits are masked
}

function parseAddress(text: string): Bits | null {
  const bits = text.includes(":") ? ipv6Bits(text) : ipv4Bits(text);
  return bits === null ? null : fold(bits, bits.length);
}

const mapped = "0".repeat(80) + "1".repeat(16);

/** A11.7: what lies in ::ffff:0:0/96 is IPv4. */
function fold(bits: string, width: number): Bits {
  if (width === 32) return { family: "IPv4", bits };
  return bits.startsWith(mapped) ? { family: "IPv4", bits: bits.slice(96) } : { family: "IPv6", bits };
}

/** A11.6: octets are decimal, leading zeros or not. */
function ipv4Bits(text: string): string | null {
  const octets = text.split(".");
  if (octets.length !== 4 || !octets.every((octet) => /^[0-9]+$/.test(octet) && Number(octet) <= 255)) return null;
  return octets.map((octet) => Number(octet).toString(2).padStart(8, "0")).join("");
}

/** RFC 4291 section 2.2: eight groups, one run of zeros left out as `::`, the last two groups possibly as IPv4. */
function ipv6Bits(text: string): string | null {
  const tail = /[^:]*\.[^:]*$/.exec(text)?.[0];
  const tailBits = tail === undefined ? "" : ipv4Bits(tail);
  if (tailBits === null) return null;
  const hex = tail === undefined ? text : `${text.slice(0, -tail.length)}0:0`; // stands for the 32 bits of the tail
  const halves = hex.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const written = halves.flat();
  const missing = 8 - written.length;
  if (halves.length > 2 || (halves.length === 2 ? missing < 1 : missing !== 0)) return null;
  if (!written.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return null;
  const zeros = Array.from({ length: missing }, () => "0");
  const groups = [...(halves[0] ?? []), ...zeros, ...(halves[1] ?? [])];
  const bits = groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join("");
  return bits.slice(0, 128 - tailBits.length) + tailBits;
}
