/** Drop ids: what a denied packet's log line and counter are called, and what that means. */
import { type PolicyClass, policyKey } from "../policy/compile/plan.ts";
import { type Decision, type Direction, directions, type Reason, type Tier } from "../policy/model/verdict.ts";
import { closedDrop } from "./closed.ts";
import { type Hash, hash } from "./names.ts";
import { strangerDrop } from "./strangers.ts";

/** What a drop id stands for, as of the generation that dropped. */
export interface DropExplanation {
  readonly direction: Direction;
  readonly tier: Tier;
  /** The deciding rule, or every isolating policy; [] where no policy decided. */
  readonly reasons: readonly Reason[];
  /** No policy: that end's address is of this node's pods, and no known pod has it. */
  readonly stranger?: true;
  /** No policy: there is no room for the rules of that end, see `Enforcer.refused`. */
  readonly closed?: true;
}

interface KnownSubject {
  /** By policy. */
  readonly contents: ReadonlyMap<string, Hash>;
  /** All denials of one isolation share one list of reasons. */
  readonly ids: WeakMap<readonly Reason[], string>;
}

/** Ids that are remembered; a log reader lags by seconds, not by this many denials. */
const remembered = 50_000;

/**
 * Drop ids are content: direction, tier and reasons, each with the content of its policy. An id therefore means the same
 * on every node and after every restart, and a policy that is edited denies under a new one.
 */
export class Drops {
  readonly #explanations = new Map<string, DropExplanation>();
  readonly #subjects = new WeakMap<PolicyClass, KnownSubject>();

  /** The id of a denial; it can be explained from now on. */
  idOf(subject: PolicyClass, { tier, reasons }: Decision): string {
    const { contents, ids } = this.#subjectOf(subject);
    let id = ids.get(reasons);
    if (id === undefined) {
      id = hash(
        subject.direction,
        tier,
        ...reasons.map(({ policy, rule, action }) => {
          const key = policyKey(policy);
          return `${key} ${contents.get(key) ?? ""} ${rule ?? "isolation"} ${action}`;
        }),
      );
      ids.set(reasons, id);
    }
    this.#explanations.delete(id); // the newest last
    this.#explanations.set(id, { direction: subject.direction, tier, reasons });
    if (this.#explanations.size > remembered) {
      const [oldest] = this.#explanations.keys();
      this.#explanations.delete(oldest!);
    }
    return id;
  }

  explain(id: string): DropExplanation | null {
    for (const direction of directions) {
      if (id === strangerDrop[direction]) return { direction, tier: "Default", reasons: [], stranger: true };
      if (id === closedDrop[direction]) return { direction, tier: "Default", reasons: [], closed: true };
    }
    return this.#explanations.get(id) ?? null;
  }

  #subjectOf(subject: PolicyClass): KnownSubject {
    let known = this.#subjects.get(subject);
    if (known === undefined) {
      const contents = new Map(subject.policies.map((policy) => [policyKey(policy.ref), hash(policy.content)]));
      known = { contents, ids: new WeakMap() };
      this.#subjects.set(subject, known);
    }
    return known;
  }
}
