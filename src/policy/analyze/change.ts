/** The smallest list of edits that turns an answer round, found by trying edits on a copy of the world. */
import { PortSet } from "../../net/ports.ts";
import { compile } from "../compile/live-plan.ts";
import { type Plan, policyKey } from "../compile/plan.ts";
import { decisions } from "../evaluate/evaluate.ts";
import { policyRef } from "../model/policy.ts";
import { type Direction, directions, type Exemption, type Outcome, type Reason } from "../model/verdict.ts";
import type { World } from "../model/world.ts";
import { type Asked, type AskOptions, askInDetail } from "./ask.ts";
import { type Candidate, closingCandidates, narrowing, openingCandidates, type Situation } from "./candidates.ts";
import { applyChange, type Draft, parsePath } from "./edits.ts";
import { type Endpoint, endOf, type PodEndpoint } from "./endpoint.ts";
import { worldOf } from "./hypothetical.ts";
import type { Pair, Witness } from "./quantify.ts";
import { formatReference } from "./reference.ts";
import type { Resolved } from "./resolve.ts";
import { targetOf } from "./rule-forms.ts";
import { isProblem, type Unchangeable } from "./types.ts";

export interface FoundChange {
  readonly edits: readonly Draft[];
  /** Other lists that do the same with as many edits. */
  readonly alternatives: readonly (readonly Draft[])[];
  /** Set when there is no change. */
  readonly unchangeable: Unchangeable | null;
}

const none = (unchangeable: Unchangeable): FoundChange => ({
  edits: [],
  alternatives: [],
  unchangeable,
});

/** Of a set, pairs that need edits of their own; more than these is no small change. */
const maxRounds = 6;
/** Rules that stand in the way of one pair, in one direction. */
const maxSteps = 6;
const maxAlternatives = 3;

/**
 * Edits after which the answer is the other one: a denied question is allowed altogether, an allowed one is denied
 * altogether. Edits of what exists, and new NetworkPolicies, are tried; new cluster policies are not.
 */
export function findChange(asked: Asked, options: AskOptions): FoundChange {
  const goal: Outcome = asked.answer.allowed ? "deny" : "allow";
  const first = smallWorld(asked);
  let world = first;
  let current = asked;
  let edits: readonly Draft[] = [];
  let alternatives: FoundChange["alternatives"] = [];
  for (let round = 0; round < maxRounds; round++) {
    const pair = goal === "allow" ? current.found.counterexample : current.found.example;
    if (pair === null) break;
    const step = new PairChange(asked, world, current, pair, goal).find();
    if (step.unchangeable !== null) return none(step.unchangeable);
    edits = [...edits, ...step.edits];
    if (round === 0) alternatives = step.alternatives;
    world = applyChange(world, step.edits);
    const next = askInDetail(compile(world), options);
    if (isProblem(next)) return none("no-expression");
    current = next;
  }
  if (!isTurned(current, goal)) return none("many-edits");
  // what does it for the pair that they were found by need not do it for all
  const doesAll = (list: readonly Draft[]): boolean => {
    const after = askInDetail(compile(applyChange(first, list)), options);
    return !isProblem(after) && isTurned(after, goal);
  };
  // each pair's best edits may be more than one edit that is the best for none of them
  const shorter = alternatives.find((list) => list.length < edits.length && doesAll(list));
  if (shorter !== undefined) return { edits: shorter, alternatives: [], unchangeable: null };
  const others = alternatives.filter((list) => list.length === edits.length).slice(0, maxAlternatives);
  return { edits, alternatives: others.filter(doesAll), unchangeable: null };
}

const isTurned = ({ answer }: Asked, goal: Outcome): boolean => (goal === "allow" ? answer.allowed : !answer.partly);

/** All that the question depends on: policies that no end of it is a subject of are left out. */
function smallWorld({ plan, question }: Asked): World {
  const world = worldOf(plan);
  const ends = [...question.from, ...question.to.keys()];
  const small = worldOfEnds(world, ends);
  // of ranges, the addresses of pods that are left out would count as outside
  return ends.every((end) => end.kind === "pod") ? small : { ...small, pods: world.pods };
}

/** These pods, and the policies that judge them. */
function worldOfEnds(world: World, ends: readonly Endpoint[]): World {
  const keys = new Set<string>();
  const pods = new Set<object>();
  for (const end of ends) {
    if (end.kind !== "pod") continue;
    pods.add(end.pod);
    for (const direction of directions) for (const { ref } of end.subject[direction].policies) keys.add(policyKey(ref));
  }
  return {
    ...world,
    pods: world.pods.filter((pod) => pods.has(pod)),
    policies: world.policies.filter((policy) => keys.has(policyKey(policyRef(policy)))),
  };
}

