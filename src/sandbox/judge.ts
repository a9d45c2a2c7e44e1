/** Is what the kernel did what the engine and the reference say? */
import { addressBytes } from "../netns/bytes.ts";
import type { DropExplanation } from "../nftables/enforcer.ts";
import type { Plan } from "../policy/compile/plan.ts";
import { evaluate } from "../policy/evaluate/evaluate.ts";
import { referenceVerdict } from "../policy/evaluate/reference.ts";
import type { Decision, Direction, Outcome, Verdict } from "../policy/model/verdict.ts";
import { directions } from "../policy/model/verdict.ts";
import type { World } from "../policy/model/world.ts";
import { type Drop, type Observation, protocolNumber } from "./prober.ts";
import { flowOf, type Question } from "./questions.ts";
import type { Sandbox } from "./sandbox.ts";

/** `nothing`: neither an answer nor a drop record came. `both`: it was answered, and dropped somewhere all the same. */
export type KernelOutcome = Outcome | "nothing" | "both";

/** A drop that a node reported, with what its id stands for. */
export interface Evidence {
  readonly node: string;
  readonly id: string;
  /** null: the node does not know the id. */
  readonly explanation: DropExplanation | null;
}

export interface Judgement {
  readonly question: Question;
  readonly engine: Verdict;
  readonly reference: Verdict;
  readonly kernel: KernelOutcome;
  readonly evidence: Evidence | null;
  /** How they differ, one sentence each; [] = all agree. */
  readonly mismatches: readonly string[];
}

export class Judge {
  readonly #plan: Plan;
  readonly #world: World;
  readonly #sandbox: Sandbox;

  constructor(plan: Plan, world: World, sandbox: Sandbox) {
    this.#plan = plan;
    this.#world = world;
    this.#sandbox = sandbox;
  }

  judge(question: Question, observation: Observation): Judgement {
    const flow = flowOf(question);
    const engine = evaluate(this.#plan, flow);
    const reference = referenceVerdict(this.#world, flow);
    const kernel = outcomeOf(observation);
    const evidence = observation.drop && this.#evidence(observation.drop);
    const mismatches = [
      ...directions.flatMap((direction) => compareDecisions(direction, engine[direction], reference[direction])),
      ...this.#compareKernel(question, engine, observation, kernel, evidence),
    ];
    return { question, engine, reference, kernel, evidence, mismatches };
  }

  #evidence({ node, record }: Drop): Evidence {
    const id = record.prefix.replace(/^.*:/, "");
    return { node, id, explanation: this.#sandbox.enforcer(node).explainDrop(id) };
  }

  #compareKernel(
    question: Question,
    engine: Verdict,
    observation: Observation,
    kernel: KernelOutcome,
    evidence: Evidence | null,
  ): string[] {
    const expected: Outcome = engine.allowed ? "allow" : "deny";
    if (kernel === "nothing") {
      const error = observation.error === null ? "" : ` (${observation.error})`;
      return [`the engine says ${expected}; the kernel gave no answer and logged no drop${error}`];
    }
    if (kernel !== expected) {
      if (kernel === "both")
        return [`the engine says ${expected}; the kernel logged a drop, but an answer came as well`];
      return [`the engine says ${expected}, the kernel says ${kernel}`];
    }
    if (kernel === "allow") return this.#compareAnswer(question, observation);
    return this.#compareDrop(question, engine, observation.drop!, evidence!);
  }

  #compareAnswer({ to }: Question, { answeredBy }: Observation): string[] {
    const face = answeredBy === null ? undefined : this.#sandbox.destination(answeredBy);
    if (face !== undefined && face.address === to.address && face.ref === to.ref) return [];
    return [`${face?.ref ?? "someone unknown"} answered instead of ${to.ref}`];
  }

  /** The first direction that denies drops, on the node of its pod, under the id of its decision. */
  #compareDrop(question: Question, engine: Verdict, drop: Drop, evidence: Evidence): string[] {
    const direction: Direction = engine.egress.verdict === "deny" ? "egress" : "ingress";
    const { end } = direction === "egress" ? question.from : question.to;
    if (end.kind !== "pod") return ["the engine denies an end that is no pod"];
    const out: string[] = [];
    if (drop.node !== end.pod.node) out.push(`node ${drop.node} dropped it, not ${end.pod.node}`);
    const subject = this.#plan.policyClass(end.pod, direction);
    const expected = this.#sandbox.enforcer(end.pod.node!).dropIdOf(subject, engine[direction]);
    if (evidence.id !== expected) out.push(`the drop has id ${evidence.id}, not ${expected}`);
    const { tuple } = drop.record;
    const { to, port, protocol } = question;
    if (
      tuple === null ||
      tuple.protocol !== protocolNumber(protocol, tuple.source.length) ||
      tuple.destinationPort !== port ||
      Buffer.compare(tuple.destination, addressBytes(to.address)) !== 0
    )
      out.push("the packet that was dropped is not addressed to the destination");
    return out;
  }
}

function outcomeOf({ answeredBy, drop }: Observation): KernelOutcome {
  if (answeredBy !== null) return drop === null ? "allow" : "both";
  return drop === null ? "nothing" : "deny";
}

const reasonKeys = ({ reasons }: Decision): string =>
  reasons
    .map(({ policy, rule, action }) => `${policy.kind}/${policy.namespace}/${policy.name}[${rule}] ${action}`)
    .sort()
    .join(", ");

function compareDecisions(direction: Direction, engine: Decision, reference: Decision): string[] {
  if (engine.verdict !== reference.verdict)
    return [`${direction}: the engine says ${engine.verdict}, the reference says ${reference.verdict}`];
  if (engine.tier !== reference.tier || engine.exempt !== reference.exempt)
    return [
      `${direction}: the engine decides by ${engine.exempt ?? engine.tier}, the reference by ${reference.exempt ?? reference.tier}`,
    ];
  if (reasonKeys(engine) !== reasonKeys(reference))
    return [`${direction}: engine and reference name different reasons`];
  return [];
}
