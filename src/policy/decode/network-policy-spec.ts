/** networking.k8s.io/v1 NetworkPolicy: what the API server checks after decoding (spec B3–B8, A2.10, A2.11). */
import { parseCidr } from "../../net/address.ts";
import { maxPort, minPort } from "../../net/ports.ts";
import type {
  IPBlock,
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicySpec,
} from "../model/policy.ts";
import { formatPath, type Path } from "../model/source.ts";
import { cidrWarnings, isStrictSubset, validateCidr } from "./cidr.ts";
import { type FieldError, forbidden, invalid, notSupported, required } from "./field-error.ts";
import { portNameProblems } from "./names.ts";
import { below, type Place, pathOf } from "./place.ts";
import { validateSelector } from "./selector.ts";

/** How strict the server is about values that older servers let through. */
export interface SpecOptions {
  readonly strictCidrs: boolean;
  /** CIDRs of the stored object: accepted again anywhere (spec B6.4). */
  readonly knownCidrs: ReadonlySet<string>;
  /** Label values in expressions are not checked (spec B3.4). */
  readonly allowInvalidLabelValues: boolean;
}

const protocols = ["TCP", "UDP", "SCTP"];
const policyTypes = ["Ingress", "Egress"];

function validatePortNumber(code: string, value: number, at: Place, errors: FieldError[]): void {
  if (value >= minPort && value <= maxPort) return;
  errors.push(invalid(code, pathOf(at), value, `must be between ${minPort} and ${maxPort}, inclusive`));
}

function validatePort({ protocol, port, endPort }: NetworkPolicyPort, at: Place, errors: FieldError[]): void {
  const portAt = below(at, "port");
  const endAt = below(at, "endPort");
  const hasEnd = endPort !== null && endPort !== undefined;
  if (protocol !== null && protocol !== undefined && !protocols.includes(protocol)) {
    errors.push(notSupported("B4.1", pathOf(below(at, "protocol")), protocol, protocols));
  }
  const badEnd = (code: string, detail: string): void =>
    void errors.push(invalid(code, pathOf(endAt), endPort, detail));
  if (port === null || port === undefined) {
    if (hasEnd) badEnd("B4.8", "may not be specified when `port` is not specified");
  } else if (typeof port === "number") {
    validatePortNumber("B4.2", port, portAt, errors);
    if (hasEnd) {
      if (endPort < port) badEnd("B4.5", "must be greater than or equal to `port`");
      validatePortNumber("B4.6", endPort, endAt, errors);
    }
  } else {
    if (hasEnd) badEnd("B4.7", "may not be specified when `port` is non-numeric");
    const code = (problem: string): string => (/15|only/.test(problem) ? "B4.3" : "B4.4");
    for (const problem of portNameProblems(port)) errors.push(invalid(code(problem), pathOf(portAt), port, problem));
  }
}

function validateIPBlock({ cidr, except }: IPBlock, at: Place, options: SpecOptions, errors: FieldError[]): void {
  const cidrAt = below(at, "cidr");
  if ((cidr ?? "") === "") {
    errors.push(required("B5.4", pathOf(cidrAt)));
    return;
  }
  const check = (text: string, place: Place): readonly FieldError[] =>
    options.knownCidrs.has(text) ? [] : validateCidr(text, place, options.strictCidrs);
  errors.push(...check(cidr, cidrAt));
  if (parseCidr(cidr) === null || except === null || except === undefined) return;
  const exceptAt = below(at, "except");
  for (const [i, text] of except.entries()) {
    const place = below(exceptAt, i);
    for (const error of check(text, place)) errors.push(error.code === "B5.5" ? { ...error, code: "B5.6" } : error);
    if (parseCidr(text) !== null && !isStrictSubset(text, cidr)) {
      errors.push(invalid("B5.7", pathOf(place), text, "must be a strict subset of `cidr`"));
    }
  }
}

function validatePeer(peer: NetworkPolicyPeer, at: Place, options: SpecOptions, errors: FieldError[]): void {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  errors.push(...validateSelector(podSelector, below(at, "podSelector"), options.allowInvalidLabelValues));
  errors.push(...validateSelector(namespaceSelector, below(at, "namespaceSelector"), options.allowInvalidLabelValues));
  const selects = (podSelector ?? null) !== null || (namespaceSelector ?? null) !== null;
  if (ipBlock !== null && ipBlock !== undefined) {
    validateIPBlock(ipBlock, below(at, "ipBlock"), options, errors);
    if (selects) errors.push(forbidden("B5.2", pathOf(at), "may not specify both ipBlock and another peer"));
  } else if (!selects) {
    errors.push(required("B5.1", pathOf(at), "must specify a peer"));
  }
}

