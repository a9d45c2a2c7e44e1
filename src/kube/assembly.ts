/** Objects of several kinds, each with its own stream, put together so that the plan never sees a state that is open. */
import { type Change, policyKey } from "../policy/compile/plan.ts";
import { type PolicyKind, policyRef } from "../policy/model/policy.ts";
import type { Namespace, Node, Pod } from "../policy/model/world.ts";
import type { PolicyProblem } from "./feed.ts";
import type { FollowedPolicy } from "./resources.ts";

type Tell = (change: Change, problem: PolicyProblem | null) => void;

/** The generations of cluster policies (spec C18), the one that wins first. */
type Generation = "v1alpha2" | "v1alpha1";
const generations: readonly Generation[] = ["v1alpha2", "v1alpha1"];

const generationOf = (kind: PolicyKind): Generation | null =>
  kind === "NetworkPolicy" ? null : kind === "ClusterNetworkPolicy" ? "v1alpha2" : "v1alpha1";

/**
 * - A pod is told only when its namespace's labels are known: without them a Deny rule for such namespaces would miss it.
 *   Until then nobody knows it, and an address that nobody knows is held. It waits as long as the namespace does.
 * - A namespace that is gone keeps its labels until its last pod is gone, whose removal comes on another stream.
 * - Of two generations of cluster policies the first that is there is in force (spec C18).
 */
export class Assembly {
  readonly #tell: Tell;
  readonly #mixed: boolean;
  readonly #namespaces = new Set<string>();
  /** Gone, while pods of theirs are still there. */
  readonly #leaving = new Set<string>();
  /** How many pods of each namespace have been told. */
  readonly #pods = new Map<string, number>();
  /** Pods whose namespace is not known, by namespace and key. */
  readonly #waiting = new Map<string, Map<string, Pod>>();
  readonly #policies: Readonly<Record<Generation, Map<string, FollowedPolicy>>> = {
    v1alpha2: new Map(),
    v1alpha1: new Map(),
  };
  #inForce: Generation | null = null;

  constructor(tell: Tell, mixedGenerations: boolean) {
    this.#tell = tell;
    this.#mixed = mixedGenerations;
  }

  // ---- namespaces and pods ------------------------------------------------------------------------------------------

  putNamespace(namespace: Namespace): void {
    const { name } = namespace;
    this.#namespaces.add(name);
    this.#leaving.delete(name);
    this.#tell({ op: "put", kind: "namespace", object: namespace }, null);
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    for (const [key, pod] of waiting ?? []) this.putPod(key, pod, true);
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
    if (this.#pods.has(name)) this.#leaving.add(name);
    else this.#tell({ op: "remove", kind: "namespace", key: name }, null);
  }

  /** @param isNew its key was not there before */
  putPod(key: string, pod: Pod, isNew: boolean): void {
    const { namespace } = pod;
    const waiting = this.#waiting.get(namespace);
    // A pod of a namespace that is leaving was told before; one that is new belongs to the next namespace of that name.
    if (waiting?.has(key) || (isNew && !this.#namespaces.has(namespace))) {
      this.#waiting.set(namespace, (waiting ?? new Map<string, Pod>()).set(key, pod));
      return;
    }
    if (isNew) this.#pods.set(namespace, (this.#pods.get(namespace) ?? 0) + 1);
    this.#tell({ op: "put", kind: "pod", object: pod }, null);
  }

  removePod(key: string, { namespace }: Pod): void {
    const waiting = this.#waiting.get(namespace);
    if (waiting?.delete(key)) {
      if (waiting.size === 0) this.#waiting.delete(namespace);
      return;
    }
    this.#tell({ op: "remove", kind: "pod", key }, null);
    const left = (this.#pods.get(namespace) ?? 1) - 1;
    if (left > 0) this.#pods.set(namespace, left);
    else {
      this.#pods.delete(namespace);
      if (this.#leaving.delete(namespace)) this.#tell({ op: "remove", kind: "namespace", key: namespace }, null);
    }
  }

  // ---- nodes and policies -------------------------------------------------------------------------------------------

  putNode(node: Node): void {
    this.#tell({ op: "put", kind: "node", object: node }, null);
  }

  removeNode(name: string): void {
    this.#tell({ op: "remove", kind: "node", key: name }, null);
  }

  putPolicy(followed: FollowedPolicy): void {
    const generation = generationOf(followed.policy.kind);
    if (generation !== null) {
      this.#policies[generation].set(keyOf(followed), followed);
      this.#inForce ??= generation;
    }
    if (generation === null || this.#mixed || generation === this.#inForce) {
      this.#tell({ op: "put", kind: "policy", object: followed.policy }, followed.problem);
    } else this.#refuse(followed, this.#inForce!);
  }

  removePolicy(followed: FollowedPolicy): void {
    this.#tell({ op: "remove", kind: "policy", key: keyOf(followed) }, null);
    const generation = generationOf(followed.policy.kind);
    if (generation === null) return;
    this.#policies[generation].delete(keyOf(followed));
    if (generation !== this.#inForce || this.#policies[generation].size > 0) return;
    const next = generations.find((other) => this.#policies[other].size > 0) ?? null;
    this.#inForce = next;
    if (next === null || this.#mixed) return;
    for (const { policy, problem } of this.#policies[next].values()) {
      this.#tell({ op: "put", kind: "policy", object: policy }, problem);
    }
  }

  /** It is not in the plan: `remove` says so to whoever keeps a list of problems. */
  #refuse(followed: FollowedPolicy, inForce: Generation): void {
    const kinds = inForce === "v1alpha2" ? "ClusterNetworkPolicies are" : "Admin- or BaselineAdminNetworkPolicies are";
    const message = `not enforced: ${kinds} in force, and the order between the generations is not defined (mixed generations can be enabled)`;
    const { policy } = followed;
    const problem = { policy: policyRef(policy), uid: policy.metadata.uid ?? "", message };
    this.#tell({ op: "remove", kind: "policy", key: keyOf(followed) }, problem);
  }
}

const keyOf = ({ policy }: FollowedPolicy): string => policyKey(policyRef(policy));