/** What one pair gets under a plan, on the ports asked. */
class Trial {
  readonly #pair: Pair;
  readonly #viaService: boolean;
  readonly ports: PortSet;

  constructor(pair: Pair, viaService: boolean, ports: PortSet) {
    this.#pair = pair;
    this.#viaService = viaService;
    this.ports = ports;
  }

  pieces(plan: Plan, direction: Direction) {
    const { from, fromFace, to, toFace, family } = this.#pair;
    const options = { viaService: this.#viaService };
    return decisions(plan, endOf(from, fromFace), endOf(to, toFace), family, options)[direction].filter(
      ({ ports }) => !ports.intersect(this.ports).isEmpty,
    );
  }

  /** The ports asked that are not decided as wanted. */
  wrong(plan: Plan, direction: Direction, goal: Outcome): PortSet {
    return this.pieces(plan, direction)
      .filter(({ decision }) => decision.verdict !== goal)
      .reduce((all, { ports }) => all.union(ports.intersect(this.ports)), PortSet.empty);
  }

  reasons(plan: Plan, direction: Direction, goal: Outcome): readonly Reason[] {
    return this.pieces(plan, direction).flatMap(({ decision }) => (decision.verdict === goal ? [] : decision.reasons));
  }

  isExempt(plan: Plan, direction: Direction): boolean {
    return this.pieces(plan, direction).some(({ decision }) => decision.exempt !== null);
  }

  exemption(plan: Plan): Exemption {
    const found = directions.flatMap((direction) =>
      this.pieces(plan, direction).map(({ decision }) => decision.exempt),
    );
    return found.find((exempt) => exempt !== null && exempt !== "no-pod") ?? "no-pod";
  }
}

interface DirectionChange extends FoundChange {
  readonly rank: number;
}

interface Tried {
  readonly candidate: Candidate;
  /** How many of the ports asked are still wrong. */
  readonly left: number;
}

/** The change of one pair in one world. */
class PairChange {
  /** The question before any edit, about the whole world. */
  readonly #asked: Asked;
  /** No more than judges the pair: it is compiled for every edit that is tried. */
  readonly #world: World;
  readonly #pair: Witness;
  readonly #goal: Outcome;
  readonly #trial: Trial;

  constructor(asked: Asked, world: World, current: Asked, pair: Witness, goal: Outcome) {
    this.#asked = asked;
    this.#world = worldOfEnds(world, [pair.from, pair.to]);
    this.#pair = pair;
    this.#goal = goal;
    // what is opened is all that was asked; what is closed, only what is open
    const ports = goal === "allow" ? pair.asked : pair.ports;
    this.#trial = new Trial(pair, current.question.viaService, ports);
  }

