/** The agent's side of pod start (contract: `pod-gate.ts`). */
import type { Change } from "../policy/compile/plan.ts";
import { namespacedName, type Pod } from "../policy/model/world.ts";
import { type EarlyAddresses, isOneOf } from "./early-addresses.ts";
import type { EarlyStore } from "./early-store.ts";
import type { Mailbox } from "./mailbox.ts";
import type { PodGate, PodIdentity } from "./pod-gate.ts";

export interface GateDeps {
  readonly node: string;
  readonly early: EarlyAddresses;
  readonly store: EarlyStore;
  readonly mailbox: Mailbox;
  /** A pod as the plan has it; undefined while there is no plan. */
  readonly podOf: (key: string) => Pod | undefined;
  readonly unready: () => string | null;
}

export class Gate implements PodGate {
  readonly #deps: GateDeps;
  /** Those who wait for a Pod object, by `namespace/name`. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  unready(): string | null {
    return this.#deps.unready();
  }

  async admit(pod: PodIdentity, ips: readonly string[], signal: AbortSignal): Promise<void> {
    const why = this.unready();
    if (why !== null) throw new Error(`the agent is not ready: ${why}`);
    for (;;) {
      const known = await this.#known(pod, signal);
      if (known.hostNetwork) throw new Error(`pod ${namespacedName(pod)} is on the host network`);
      if (known.node !== null && known.node !== this.#deps.node)
        throw new Error(`pod ${namespacedName(pod)} is on node ${known.node}, this is the agent of ${this.#deps.node}`);
      const isDone = await this.#inForce(signal, () => {
        const now = this.#lookUp(pod);
        return now === null ? null : this.#deps.early.admit(pod, ips, now);
      });
      if (isDone) return;
    }
  }

  async release(pod: PodIdentity, ips: readonly string[]): Promise<void> {
    const isInForce = this.#inForce(null, () =>
      this.#deps.early.release(pod, ips, this.#deps.podOf(namespacedName(pod))),
    );
    // A sandbox that is gone must not wait for an agent that can't work now: its release is not forgotten.
    if (this.unready() === null) await isInForce;
  }

  /** The plan has taken in changes: who waits for one of these pods looks again. */
  saw(changes: readonly Change[]): void {
    if (this.#waiting.size === 0) return;
    for (const change of changes) {
      if (change.kind !== "pod" || change.op !== "put") continue;
      for (const wake of this.#waiting.get(namespacedName(change.object)) ?? []) wake();
    }
  }

  #lookUp(pod: PodIdentity): Pod | null {
    const known = this.#deps.podOf(namespacedName(pod));
    if (known === undefined) return null;
    return isOneOf(pod.uid, known) ? known : null;
  }

  async #known(pod: PodIdentity, signal: AbortSignal): Promise<Pod> {
    const key = namespacedName(pod);
    for (;;) {
      signal.throwIfAborted();
      const known = this.#lookUp(pod);
      if (known !== null) return known;
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting.add(wake));
      signal.addEventListener("abort", wake, { once: true });
      await promise;
      signal.removeEventListener("abort", wake);
      waiting.delete(wake);
      if (waiting.size === 0) this.#waiting.delete(key);
    }
  }

  /** @returns false where `changes` found nothing to change: null */
  #inForce(signal: AbortSignal | null, changes: () => readonly Change[] | null): Promise<boolean> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const stop = (): void => reject(signal?.reason as Error);
      let isUseful = true;
      signal?.addEventListener("abort", stop, { once: true });
      this.#deps.mailbox.post({
        changes: () => {
          if (signal?.aborted) return [];
          const found = changes();
          isUseful = found !== null;
          this.#deps.store.save(this.#deps.early.entries());
          return found ?? [];
        },
        done: () => {
          signal?.removeEventListener("abort", stop);
          resolve(isUseful);
        },
      });
    });
  }
}
