/** Puts the engine beside the reference and finds the first question that they answer differently. */
import type { Decision, Flow, Verdict } from "../../src/policy/model/verdict.ts";
import type { World } from "../../src/policy/model/world.ts";
import { aliasesOf, endsOf, pairsBetween, pairsOf, protocolPorts } from "../../src/policy/world.arbitrary.ts";
import { type Evaluator, reference } from "./evaluators.ts";

export interface Disagreement {
  readonly flow: Flow;
  readonly engine: Verdict;
  readonly reference: Verdict;
}

export interface Asking {
  /** Asks every n-th protocol and port only, beginning elsewhere at every pair; default 1. */
  readonly everyNth?: number;
  /** Counts what was asked, over several comparisons. */
  readonly tally?: { verdicts: number; denied: number };
  /** What is compared with; default the reference. */
  readonly law?: Evaluator;
}

/**
 * Asks both about the pairs of ends of a world, every family that both have, every protocol and boundary port. Verdict,
 * tier, exemption and reasons must be the same. Two nodes are asked about one port: spec A5.2 decides.
 */
export function firstDisagreement(
  world: World,
  ask: (flow: Flow) => Verdict,
  { everyNth = 1, tally = { verdicts: 0, denied: 0 }, law: lawgiver = reference }: Asking = {},
): Disagreement | null {
  const askLaw = lawgiver.open(world);
  const ends = endsOf(world);
  const aliases = aliasesOf(world);
  const pairs = [...pairsOf(world), ...pairsBetween(ends, aliases), ...pairsBetween(aliases, ends)];
  for (const [i, pair] of pairs.entries()) {
    const podless = pair.from.kind === "node" && pair.to.kind === "node";
    for (let at = i % everyNth; at < (podless ? 1 : protocolPorts.length); at += everyNth) {
      const flow: Flow = { ...pair, ...protocolPorts[at]! };
      const [mine, law] = [ask(flow), askLaw(flow)];
      tally.verdicts++;
      if (!law.allowed) tally.denied++;
      if (!sameVerdict(mine, law)) return { flow, engine: mine, reference: law };
    }
  }
  return null;
}

/** Verdict, tier, exemption and reasons. */
export const sameVerdict = (a: Verdict, b: Verdict): boolean =>
  a.allowed === b.allowed && sameDecision(a.egress, b.egress) && sameDecision(a.ingress, b.ingress);

const sameDecision = (a: Decision, b: Decision): boolean =>
  a.verdict === b.verdict &&
  a.tier === b.tier &&
  a.exempt === b.exempt &&
  a.reasons.length === b.reasons.length &&
  a.reasons.every((one, i) => {
    const other = b.reasons[i]!;
    return (
      one.rule === other.rule &&
      one.action === other.action &&
      one.policy.kind === other.policy.kind &&
      one.policy.namespace === other.policy.namespace &&
      one.policy.name === other.policy.name &&
      JSON.stringify(one.position) === JSON.stringify(other.position)
    );
  });
