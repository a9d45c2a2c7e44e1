/** Verdicts over a plan, for one flow and for all ports at once (spec A5, A7, C3). */
import { type Family, parseAddress } from "../../net/address.ts";
import { PortSet } from "../../net/ports.ts";
import type { PeerClass, Plan } from "../compile/plan.ts";
import type { Decision, Direction, End, Exemption, Flow, PortDecision, Verdict } from "../model/verdict.ts";
import { isFinished, type Node, namespacedName, type Pod } from "../model/world.ts";

export interface DecisionOptions {
  /** See `Flow.viaService`. */
  readonly viaService?: boolean;
}

/** Both directions of a pair; in each, disjoint pieces that together cover `PortSet.all`. */
export interface PairDecisions {
  readonly egress: readonly PortDecision[];
  readonly ingress: readonly PortDecision[];
}

/** The pod or node that has an address, or the address itself. */
export const endOfAddress = (plan: Plan, address: string): End => plan.endAt(address) ?? { kind: "address", address };

/**
 * May `flow.from` open this connection, and who says so?
 *
 * @throws RangeError for a port that the protocol does not have, an address that is none, a pod that the plan does not have.
 */
export function evaluate(plan: Plan, flow: Flow): Verdict {
  const { protocol, port } = flow;
  if (!PortSet.all.has(protocol, port)) throw new RangeError(`${protocol} has no port ${port}`);
  const { egress, ingress } = decisions(plan, flow.from, flow.to, flow.family, flow);
  const at = (pieces: readonly PortDecision[]): Decision =>
    pieces.find(({ ports }) => ports.has(protocol, port))!.decision;
  const verdict = { egress: at(egress), ingress: at(ingress) };
  return { allowed: verdict.egress.verdict === "allow" && verdict.ingress.verdict === "allow", ...verdict };
}

/**
 * What each direction decides, for every port of every protocol.
 *
 * Ends that are an address of a pod or a node mean that pod or node; a pod on the host network means its node (spec A8.2).
 */
export function decisions(
  plan: Plan,
  from: End,
  to: End,
  family: Family,
  { viaService = false }: DecisionOptions = {},
): PairDecisions {
  const source = resolve(plan, from, family);
  const destination = resolve(plan, to, family);
  const itself =
    source.kind === "pod" &&
    destination.kind === "pod" &&
    namespacedName(source.pod) === namespacedName(destination.pod);
  if (itself && !viaService) return { egress: exempt("self"), ingress: exempt("self") }; // A7.1, C11.1; else A7.2, C11.2
  const ownNode =
    source.kind === "node" && destination.kind === "pod" && destination.pod.node !== null
      ? source.node.name === destination.pod.node
      : false;
  return {
    egress: judge(plan, source, destination, family, "egress"),
    ingress: ownNode ? exempt("own-node") : judge(plan, destination, source, family, "ingress"), // A7.3; not egress: A7.6
  };
}

/** The ports on which `from` may open a connection to `to`: allowed by egress and by ingress (spec A5.1). */
export function allowedPorts(plan: Plan, from: End, to: End, family: Family, options?: DecisionOptions): PortSet {
  const { egress, ingress } = decisions(plan, from, to, family, options);
  return portsOf(egress, "allow").intersect(portsOf(ingress, "allow"));
}

/** The ports of one direction's decisions that have a verdict. */
export function portsOf(pieces: readonly PortDecision[], verdict: Decision["verdict"]): PortSet {
  let ports = PortSet.empty;
  for (const piece of pieces) if (piece.decision.verdict === verdict) ports = ports.union(piece.ports);
  return ports;
}

/** An end as policies see it; a node without an address of the family asked has `null`. */
type Party =
  | { readonly kind: "pod"; readonly pod: Pod }
  | { readonly kind: "node"; readonly node: Node; readonly address: string | null }
  | { readonly kind: "address"; readonly address: string };

function resolve(plan: Plan, end: End, family: Family): Party {
  const told = end.kind === "address" ? endOfAddress(plan, end.address) : end;
  if (told.kind === "address") return told;
  if (told.kind === "node") {
    const address = end.kind === "address" ? end.address : addressOf(told.node.ips, family);
    return { kind: "node", node: told.node, address };
  }
  const { pod } = told;
  if (!pod.hostNetwork && !isFinished(pod)) return told;
  const address = addressOf(pod.ips, family);
  if (pod.hostNetwork) {
    const node = pod.node === null ? unknownNode : (plan.nodes.get(pod.node) ?? { ...unknownNode, name: pod.node });
    return { kind: "node", node, address: addressOf(node.ips, family) ?? address };
  }
  // A finished pod takes part in nothing: what it had is an address like any other (A17.4).
  return address === null ? { kind: "node", node: unknownNode, address } : { kind: "address", address };
}

const addressOf = (ips: readonly string[], family: Family): string | null =>
  ips.find((text) => parseAddress(text)?.family === family) ?? null;

function judge(plan: Plan, subject: Party, peer: Party, family: Family, direction: Direction): readonly PortDecision[] {
  if (subject.kind !== "pod") return exempt("no-pod");
  return plan.judge(plan.policyClass(subject.pod, direction), peerOf(plan, peer, family, direction));
}

function peerOf(plan: Plan, party: Party, family: Family, direction: Direction): PeerClass {
  switch (party.kind) {
    case "pod":
      return plan.podPeer(party.pod, family, direction);
    case "node":
      return plan.nodePeer(party.node, party.address ?? "", direction);
    case "address":
      return plan.addressPeer(party.address, direction);
  }
}

/** The node of a pod on the host network of which nothing else is known; no pod is on a node of this name. */
const unknownNode: Node = { name: "", labels: {}, ips: [], podCIDRs: [], source: null };

const exempt = (exemption: Exemption): readonly PortDecision[] => exemptions[exemption];

const exemptions = Object.fromEntries(
  (["self", "own-node", "no-pod"] as const).map((exemption): [Exemption, readonly PortDecision[]] => [
    exemption,
    [{ ports: PortSet.all, decision: { verdict: "allow", tier: "Default", exempt: exemption, reasons: [] } }],
  ]),
) as Record<Exemption, readonly PortDecision[]>;
