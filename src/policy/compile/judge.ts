/** How a policy class judges a peer class, over all ports at once (spec C3, A4). */
import { PortSet } from "../../net/ports.ts";
import type { Decision, PortDecision, Tier } from "../model/verdict.ts";
import type { ContainerPort } from "../model/world.ts";
import type { PeerClass, PlanRule, PolicyClass } from "./plan.ts";

/** What of a policy class is needed to judge, by the group that makes a rule match. */
interface Docket {
  readonly always: readonly number[];
  readonly byGroup: ReadonlyMap<number, readonly number[]>;
  /** Names to look up on the destination; empty for ingress, where `ownPorts` are the class's own. */
  readonly peerNames: ReadonlySet<string>;
  /** By what the class sees of a peer. */
  readonly decided: Map<string, readonly PortDecision[]>;
}

const defaultAllow: Decision = { verdict: "allow", tier: "Default", exempt: null, reasons: [] };

/** What a subject's rules have to do with a peer. */
interface Matched {
  readonly docket: Docket;
  /** Groups of the peer that the rules mention. */
  readonly groups: readonly number[];
  /** Container ports of the peer that the rules may name. */
  readonly ports: readonly ContainerPort[];
}

/** Judges classes; see `Plan`. What it remembers lives as long as the policy class does. */
export class ClassJudge {
  readonly #dockets = new WeakMap<PolicyClass, Docket>();

  /** Memoised. */
  decisions(subject: PolicyClass, peer: PeerClass): readonly PortDecision[] {
    const matched = this.#match(subject, peer);
    const { docket, groups, ports } = matched;
    const seen = ports.length === 0 ? groups.join() : `${groups.join()} ${portsKey(ports)}`;
    let decided = docket.decided.get(seen);
    if (decided === undefined) {
      decided = decide(subject, matchingRules(subject, matched), destinationPorts(subject, matched));
      docket.decided.set(seen, decided);
    }
    return decided;
  }

  /** Remembers nothing. */
  allowed(subject: PolicyClass, peer: PeerClass): PortSet {
    const matched = this.#match(subject, peer);
    return allowedPorts(subject, matchingRules(subject, matched), destinationPorts(subject, matched));
  }

  #match(subject: PolicyClass, peer: PeerClass): Matched {
    let docket = this.#dockets.get(subject);
    if (docket === undefined) {
      docket = docketOf(subject);
      this.#dockets.set(subject, docket);
    }
    const { byGroup, peerNames } = docket;
    return {
      docket,
      groups: peer.groups.filter((group) => byGroup.has(group)),
      ports: peerNames.size === 0 ? noPorts : peer.ports.filter(({ name }) => peerNames.has(name)),
    };
  }
}

/** In order of judgement. */
function matchingRules(subject: PolicyClass, { docket, groups }: Matched): readonly PlanRule[] {
  const indices = new Set([...docket.always, ...groups.flatMap((group) => docket.byGroup.get(group)!)]);
  return [...indices].sort((a, b) => a - b).map((index) => subject.rules[index]!);
}

const destinationPorts = (subject: PolicyClass, { ports }: Matched): readonly ContainerPort[] =>
  subject.direction === "ingress" ? subject.ownPorts : ports;

const noPorts: readonly ContainerPort[] = [];

export const portsKey = (ports: readonly ContainerPort[]): string =>
  ports.map(({ name, number, protocol }) => `${name}:${protocol}:${number}`).join();

function docketOf({ rules, direction }: PolicyClass): Docket {
  const always: number[] = [];
  const byGroup = new Map<number, number[]>();
  const peerNames = new Set<string>();
  for (const [index, rule] of rules.entries()) {
    if (rule.peers === "everything") always.push(index);
    else {
      for (const { id } of rule.peers) {
        const list = byGroup.get(id);
        if (list === undefined) byGroup.set(id, [index]);
        else list.push(index);
      }
    }
    if (direction === "egress") for (const { name } of rule.ports.named) peerNames.add(name);
  }
  return { always, byGroup, peerNames, decided: new Map() };
}

