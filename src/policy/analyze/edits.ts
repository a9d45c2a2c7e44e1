/** Edits of policies: applied to the raw objects, so that a proposal can be tried before it is made. */
import { policyKey } from "../compile/plan.ts";
import { type NetworkPolicy, type NetworkPolicySpec, type Policy, type PolicyRef, policyRef } from "../model/policy.ts";
import { formatPath, type Path } from "../model/source.ts";
import type { World } from "../model/world.ts";
import type { Edit, Json } from "./types.ts";

/** An edit whose text and position are not needed yet. */
export type Draft = Pick<Edit, "op" | "policy" | "path" | "value">;

export function draft(op: Edit["op"], policy: PolicyRef, path: Path, value?: Json): Draft {
  return { op, policy, path: formatPath(path), ...(value === undefined ? {} : { value }) };
}

/** The steps of a path as `formatPath` writes it. */
export const parsePath = (path: string): Path =>
  Array.from(path.matchAll(/\[(\d+)\]|([^.[\]]+)/g), ([, index, field]) =>
    index === undefined ? field! : Number(index),
  );

/**
 * The world after the edits, made in order: paths are as of the moment each is made.
 *
 * @throws RangeError when an edit names a policy or path that does not exist.
 */
export function applyChange(world: World, edits: readonly Draft[]): World {
  const policies = new Map(world.policies.map((policy) => [policyKey(policyRef(policy)), policy]));
  for (const edit of edits) {
    const key = policyKey(edit.policy);
    const policy = policies.get(key);
    if (edit.op === "add-policy") policies.set(key, addedPolicy(edit));
    else if (policy === undefined) throw new RangeError(`no policy ${key}`);
    else policies.set(key, edited(policy, edit));
  }
  return { ...world, policies: Array.from(policies.values()) };
}

function addedPolicy({ policy: { name, namespace }, value }: Draft): NetworkPolicy {
  const { spec } = value as unknown as { readonly spec: NetworkPolicySpec };
  return { kind: "NetworkPolicy", metadata: { name, namespace }, spec, source: null };
}

/** Positions of the old text no longer hold. */
function edited(policy: Policy, { op, path, value }: Draft): Policy {
  const steps = parsePath(path);
  const isList = op === "add-peer" || op === "add-port";
  const list = isList ? steps : steps.slice(0, -1);
  const index = isList ? Number.POSITIVE_INFINITY : (steps.at(-1) as number);
  const changed = changeList(policy as unknown as Json, list, (items) => {
    if (op.startsWith("add-")) return items.toSpliced(index, 0, value!);
    if (index >= items.length) throw new RangeError(`nothing at ${path}`);
    return items.toSpliced(index, 1);
  });
  return { ...(changed as unknown as Policy), source: null };
}

/** A copy in which the list at `path` is another; an absent list is empty. */
function changeList(value: Json | undefined, path: Path, change: (items: readonly Json[]) => readonly Json[]): Json {
  const [step, ...rest] = path;
  if (step === undefined) return change(Array.isArray(value) ? value : []);
  if (typeof step === "number") {
    const items = value as readonly Json[];
    return items.with(step, changeList(items[step], rest, change));
  }
  const fields = value as { readonly [key: string]: Json } | null | undefined;
  return { ...fields, [step]: changeList(fields?.[step], rest, change) };
}
