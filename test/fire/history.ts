/** What each plan said, when it was in force, and whether what became of a packet fits that. */
import type { LivePlan } from "../../src/policy/compile/plan.ts";
import { evaluate } from "../../src/policy/evaluate/evaluate.ts";
import type { FlowClass } from "./scenario.ts";

/** When a plan's being in force began and when it was complete, on one node, in ms. */
interface Step {
  readonly begun: number;
  done: number;
}

/** One node's plans. */
export class NodeHistory {
  readonly #node: string;
  readonly #held: ReadonlySet<string>;
  readonly #steps: Step[] = [];
  /** Plan, class → 1 for allow. */
  readonly #verdicts: Uint8Array[] = [];

  /** @param held addresses of this node that it drops while no pod of its own is known to have them */
  constructor(node: string, held: ReadonlySet<string> = new Set()) {
    this.#node = node;
    this.#held = held;
  }

  begin(plan: LivePlan, classes: readonly FlowClass[], time: number): void {
    this.#steps.push({ begun: time, done: Number.POSITIVE_INFINITY });
    this.#verdicts.push(Uint8Array.from(classes, (flow) => (this.#allows(plan, flow) ? 1 : 0)));
  }

  /** All plans up to the last one have been in force. */
  done(time: number): void {
    for (let i = this.#steps.length - 1; this.#steps[i]?.done === Number.POSITIVE_INFINITY; i--)
      this.#steps[i]!.done = time;
  }

  /** Does the class have one verdict in all plans? */
  constant(id: number): boolean {
    return this.#verdicts.every((row) => row[id] === this.#verdicts[0]![id]);
  }

  /** The plans that can have judged a packet which was on its way from `start` to `end`. */
  range(start: number, end: number): { first: number; last: number } {
    return {
      first: Math.max(0, this.#after((step) => step.done <= start) - 1),
      last: this.#after((s) => s.begun <= end) - 1,
    };
  }

  /** Which verdicts those plans have. */
  verdicts(id: number, { first, last }: { first: number; last: number }): { allow: boolean; deny: boolean } {
    let [allow, deny] = [false, false];
    for (let i = first; i <= last; i++) {
      if (this.#verdicts[i]![id] === 1) allow = true;
      else deny = true;
    }
    return { allow, deny };
  }

  /** Number of leading steps that `holds` is true of. */
  #after(holds: (step: Step) => boolean): number {
    let [low, high] = [0, this.#steps.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(this.#steps[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Egress of this node's own pods, and ingress to them. */
  #allows(plan: LivePlan, { source, destination, family, port }: FlowClass): boolean {
    const isOwn = (address: string): boolean => {
      const end = plan.endAt(address);
      return end?.kind === "pod" && end.pod.node === this.#node;
    };
    const [egress, ingress] = [isOwn(source), isOwn(destination)];
    if (!egress && this.#held.has(source)) return false;
    if (!ingress && this.#held.has(destination)) return false;
    if (!egress && !ingress) return true;
    const verdict = evaluate(plan, {
      from: { kind: "address", address: source },
      to: { kind: "address", address: destination },
      family,
      protocol: "UDP",
      port,
    });
    return !(egress && verdict.egress.verdict === "deny") && !(ingress && verdict.ingress.verdict === "deny");
  }
}
