/** "Can FROM reach TO on PORT?", for single ends and for sets. */
import { type Family, families } from "../../net/address.ts";
import { PortSet, type Protocol } from "../../net/ports.ts";
import type { Plan } from "../compile/plan.ts";
import { decisions, evaluate } from "../evaluate/evaluate.ts";
import type { Flow, Verdict } from "../model/verdict.ts";
import { askedPorts } from "./asked-ports.ts";
import { addressEndpoint, type Endpoint, endOf } from "./endpoint.ts";
import { directionEntry, portDirectionEntries, portEntries } from "./entries.ts";
import { withHypothetical } from "./hypothetical.ts";
import { isSelf } from "./judge.ts";
import { notesOn } from "./notes.ts";
import { anyPort, formatPort, type PortReference } from "./port-reference.ts";
import { type Quantified, type Question, quantify, type Witness } from "./quantify.ts";
import type { Reference } from "./reference.ts";
import { type Resolved, resolveAll } from "./resolve.ts";
import { type Answer, apiVersion, type FlowEntry, isProblem, type Note, type Ports, type Problem } from "./types.ts";

export interface AskOptions {
  readonly from: Reference;
  readonly to: Reference;
  /** Default: every port of TCP, UDP and SCTP. */
  readonly port?: PortReference;
  /** Default: every family that both ends of a pair have. */
  readonly family?: Family;
  /** Ends that are left out of `from`. */
  readonly except?: readonly Reference[];
}

/** What was asked and found, with the ends: for readers that need more than the plain answer. */
export interface Asked {
  /** The plan with the hypothetical pods of the question. */
  readonly plan: Plan;
  readonly from: Resolved;
  readonly to: Resolved;
  readonly port: PortReference;
  readonly question: Question;
  readonly found: Quantified;
  /** Every port asked of some destination. */
  readonly ports: PortSet;
  /** The pair that `egress` and `ingress` of the answer tell of. */
  readonly told: Witness;
  readonly answer: Answer;
}

/**
 * Allowed when every pair of ends, on every port asked, over every family that both have, is allowed. A problem when a
 * reference names nothing, a port does not exist, or no pair is left to ask.
 *
 * @example ask(plan, {from: parseReference("web", shop), to: parseReference("svc/db", shop), port: parsePort("5432")})
 */
export function ask(plan: Plan, options: AskOptions): Answer | Problem {
  const asked = askInDetail(plan, options);
  return isProblem(asked) ? asked : asked.answer;
}

/** `ask`, with the ends and sets behind the answer. */
export function askInDetail(real: Plan, { port = anyPort, ...options }: AskOptions): Asked | Problem {
  const references = [options.from, options.to, ...(options.except ?? [])];
  const plan = withHypothetical(real, references);
  const all = resolveAll(plan, references);
  if (isProblem(all)) return all;
  const [from, to, ...except] = all as [Resolved, Resolved, ...Resolved[]];
  const left = without(from, except);
  const ports = askedPorts(to, port);
  if (isProblem(ports)) return ports;
  const replicas = isReplicas(left, Array.from(ports.of.keys()));
  const question: Question = {
    from: left,
    to: ports.of,
    families: options.family === undefined ? families : [options.family],
    // between replicas too, the two ends have the same labels but are not the same pod
    viaService: replicas || (to.service !== null && !to.service.headless),
  };
  const found = quantify(plan, question);
  const told = found.counterexample ?? found.first;
  if (told === null) return nothingAsked(from, to, found, options.family);
  const total = Array.from(ports.of.values()).reduce((a, b) => (a === b ? a : a.union(b)), PortSet.empty);
  const replicaNotes: readonly Note[] = replicas ? [{ note: "between-replicas", endpoint: left[0]!.ref }] : [];
  const notes = [...from.notes, ...to.notes, ...ports.notes, ...replicaNotes, ...notesOn(plan, question, found)];
  const answer: Answer = {
    apiVersion,
    kind: "Verdict",
    from: from.ref,
    to: to.ref,
    ...onePort(total),
    asked: formatPort(port),
    allowed: found.counterexample === null,
    partly: found.example !== null,
    ...bothDirections(verdictOf(plan, told, question.viaService)),
    pairs: found.pairs,
    ...portsOf(found, total),
    ...(found.counterexample === null ? {} : { counterexample: flowEntry(found.counterexample) }),
    ...(found.counterexample === null || found.example === null ? {} : { example: flowEntry(found.example) }),
    ...(found.pairs === 1 ? { decisions: byDirection(plan, told, question.viaService) } : {}),
    notes,
  };
  return { plan, from, to, port, question, found, ports: total, told, answer };
}

