/** Why a question is answered as it is, and the smallest change that would turn the answer round. */
import { type Plan, policyKey } from "../compile/plan.ts";
import { formatPolicyRef } from "../model/policy.ts";
import { type Asked, type AskOptions, askInDetail } from "./ask.ts";
import { findChange } from "./change.ts";
import { type Draft, parsePath } from "./edits.ts";
import { formatPorts } from "./port-reference.ts";
import { type Edit, type Explanation, isProblem, type Json, type Problem } from "./types.ts";

/**
 * An answer with the edits that would turn it round: `applyChange(world, change)` is a world in which a denied question
 * is allowed altogether, or nothing of an allowed one is. One edit where one will do; what opens or closes least besides.
 */
export function explain(plan: Plan, options: AskOptions): Explanation | Problem {
  const asked = askInDetail(plan, options);
  if (isProblem(asked)) return asked;
  const { edits, alternatives, unchangeable } = findChange(asked, options);
  return {
    ...asked.answer,
    kind: "Explanation",
    change: edits.map((edit) => finished(asked, edit)),
    alternatives: alternatives.map((list) => list.map((edit) => finished(asked, edit))),
    ...(unchangeable === null ? {} : { unchangeable }),
  };
}

/** With its words, and where the policy's text is. */
function finished(asked: Asked, edit: Draft): Edit {
  const source = asked.plan.policies.get(policyKey(edit.policy))?.source ?? null;
  const position = edit.op === "add-policy" ? null : (source?.position(parsePath(edit.path)) ?? null);
  return { ...edit, file: position?.file ?? null, line: position?.line ?? null, text: textOf(asked, edit) };
}

function textOf(asked: Asked, { op, policy, path, value }: Draft): string {
  const [, direction, rule, , element] = parsePath(path);
  const at = `${direction} rule ${rule} of ${formatPolicyRef(policy)}`;
  switch (op) {
    case "add-rule":
      return policy.kind === "NetworkPolicy"
        ? `add an ${direction} rule to ${formatPolicyRef(policy)}: ${who(asked, direction)}${on(asked)}`
        : `insert before ${at}: ${actionOf(value)} ${who(asked, direction)}${on(asked)}`;
    case "remove-rule":
      return `remove ${at}`;
    case "add-peer":
      return `add ${other(asked, direction)} to the peers of ${at}`;
    case "remove-peer":
      return `remove peer ${element} of ${at}`;
    case "add-port":
      return `add port ${formatPorts(asked.ports)} to ${at}`;
    case "remove-port":
      return `remove port ${element} of ${at}`;
    case "add-policy": {
      const isolates = directionOf(value);
      const opens = isolates in specOf(value);
      return opens
        ? `add ${formatPolicyRef(policy)}: ${isolates} ${who(asked, isolates)}${on(asked)}`
        : `add ${formatPolicyRef(policy)}: no ${isolates} for the pods it selects`;
    }
  }
}

const other = ({ answer: { from, to } }: Asked, direction: unknown): string => (direction === "ingress" ? from : to);
const who = (asked: Asked, direction: unknown): string =>
  `${direction === "ingress" ? "from" : "to"} ${other(asked, direction)}`;
const on = ({ ports }: Asked): string => ` on ${formatPorts(ports) === "any" ? "any port" : formatPorts(ports)}`;

const fieldsOf = (value: Json | undefined) => (value ?? {}) as { readonly [key: string]: Json };
const actionOf = (value: Json | undefined): string => String(fieldsOf(value)["action"]);
const specOf = (value: Json | undefined) => fieldsOf(fieldsOf(value)["spec"]);

/** Of a proposed policy: it has one. */
const directionOf = (value: Json | undefined): "ingress" | "egress" =>
  JSON.stringify(specOf(value)["policyTypes"]) === '["Ingress"]' ? "ingress" : "egress";
