/**
 * Policies as a cluster stores them. They were valid once, by rules and a schema that may not be ours: what is not
 * understood is closed, the rest holds (spec A10.9, C1.4, C12).
 */
import type { Policy, PolicyKind } from "../model/policy.ts";
import type { Path } from "../model/source.ts";
import type { Decoded } from "./decoded.ts";
import { type FieldError, invalid } from "./field-error.ts";
import { decodePolicy } from "./index.ts";
import { apiVersionOf } from "./kinds.ts";
import { type Place, pathOf } from "./place.ts";
import { validateSelector } from "./selector.ts";
import { isObject } from "./shape.ts";

export interface StoredPolicy {
  /** Where something was not understood, it stands for nothing that is allowed and everything that is denied. */
  readonly policy: Policy;
  /** What was not understood, or can't be programmed. */
  readonly errors: readonly FieldError[];
}

/** Values that a schema newer than ours may allow; they are judged as they stand. */
const isLimit = ({ kind }: FieldError): boolean => kind === "TooMany" || kind === "TooLong" || kind === "Duplicate";

/** The decoder leaves such a field out, or can't read the object at all; whatever else is wrong, the compiler closes. */
const needsClosing = ({ kind, code }: FieldError): boolean =>
  kind === "UnknownField" ||
  kind === "TypeMismatch" ||
  kind === "TypeInvalid" ||
  kind === "Required" ||
  code === "B7.2";

/** Before CIDRs were checked strictly (spec B6.1): what is stored under that rule has a meaning (A11.5, A11.6). */
const lenientVersion = "1.30";

/** @param object of this kind; its metadata, but for name, namespace and uid, and its status are not looked at */
export function decodeStored(object: unknown, kind: PolicyKind): StoredPolicy {
  const { metadata, spec } = isObject(object) ? object : {};
  const { name, namespace, uid } = isObject(metadata) ? metadata : {};
  const identity = { apiVersion: apiVersionOf(kind), kind, metadata: { name, namespace, uid } };
  const read = (of: unknown): Decoded => decodePolicy({ ...identity, spec: of }, { kubernetesVersion: lenientVersion });
  const first = read(spec);
  const errors = first.errors.filter((error) => error.path[0] !== "metadata" && !isLimit(error));
  const closing = errors.filter(needsClosing);
  const policy = (closing.length === 0 ? first : read(closed(spec, closing, kind))).policy;
  return {
    policy: policy ?? unreadable(kind, String(name ?? ""), String(namespace ?? ""), String(uid ?? "")),
    errors: kind === "NetworkPolicy" ? errors : [...errors, ...unchecked(spec)],
  };
}

/** A NetworkPolicy that isolates its namespace; a cluster policy of which nothing is known, as one of an unknown tier (C12.3). */
function unreadable(kind: PolicyKind, name: string, namespace: string, uid: string): Policy {
  const metadata = { name, namespace: kind === "NetworkPolicy" ? namespace : "", uid };
  return kind === "NetworkPolicy"
    ? { kind, metadata, spec: { podSelector: unparsable, policyTypes: bothTypes }, source: null }
    : { kind, metadata, spec: { tier: "", subject: {} }, source: null };
}

const bothTypes = ["Ingress", "Egress"];

/** No API server's library parses it: the compiler fails closed (spec A10.9). */
const unparsable = { matchExpressions: [{ key: "", operator: "" }] };

/** No peer of any kind: Accept rules with it match nothing, Deny and Pass rules deny everything (spec C12.1). */
const noPeer = {};
/** No port of any kind, in the words of each kind: `{}` would be every TCP port of a NetworkPolicy (spec A13.2). */
const noPort = (kind: PolicyKind): unknown => (kind === "NetworkPolicy" ? { protocol: "" } : {});

/** The last of its tier. */
const lowestPriority = 1000;

type Fields = Record<string, unknown>;

