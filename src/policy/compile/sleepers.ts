/**
 * The policies that select no pod of the node, in a plan that judges one node's pods. Most policies of a large cluster do
 * not: nothing is kept of them but where to look when a pod comes.
 */
import { type Policy, policyRef } from "../model/policy.ts";
import { policyKey } from "./plan.ts";
import { policySubject } from "./policy.ts";
import { podGroupContent, type Selection, type Shape, selects } from "./shapes.ts";

/** Where a policy can select pods: one namespace, or any. */
const anywhere = "";
const placeOf = (policy: Policy): string => (policy.kind === "NetworkPolicy" ? policy.metadata.namespace : anywhere);

export class Sleepers {
  /** By place, then by key. */
  readonly #sleeping = new Map<string, Map<string, Policy>>();
  /** Shapes with pods that are judged, by namespace. */
  readonly #judged = new Map<string, Set<Shape>>();

  /** Does a policy select pods that are judged? */
  isAwake(policy: Policy): boolean {
    const subject = policySubject(policy, podGroupContent);
    if (subject === null) return false;
    const { namespaces } = subject;
    const places = typeof namespaces === "string" ? [this.judgedIn(namespaces)] : [...this.#judged.values()];
    return places.some((shapes) => isIn(subject, shapes));
  }

  add(policy: Policy): void {
    const place = placeOf(policy);
    const own = this.#sleeping.get(place) ?? new Map<string, Policy>();
    this.#sleeping.set(place, own.set(policyKey(policyRef(policy)), policy));
  }

  delete(policy: Policy): void {
    const own = this.#sleeping.get(placeOf(policy));
    if (own?.delete(policyKey(policyRef(policy))) && own.size === 0) this.#sleeping.delete(placeOf(policy));
  }

  /** To be told when the first pod of a shape is judged, and when none is any more. */
  note(shape: Shape): void {
    const { name } = shape.namespace;
    const own = this.#judged.get(name) ?? new Set<Shape>();
    if (shape.judged > 0) this.#judged.set(name, own.add(shape));
    else if (own.delete(shape) && own.size === 0) this.#judged.delete(name);
  }

  judgedIn(namespace: string): ReadonlySet<Shape> {
    return this.#judged.get(namespace) ?? none;
  }

  /** Those that select the pods of a shape. */
  wokenBy(shape: Shape): Policy[] {
    const asked = [shape.namespace.name, anywhere].flatMap((place) => [...(this.#sleeping.get(place)?.values() ?? [])]);
    return asked.filter((policy) => {
      const subject = policySubject(policy, podGroupContent);
      return subject !== null && selects(subject, shape);
    });
  }
}

const none: ReadonlySet<Shape> = new Set();

function isIn(subject: Selection, shapes: ReadonlySet<Shape>): boolean {
  for (const shape of shapes) if (selects(subject, shape)) return true;
  return false;
}
