/** Allowed ports of pairs of classes: equal port sets are one object. */
import type { PortSet } from "../../net/ports.ts";
import type { PeerClass, Plan, PolicyClass } from "../compile/plan.ts";
import type { Direction } from "../model/verdict.ts";
import type { Endpoint } from "./endpoint.ts";

/** Of one state of a plan; make a new one after the plan changed. */
export class Judge {
  readonly plan: Plan;
  readonly #interned = new Map<string, PortSet>();
  readonly #intersections = new Map<PortSet, Map<PortSet, PortSet>>();

  constructor(plan: Plan) {
    this.plan = plan;
  }

  /** Equal sets become one object. */
  intern(set: PortSet): PortSet {
    const known = this.#interned.get(set.key);
    if (known !== undefined) return known;
    this.#interned.set(set.key, set);
    return set;
  }

  /** What one direction allows; interned. */
  direction(subject: PolicyClass, peer: PeerClass): PortSet {
    return this.intern(this.plan.allowed(subject, peer));
  }

  intersect(a: PortSet, b: PortSet): PortSet {
    if (a === b) return a;
    const row = this.#intersections.get(a) ?? new Map<PortSet, PortSet>();
    this.#intersections.set(a, row);
    const known = row.get(b);
    if (known !== undefined) return known;
    const set = this.intern(a.intersect(b));
    row.set(b, set);
    return set;
  }
}

/** The same pod (spec A7.1). */
export const isSelf = (from: Endpoint, to: Endpoint): boolean =>
  from.kind === "pod" && to.kind === "pod" && from.pod === to.pod;

/** Is `from` the node that the pod `to` runs on (spec A7.3)? */
export const isOwnNode = (from: Endpoint, to: Endpoint): boolean =>
  from.kind === "node" && to.kind === "pod" && to.pod.node === from.node.name;

/** The class that judges an end as a subject; null for what is no pod. */
export const subjectOf = (endpoint: Endpoint, direction: Direction): PolicyClass | null =>
  endpoint.kind === "pod" ? endpoint.subject[direction] : null;