/** The spec with each part that an error is in replaced by one that is closed. */
function closed(spec: unknown, errors: readonly FieldError[], kind: PolicyKind): unknown {
  const copy: Fields = isObject(spec) ? (JSON.parse(JSON.stringify(spec)) as Fields) : {};
  for (const { path } of errors) closeAt(copy, path.slice(1), kind);
  return copy;
}

const directions = ["ingress", "egress"];

function closeAt(spec: Fields, path: Path, kind: PolicyKind): void {
  const [field, ...rest] = path;
  if (field === "podSelector" && kind === "NetworkPolicy") spec["podSelector"] = unparsable;
  else if (field === "subject") closeSubject(spec, rest);
  else if (field === "policyTypes") spec["policyTypes"] = bothTypes;
  else if (field === "priority") spec["priority"] = lowestPriority;
  else if (field === "tier") spec["tier"] = "";
  else if (directions.includes(String(field))) closeRules(spec, String(field), rest, kind);
  else {
    // A field of the whole policy: there is no telling which of its rules it is about.
    if (field !== undefined) delete spec[field];
    for (const direction of directions) closeRules(spec, direction, [], kind);
    if (kind !== "NetworkPolicy" && !isObject(spec["subject"])) spec["subject"] = {};
  }
}

/** Wider, never narrower: the compiler takes every pod that could be meant. */
function closeSubject(spec: Fields, [field, inner]: Path): void {
  const subject = spec["subject"];
  const known = isObject(subject) ? subject : {};
  const { pods } = known;
  if (field === "namespaces") spec["subject"] = { ...known, namespaces: unparsable };
  else if (field === "pods" && isObject(pods) && (inner === "podSelector" || inner === "namespaceSelector")) {
    spec["subject"] = { ...known, pods: { ...pods, [inner]: unparsable } };
  } else spec["subject"] = {};
}

function closeRules(spec: Fields, direction: string, [index, field, item]: Path, kind: PolicyKind): void {
  const rules = spec[direction];
  if (rules === undefined || rules === null) return;
  const peers = direction === "ingress" ? "from" : "to";
  if (!Array.isArray(rules)) {
    spec[direction] = [{ [peers]: [noPeer], ...(kind === "NetworkPolicy" ? {} : { action: "" }) }];
    return;
  }
  for (const [i, rule] of rules.entries()) {
    if (typeof index === "number" && i !== index) continue;
    const fields: Fields = isObject(rule) ? { ...rule } : {};
    rules[i] = fields;
    const list = fields[String(field)];
    const isPort = field === "ports" || field === "protocols";
    // A Pass that took more than was meant would let through what later rules deny.
    if (isPort && fields["action"] === "Pass") fields["action"] = "Deny";
    if (typeof item === "number" && Array.isArray(list) && (field === peers || isPort)) {
      if (item < list.length) list[item] = isPort ? noPort(kind) : noPeer; // else it was closed for another error
    } else if (isPort) fields[String(field)] = [noPort(kind)];
    else {
      if (field !== undefined && field !== "action") delete fields[String(field)];
      fields[peers] = [noPeer];
      if (kind !== "NetworkPolicy" && typeof fields["action"] !== "string") fields["action"] = "";
    }
  }
}

/** What the CRDs' schemas don't check, or allow although nobody can judge it. */
function unchecked(spec: unknown): FieldError[] {
  const errors: FieldError[] = [];
  const walk = (value: unknown, at: Place): void => {
    if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, { above: at, step: i });
    if (!isObject(value)) return;
    if ("matchLabels" in value || "matchExpressions" in value) return void errors.push(...selectorErrors(value, at));
    for (const [key, item] of Object.entries(value)) {
      const place = { above: at, step: key };
      if (key === "domainNames" && Array.isArray(item)) {
        errors.push(
          invalid("C8.7", pathOf(place), item, "names are not resolved: the peer matches nothing that is accepted"),
        );
      } else walk(item, place);
    }
  };
  walk(spec, { above: null, step: "spec" });
  return errors;
}

function selectorErrors(selector: Readonly<Fields>, at: Place): readonly FieldError[] {
  try {
    return validateSelector(selector, at);
  } catch {
    return []; // of a wrong type: the schema has complained
  }
}
