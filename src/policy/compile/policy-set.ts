/** The policies of a plan: compiled, active while they select pods that are judged, asleep in a plan of one node otherwise. */
import { type Policy, policyRef } from "../model/policy.ts";
import { type Direction, directions } from "../model/verdict.ts";
import type { DeltaRecorder } from "./delta.ts";
import type { GroupUse } from "./group-use.ts";
import type { Entry, Groups, PodEntry, PolicyState } from "./groups.ts";
import { type PlanRule, policyKey } from "./plan.ts";
import { compareStates, type PodClasses } from "./pod-classes.ts";
import { compilePolicy } from "./policy.ts";
import type { Members, MembershipListener, Shape } from "./shapes.ts";
import type { Sleepers } from "./sleepers.ts";

export interface PolicySetParts {
  readonly groups: Groups;
  readonly classes: PodClasses;
  readonly use: GroupUse;
  /** null: the pods of all nodes are judged. */
  readonly sleepers: Sleepers | null;
  readonly delta: DeltaRecorder;
  readonly nextId: () => number;
}

export class PolicySet implements MembershipListener {
  /** By `policyKey`. */
  readonly policies = new Map<string, Policy>();
  readonly #parts: PolicySetParts;
  /** Of those that do not sleep. */
  readonly #states = new Map<string, PolicyState>();
  /** Ceased to select pods that are judged since the last change began. */
  readonly #idle = new Set<PolicyState>();

  constructor(parts: PolicySetParts) {
    this.#parts = parts;
  }

  put(policy: Policy): void {
    const { groups, sleepers } = this.#parts;
    const key = policyKey(policyRef(policy));
    const before = this.#states.get(key);
    const replaced = this.policies.get(key);
    if (replaced !== undefined) sleepers?.delete(replaced);
    this.policies.set(key, policy);
    if (sleepers?.isAwake(policy) === false) {
      sleepers.add(policy);
      this.#states.delete(key);
      this.#drop(before);
      return;
    }
    const state = this.#compile(policy);
    if (policy.source === null && before?.positioned === false && before.compiled.content === state.compiled.content) {
      groups.forgetUnmentioned(); // a resync: nothing changed
      return;
    }
    this.#states.set(key, state);
    this.#enforce(state);
    this.#drop(before); // last: groups that both name must not look unused in between
  }

  /** @param key `policyKey` */
  remove(key: string): void {
    const policy = this.policies.get(key);
    if (policy !== undefined) this.#parts.sleepers?.delete(policy);
    this.#drop(this.#states.get(key));
    this.#states.delete(key);
    this.policies.delete(key);
  }

  /** A shape has pods that are judged, or its namespace other labels: policies that select them must be compiled. */
  wake(shape: Shape): void {
    const { sleepers } = this.#parts;
    for (const policy of sleepers?.wokenBy(shape) ?? []) {
      sleepers!.delete(policy);
      const state = this.#compile(policy);
      this.#states.set(policyKey(policyRef(policy)), state);
      this.#enforce(state);
    }
  }

  /** After all changes: puts to sleep who can, and forgets groups that nobody mentions any more. */
  settle(): void {
    for (const state of this.#idle) if (!state.active) this.#sleep(state);
    this.#idle.clear();
    this.#parts.groups.settle();
  }

  moved(shape: Shape, { group }: Members): void {
    const { groups, classes, use, delta } = this.#parts;
    const entry = groups.entry(group);
    if (entry === undefined) return; // the group is being made: nobody uses it yet
    // Before and after: the last subject that leaves its own peers takes their use away, and is itself out of their reach.
    const before = { ...entry.used };
    this.#settleActive(entry);
    if (entry.subjects.length > 0) {
      classes.forgetPolicies(shape);
      if (shape.judged > 0) delta.podsOf(shape);
    }
    for (const direction of directions)
      if (before[direction] + entry.used[direction] > 0) use.peerChanged(shape, direction);
  }

  judged({ group }: Members): void {
    const entry = this.#parts.groups.entry(group);
    if (entry !== undefined) this.#settleActive(entry);
  }

  /** A policy selects no pod that is judged any more. */
  #sleep(state: PolicyState): void {
    const key = policyKey(state.compiled.ref);
    if (this.#states.get(key) !== state) return; // replaced, or gone
    this.#states.delete(key);
    this.#drop(state);
    this.#parts.sleepers!.add(this.policies.get(key)!);
  }

  #compile(policy: Policy): PolicyState {
    const { groups, nextId } = this.#parts;
    const { compiled, subject } = compilePolicy(policy, groups);
    const peers = (direction: Direction): readonly Entry[] => {
      const named = compiled.rules[direction].flatMap((rule) => (rule.peers === "everything" ? [] : rule.peers));
      return Array.from(new Set(named), (group) => groups.entry(group)!);
    };
    const namesIn = ({ ports }: PlanRule): readonly string[] => ports.named.map(({ name }) => name);
    return {
      id: nextId(),
      compiled,
      subject: subject === null ? null : groups.entry(subject)!,
      peers: { ingress: peers("ingress"), egress: peers("egress") },
      ownNames: [...new Set(compiled.rules.ingress.flatMap(namesIn))],
      peerNames: this.#peerNames(compiled.rules.egress),
      positioned: policy.source !== null,
      active: false,
    };
  }

  #peerNames(rules: readonly PlanRule[]): PolicyState["peerNames"] {
    const { groups } = this.#parts;
    const found = new Map<string, PolicyState["peerNames"][number]>();
    for (const { peers, ports } of rules) {
      for (const { name } of ports.named) {
        if (peers === "everything") found.set(` ${name}`, { entry: null, name });
        else for (const group of peers) found.set(`${group.id} ${name}`, { entry: groups.entry(group)!, name });
      }
    }
    return [...found.values()];
  }

  #enforce(state: PolicyState): void {
    this.#parts.groups.add(state);
    if (state.subject === null) return;
    const { subjects } = state.subject;
    const after = subjects.findIndex((other) => compareStates(state, other) < 0);
    subjects.splice(after < 0 ? subjects.length : after, 0, state);
    this.#subjectChanged(state.subject);
    if (state.subject.members.judged > 0) this.#setActive(state, true);
  }

  #drop(state: PolicyState | undefined): void {
    if (state === undefined) return;
    if (state.subject !== null) {
      const { subjects } = state.subject;
      subjects.splice(subjects.indexOf(state), 1);
      this.#subjectChanged(state.subject);
      if (state.active) this.#setActive(state, false);
    }
    this.#parts.groups.remove(state);
  }

  #subjectChanged({ members }: PodEntry): void {
    const { classes, delta } = this.#parts;
    for (const shape of members.shapes) {
      classes.forgetPolicies(shape);
      if (shape.judged > 0) delta.podsOf(shape);
    }
  }

  #settleActive({ members, subjects }: PodEntry): void {
    const inhabited = members.judged > 0;
    for (const state of subjects) if (state.active !== inhabited) this.#setActive(state, inhabited);
  }

  #setActive(state: PolicyState, active: boolean): void {
    state.active = active;
    if (!active && this.#parts.sleepers !== null) this.#idle.add(state);
    this.#parts.use.count(state, active ? 1 : -1);
  }
}