/**
 * Is a template asked about itself that may stand for several pods? One replica calling another is judged: only a pod and
 * itself are exempt (spec A7.1).
 */
function isReplicas([from, ...more]: readonly Endpoint[], [to, ...others]: readonly Endpoint[]): boolean {
  if (from === undefined || to === undefined || more.length + others.length > 0 || !isSelf(from, to)) return false;
  return from.kind === "pod" && from.pod.template && from.pod.replicas !== 1 && from.pod.replicas !== 0;
}

function onePort(ports: PortSet): { protocol: Protocol | null; port: number | null } {
  const [first, more] = ports.ranges();
  if (first === undefined || more !== undefined || first.start !== first.end) return { protocol: null, port: null };
  return { protocol: first.protocol, port: first.start };
}

function portsOf(found: Quantified, total: PortSet): Pick<Answer, "ports" | "families"> {
  const denied = Array.from(found.denied.values()).reduce((a, b) => a.union(b), PortSet.empty);
  const ports = { allowed: portEntries(total.minus(denied)), denied: portEntries(denied) };
  return { ports, ...familyPorts((family) => found.denied.get(family) && total.minus(found.denied.get(family)!)) };
}

/** `{families}` when both families were asked and differ. */
function familyPorts(of: (family: Family) => PortSet | undefined): { families?: Record<Family, Ports> } {
  const IPv4 = of("IPv4");
  const IPv6 = of("IPv6");
  if (IPv4 === undefined || IPv6 === undefined || IPv4.equals(IPv6)) return {};
  return { families: { IPv4: portEntries(IPv4), IPv6: portEntries(IPv6) } };
}

/** The flow of a pair on the first of the ports. */
export function flowOf({ from, fromFace, to, toFace, family, ports }: Witness, viaService: boolean): Flow {
  const [first] = ports.ranges();
  return {
    from: endOf(from, fromFace),
    to: endOf(to, toFace),
    family,
    protocol: first!.protocol,
    port: first!.start,
    viaService,
  };
}

export const verdictOf = (plan: Plan, witness: Witness, viaService: boolean): Verdict =>
  evaluate(plan, flowOf(witness, viaService));

const bothDirections = ({ egress, ingress }: Verdict): Pick<Answer, "egress" | "ingress"> => ({
  egress: directionEntry(egress),
  ingress: directionEntry(ingress),
});

function byDirection(plan: Plan, { from, fromFace, to, toFace, family, asked }: Witness, viaService: boolean) {
  const pieces = decisions(plan, endOf(from, fromFace), endOf(to, toFace), family, { viaService });
  return {
    egress: portDirectionEntries(pieces.egress, asked),
    ingress: portDirectionEntries(pieces.ingress, asked),
  };
}

export function flowEntry({ from, fromFace, to, toFace, family, ports }: Witness): FlowEntry {
  const [first] = ports.ranges();
  const name = (end: Endpoint, address: string | null): string =>
    end.kind === "addresses" && address !== null ? address : end.ref;
  return {
    from: name(from, fromFace.address),
    to: name(to, toFace.address),
    protocol: first!.protocol,
    port: first!.start,
    family,
  };
}

/** The ends of a set but those that other sets name; ranges lose the addresses. */
function without({ ends }: Resolved, except: readonly Resolved[]): readonly Endpoint[] {
  const left = new Set<object>();
  for (const { ends: out } of except)
    for (const end of out) if (end.kind !== "addresses") left.add(end.kind === "pod" ? end.pod : end.node);
  const gone = except.flatMap(({ ends: out }) => out).filter((end) => end.kind === "addresses");
  return ends.flatMap((end): readonly Endpoint[] => {
    if (end.kind !== "addresses") return left.has(end.kind === "pod" ? end.pod : end.node) ? [] : [end];
    const set = gone.reduce((rest, { set: out }) => rest.minus(out), end.set);
    if (set.isEmpty) return [];
    const peers = (end.faces.IPv4[0] ?? end.faces.IPv6[0])!.peers;
    return [set === end.set ? end : addressEndpoint(set, peers)];
  });
}

function nothingAsked(from: Resolved, to: Resolved, found: Quantified, family: Family | undefined): Problem {
  const pair = `${from.ref} and ${to.ref}`;
  if (found.withoutFamily > 0)
    return {
      problem: "no-common-family",
      message: family === undefined ? `${pair} have no address family in common` : `${pair} do not both have ${family}`,
    };
  return { problem: "nothing-to-ask", message: `no pair is left to ask between ${pair}` };
}