interface PlacedRule {
  readonly at: Place;
  readonly peersAt: Place;
  readonly peers: readonly NetworkPolicyPeer[];
  readonly ports: readonly NetworkPolicyPort[];
}

/** The rules of both directions, ingress first, each with its place in the object. */
function rulesOf(spec: NetworkPolicySpec): PlacedRule[] {
  const rules: PlacedRule[] = [];
  const add = (
    direction: "ingress" | "egress",
    field: "from" | "to",
    list: readonly (NetworkPolicyIngressRule & NetworkPolicyEgressRule)[],
  ): void => {
    const above = below(below(null, "spec"), direction);
    for (const [i, rule] of list.entries()) {
      const at = below(above, i);
      rules.push({ at, peersAt: below(at, field), peers: rule[field] ?? [], ports: rule.ports ?? [] });
    }
  };
  add("ingress", "from", spec.ingress ?? []);
  add("egress", "to", spec.egress ?? []);
  return rules;
}

function validatePolicyTypes(types: readonly string[]): FieldError[] {
  const path = ["spec", "policyTypes"];
  if (types.length > policyTypes.length) {
    return [invalid("B7.1", path, types, "may not specify more than two policyTypes")];
  }
  return types.flatMap((type, i) =>
    policyTypes.includes(type) ? [] : [notSupported("B7.2", [...path, i], type, policyTypes)],
  );
}

/** Everything that the server finds wrong in a decoded spec, in its order. */
export function validateSpec(spec: NetworkPolicySpec, options: SpecOptions): FieldError[] {
  const subjects = below(below(null, "spec"), "podSelector");
  const errors = [...validateSelector(spec.podSelector, subjects, options.allowInvalidLabelValues)];
  for (const { at, peersAt, peers, ports } of rulesOf(spec)) {
    const portsAt = below(at, "ports");
    for (const [i, port] of ports.entries()) validatePort(port, below(portsAt, i), errors);
    for (const [i, peer] of peers.entries()) validatePeer(peer, below(peersAt, i), options, errors);
  }
  errors.push(...validatePolicyTypes(spec.policyTypes ?? []));
  return errors;
}

interface PlacedCidr {
  readonly text: string;
  readonly at: Place;
}

function cidrsOf(spec: NetworkPolicySpec): PlacedCidr[] {
  const cidrs: PlacedCidr[] = [];
  for (const { peersAt, peers } of rulesOf(spec)) {
    for (const [i, { ipBlock }] of peers.entries()) {
      if (ipBlock === null || ipBlock === undefined) continue;
      const at = below(below(peersAt, i), "ipBlock");
      if (ipBlock.cidr) cidrs.push({ text: ipBlock.cidr, at: below(at, "cidr") });
      const exceptAt = below(at, "except");
      for (const [j, text] of (ipBlock.except ?? []).entries()) cidrs.push({ text, at: below(exceptAt, j) });
    }
  }
  return cidrs;
}

/** The CIDRs that an update may keep using (spec B6.4). */
export const knownCidrs = (spec: NetworkPolicySpec): ReadonlySet<string> =>
  new Set(cidrsOf(spec).map(({ text }) => text));

/** The server's warnings for a valid spec (spec B6.5). */
export const specWarnings = (spec: NetworkPolicySpec): string[] =>
  cidrsOf(spec).flatMap(({ text, at }) => cidrWarnings(text, at));

/**
 * A null among rules or ports decodes to `{}`, which allows everything: surely not what was meant (spec A2.10). A null label
 * value decodes to the empty string (A2.11). Nulls elsewhere fail validation by themselves.
 */
export function judgeNulls(nulls: readonly Path[]): { errors: FieldError[]; warnings: string[] } {
  const errors: FieldError[] = [];
  const warnings: string[] = [];
  for (const path of nulls) {
    const holder = path.at(-2);
    if (holder === "ingress" || holder === "egress" || holder === "ports") {
      const detail = "null is read as {} and matches everything; write {} if that is meant";
      errors.push(invalid("A2.10", path, null, detail));
    } else if (holder === "matchLabels" || holder === "labels") {
      warnings.push(`${formatPath(path)}: null is read as "": it means the label with an empty value`);
    }
  }
  return { errors, warnings };
}
