/**
 * Policies whose rules the kernel refuses. Each is replaced by its closed stand-in, so that its pods are isolated and
 * everything else goes on.
 */
import { type Change, type Plan, policyKey } from "../policy/compile/plan.ts";
import { type Policy, policyRef } from "../policy/model/policy.ts";
import { closed } from "./stand-in.ts";

export interface Quarantined {
  readonly policy: Policy;
  /** What nft said. */
  readonly why: string;
}

/** Changes the plan and brings the kernel after it. @returns whether the kernel took it */
type Attempt = (changes: readonly Change[]) => Promise<boolean>;

export class Quarantine {
  readonly #policies = new Map<string, Quarantined>();
  /** Policies that were put since the kernel was last equal to the plan: one of them must be what it refuses. */
  readonly #suspects = new Set<string>();

  get quarantined(): ReadonlyMap<string, Quarantined> {
    return this.#policies;
  }

  get suspects(): readonly string[] {
    return [...this.#suspects];
  }

  /** What the cluster says about a policy ends its quarantine: the new one gets its own chance. */
  saw(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== "policy") continue;
      const key = change.op === "put" ? policyKey(policyRef(change.object)) : change.key;
      this.#policies.delete(key);
      if (change.op === "put") this.#suspects.add(key);
      else this.#suspects.delete(key);
    }
  }

  suspectAll(plan: Plan): void {
    for (const key of plan.policies.keys()) this.#suspects.add(key);
  }

  /** The kernel is equal to the plan. */
  cleared(): void {
    this.#suspects.clear();
  }

  /**
   * Finds the policies that are to blame, and leaves them closed.
   * @param why the kernel's newest refusal
   * @returns false: the kernel refuses even when all suspects are closed. Then none of them is, and the last change was not tried
   */
  async search(plan: Plan, why: () => string, change: Attempt): Promise<boolean> {
    const suspects = this.suspects.filter((key) => plan.policies.has(key) && !this.#policies.has(key));
    if (suspects.length === 0) return false;
    if (!(await change(this.#close(plan, suspects, why)))) {
      await change(this.#open(suspects));
      return false;
    }
    // The suspects are isolated and all else is in force: from here on there is no hurry.
    return this.#clear(plan, suspects, why, change);
  }

  /** Tries those in quarantine again; whom the kernel still refuses stays closed. The parameters are those of `search`. */
  async retry(plan: Plan, why: () => string, change: Attempt): Promise<void> {
    await this.#clear(plan, [...this.#policies.keys()], why, change);
  }

  /** Opens those of `keys`, all closed, that the kernel takes. */
  async #clear(plan: Plan, keys: readonly string[], why: () => string, change: Attempt): Promise<boolean> {
    if (await change(this.#open(keys))) return true;
    const isReached = await change(this.#close(plan, keys, why));
    if (keys.length === 1 || !isReached) return isReached;
    const half = keys.length >> 1;
    return (
      (await this.#clear(plan, keys.slice(0, half), why, change)) && this.#clear(plan, keys.slice(half), why, change)
    );
  }

  #close(plan: Plan, keys: readonly string[], reason: () => string): Change[] {
    const why = reason();
    return keys.map((key) => {
      const policy = plan.policies.get(key)!;
      this.#policies.set(key, { policy, why });
      return { op: "put", kind: "policy", object: closed(policy) };
    });
  }

  #open(keys: readonly string[]): Change[] {
    return keys.map((key) => {
      const { policy } = this.#policies.get(key)!;
      this.#policies.delete(key);
      return { op: "put", kind: "policy", object: policy };
    });
  }
}