/** `rules` are those whose peers match, in order of judgement; `ports` the destination's container ports. */
function decide(
  subject: PolicyClass,
  rules: readonly PlanRule[],
  ports: readonly ContainerPort[],
): readonly PortDecision[] {
  const pieces: PortDecision[] = [];
  const ofTier = (tier: Tier) => rules.filter((rule) => rule.tier === tier);
  let undecided = firstMatch(ofTier("Admin"), ports, PortSet.all, pieces);
  if (subject.isolating.length > 0) {
    const denied = anyMatch(ofTier("NetworkPolicy"), ports, undecided, pieces);
    const decision: Decision = { verdict: "deny", tier: "NetworkPolicy", exempt: null, reasons: subject.isolating };
    if (!denied.isEmpty) pieces.push({ ports: denied, decision });
    return pieces; // final for isolated pods: C3.4
  }
  undecided = firstMatch(ofTier("Baseline"), ports, undecided, pieces);
  if (!undecided.isEmpty) pieces.push({ ports: undecided, decision: defaultAllow });
  return pieces;
}

/** What `decide` allows, all in all. */
function allowedPorts(subject: PolicyClass, rules: readonly PlanRule[], ports: readonly ContainerPort[]): PortSet {
  // Most subjects are isolated and know no tier but the NetworkPolicies', of which any that matches allows (spec A4.1).
  if (subject.isolating.length > 0 && rules.every((rule) => rule.tier === "NetworkPolicy"))
    return rules.reduce((all, rule) => all.union(rulePorts(rule, ports)), PortSet.empty);
  let allowed = PortSet.empty;
  for (const piece of decide(subject, rules, ports))
    if (piece.decision.verdict === "allow") allowed = allowed.union(piece.ports);
  return allowed;
}

/** The first rule that matches decides or passes (spec C3.2, C6.5); returns the ports left to the next tier. */
function firstMatch(
  rules: readonly PlanRule[],
  ports: readonly ContainerPort[],
  scope: PortSet,
  pieces: PortDecision[],
): PortSet {
  let left = scope;
  let passed = PortSet.empty;
  for (const rule of rules) {
    const hit = rulePorts(rule, ports).intersect(left);
    if (hit.isEmpty) continue;
    left = left.minus(hit);
    if (rule.action === "Pass") passed = passed.union(hit);
    else {
      const verdict = rule.action === "Accept" ? "allow" : "deny";
      pieces.push({ ports: hit, decision: { verdict, tier: rule.tier, exempt: null, reasons: [rule.reason] } });
    }
  }
  return left.union(passed);
}

/** Ports that are in the same ones of some sets; never empty. */
interface Atom {
  readonly ports: PortSet;
  /** Keys of the sets. */
  readonly sets: readonly string[];
}

function split(atom: Atom, key: string, set: PortSet): Atom[] {
  const inside = atom.ports.intersect(set);
  if (inside.isEmpty) return [atom];
  const parts = [{ ports: inside, sets: [...atom.sets, key] }];
  const outside = atom.ports.minus(inside);
  return outside.isEmpty ? parts : [...parts, { ports: outside, sets: atom.sets }];
}

/** Every rule that matches allows (spec A4.1): one piece for each set of rules that allow; returns what none allows. */
function anyMatch(
  rules: readonly PlanRule[],
  ports: readonly ContainerPort[],
  scope: PortSet,
  pieces: PortDecision[],
): PortSet {
  const sets = new Map<string, PortSet>();
  const setOf = rules.map((rule) => {
    const set = rulePorts(rule, ports);
    sets.set(set.key, set);
    return set.key;
  });
  let atoms: readonly Atom[] = [{ ports: scope, sets: [] }];
  for (const [key, set] of sets) atoms = atoms.flatMap((atom) => split(atom, key, set));
  let denied = PortSet.empty;
  for (const atom of atoms) {
    if (atom.sets.length === 0) denied = atom.ports;
    else {
      const reasons = rules.filter((_, index) => atom.sets.includes(setOf[index]!)).map((rule) => rule.reason);
      pieces.push({ ports: atom.ports, decision: { verdict: "allow", tier: "NetworkPolicy", exempt: null, reasons } });
    }
  }
  return denied;
}

/** The rule's ports on a destination with these container ports; a name can have several numbers (spec A14.3, A14.8). */
function rulePorts({ ports: { fixed, named } }: PlanRule, ports: readonly ContainerPort[]): PortSet {
  if (named.length === 0) return fixed;
  const found = ports.filter((port) =>
    named.some(({ name, protocol }) => name === port.name && (protocol ?? port.protocol) === port.protocol),
  );
  if (found.length === 0) return fixed;
  return fixed.union(PortSet.of(found.map(({ protocol, number }) => ({ protocol, start: number, end: number }))));
}