  find(): FoundChange {
    const plan = compile(this.#world);
    const judged = directions.filter((direction) => !this.#trial.isExempt(plan, direction));
    if (judged.length === 0) return none(this.#trial.exemption(plan));
    return this.#goal === "allow" ? this.#open(plan) : this.#close(judged);
  }

  /** Egress and ingress must both allow (spec A5.1). */
  #open(plan: Plan): FoundChange {
    const parts = directions
      .filter((direction) => !this.#trial.wrong(plan, direction, "allow").isEmpty)
      .map((direction) => this.#turn(direction));
    if (parts.some(({ unchangeable }) => unchangeable !== null)) return none("no-expression");
    const alternatives = parts.length === 1 ? parts[0]!.alternatives : [];
    return { edits: parts.flatMap(({ edits }) => edits), alternatives, unchangeable: null };
  }

  /** One of them denies: enough. */
  #close(judged: readonly Direction[]): FoundChange {
    const [best, other] = judged
      .toReversed() // of equals, what protects the destination
      .map((direction) => this.#turn(direction))
      .filter(({ unchangeable }) => unchangeable === null)
      .sort((a, b) => a.edits.length - b.edits.length || a.rank - b.rank);
    if (best === undefined) return none("no-expression");
    const rest = other !== undefined && other.edits.length === best.edits.length ? [other.edits] : [];
    return { edits: best.edits, alternatives: [...rest, ...best.alternatives], unchangeable: null };
  }

  /** Turns one direction: with one edit where one does it, else with those that come nearest, one after the other. */
  #turn(direction: Direction): DirectionChange {
    let world = this.#world;
    let edits: readonly Draft[] = [];
    for (let step = 0; step < maxSteps; step++) {
      const plan = compile(world);
      const situation = this.#situation(plan, direction);
      const tried = this.#try(world, situation);
      const done = tried.filter(({ left }) => left === 0).map(({ candidate }) => candidate);
      const [best, ...others] = done;
      if (best !== undefined) {
        const all = [...edits, best.edit];
        return {
          edits: step === 0 ? all : this.#narrowed(all, direction),
          alternatives: step === 0 ? others.map(({ edit }) => [edit]) : [],
          unchangeable: null,
          rank: best.rank,
        };
      }
      const next = nearest(tried, countPorts(this.#trial.wrong(plan, direction, this.#goal)), situation.reasons);
      if (next === null) break;
      edits = [...edits, next.edit];
      world = applyChange(world, [next.edit]);
    }
    return { ...none("no-expression"), rank: 0 };
  }

  /** The candidates with what they leave wrong, best first. */
  #try(world: World, situation: Situation): readonly Tried[] {
    const candidates = this.#goal === "allow" ? openingCandidates(situation) : closingCandidates(situation);
    return candidates
      .map((candidate) => {
        const plan = compile(applyChange(world, [candidate.edit]));
        return { candidate, left: countPorts(this.#trial.wrong(plan, situation.direction, this.#goal)) };
      })
      .sort((a, b) => a.left - b.left || a.candidate.rank - b.candidate.rank);
  }

  /** Of a list of edits, each removed rule that may stay with fewer peers or ports. */
  #narrowed(edits: readonly Draft[], direction: Direction): readonly Draft[] {
    return edits.reduce((list, edit, i) => {
      const before = applyChange(this.#world, list.slice(0, i));
      const policy = before.policies.find((one) => policyKey(policyRef(one)) === policyKey(edit.policy));
      if (edit.op !== "remove-rule" || policy?.kind !== "NetworkPolicy") return list;
      const index = lastIndex(edit);
      const rule = policy.spec?.[direction]?.[index];
      if (rule === undefined) return list;
      const attempts = narrowing(edit.policy, rule, index, direction).map((candidate) => list.with(i, candidate.edit));
      return attempts.find((attempt) => this.#turns(attempt, direction)) ?? list;
    }, edits);
  }

  #turns(edits: readonly Draft[], direction: Direction): boolean {
    try {
      return this.#trial.wrong(compile(applyChange(this.#world, edits)), direction, this.#goal).isEmpty;
    } catch (error) {
      if (error instanceof RangeError) return false; // a later path counted on the rule being gone
      throw error;
    }
  }

  #situation(plan: Plan, direction: Direction): Situation {
    const { from, to } = this.#asked;
    const [own, other] = direction === "egress" ? [from, to] : [to, from];
    const [end, peer] = direction === "egress" ? [this.#pair.from, this.#pair.to] : [this.#pair.to, this.#pair.from];
    const { pod } = end as PodEndpoint; // only pods are subjects
    return {
      plan,
      everything: this.#asked.plan,
      direction,
      pod,
      subjects: own.ends.flatMap((one) => (one.kind === "pod" ? [one.pod] : [])),
      peer: targetOf(this.#asked.plan, other, peer),
      ports: this.#trial.ports,
      reasons: this.#trial.reasons(plan, direction, this.#goal),
      names: { subject: shortName(own), peer: shortName(other) },
    };
  }
}

const countPorts = (set: PortSet): number =>
  Array.from(set.ranges()).reduce((sum, { start, end }) => sum + end - start + 1, 0);

const lastIndex = (edit: Draft): number => Number(parsePath(edit.path).at(-1));

/** What gets nearest; where nothing does, a rule that decides goes: the last of a list first, so that the others keep their places. */
function nearest(tried: readonly Tried[], before: number, reasons: readonly Reason[]): Candidate | null {
  const [best] = tried;
  if (best !== undefined && best.left < before) return best.candidate;
  const deciding = new Set(reasons.map(({ policy, rule }) => `${policyKey(policy)}#${rule}`));
  const removals = tried
    .map(({ candidate }) => candidate)
    .filter(({ edit }) => edit.op === "remove-rule" && deciding.has(`${policyKey(edit.policy)}#${lastIndex(edit)}`));
  return removals.sort((a, b) => lastIndex(b.edit) - lastIndex(a.edit))[0] ?? null;
}

/** What a new policy calls an end. */
function shortName({ reference }: Resolved): string {
  switch (reference.kind) {
    case "pods":
      return reference.namespace ?? "everyone";
    case "labels":
      return Object.values(reference.labels).join("-") || "pod";
    case "addresses":
      return formatReference(reference);
    case "external":
      return "outside";
    default:
      return reference.name;
  }
}
