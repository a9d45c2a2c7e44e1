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

function validatePortNumber(code: string, value: number, path: Path): FieldError[] {
  if (value >= minPort && value <= maxPort) return [];
  return [invalid(code, path, value, `must be between ${minPort} and ${maxPort}, inclusive`)];
}

function validatePort({ protocol, port, endPort }: NetworkPolicyPort, path: Path): FieldError[] {
  const errors: FieldError[] = [];
  const portPath = [...path, "port"];
  const endPath = [...path, "endPort"];
  const hasEnd = endPort !== null && endPort !== undefined;
  if (protocol !== null && protocol !== undefined && !protocols.includes(protocol)) {
    errors.push(notSupported("B4.1", [...path, "protocol"], protocol, protocols));
  }
  if (port === null || port === undefined) {
    if (hasEnd) errors.push(invalid("B4.8", endPath, endPort, "may not be specified when `port` is not specified"));
  } else if (typeof port === "number") {
    errors.push(...validatePortNumber("B4.2", port, portPath));
    if (hasEnd) {
      if (endPort < port) errors.push(invalid("B4.5", endPath, endPort, "must be greater than or equal to `port`"));
      errors.push(...validatePortNumber("B4.6", endPort, endPath));
    }
  } else {
    if (hasEnd) errors.push(invalid("B4.7", endPath, endPort, "may not be specified when `port` is non-numeric"));
    const code = (problem: string): string => (/15|only/.test(problem) ? "B4.3" : "B4.4");
    errors.push(...portNameProblems(port).map((problem) => invalid(code(problem), portPath, port, problem)));
  }
  return errors;
}

function validateIPBlock({ cidr, except }: IPBlock, path: Path, options: SpecOptions): FieldError[] {
  const cidrPath = [...path, "cidr"];
  if ((cidr ?? "") === "") return [required("B5.4", cidrPath)];
  const check = (text: string, at: Path): FieldError[] =>
    options.knownCidrs.has(text) ? [] : validateCidr(text, at, options.strictCidrs);
  const errors = check(cidr, cidrPath);
  if (parseCidr(cidr) === null) return errors;
  for (const [i, text] of (except ?? []).entries()) {
    const at = [...path, "except", i];
    errors.push(...check(text, at).map((e) => (e.code === "B5.5" ? { ...e, code: "B5.6" } : e)));
    if (parseCidr(text) !== null && !isStrictSubset(text, cidr)) {
      errors.push(invalid("B5.7", at, text, "must be a strict subset of `cidr`"));
    }
  }
  return errors;
}

function validatePeer(peer: NetworkPolicyPeer, path: Path, options: SpecOptions): FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const errors = [
    ...validateSelector(podSelector, [...path, "podSelector"], options.allowInvalidLabelValues),
    ...validateSelector(namespaceSelector, [...path, "namespaceSelector"], options.allowInvalidLabelValues),
  ];
  const selects = (podSelector ?? null) !== null || (namespaceSelector ?? null) !== null;
  if (ipBlock !== null && ipBlock !== undefined) {
    errors.push(...validateIPBlock(ipBlock, [...path, "ipBlock"], options));
    if (selects) errors.push(forbidden("B5.2", path, "may not specify both ipBlock and another peer"));
  } else if (!selects) {
    errors.push(required("B5.1", path, "must specify a peer"));
  }
  return errors;
}

interface PlacedRule {
  readonly path: Path;
  readonly peersPath: Path;
  readonly peers: readonly NetworkPolicyPeer[];
  readonly ports: readonly NetworkPolicyPort[];
}

/** The rules of both directions, ingress first, each with its place in the object. */
function* rulesOf(spec: NetworkPolicySpec): Generator<PlacedRule> {
  const place = (
    direction: "ingress" | "egress",
    i: number,
    rule: NetworkPolicyIngressRule & NetworkPolicyEgressRule,
  ): PlacedRule => {
    const path = ["spec", direction, i];
    const field = direction === "ingress" ? "from" : "to";
    return { path, peersPath: [...path, field], peers: rule[field] ?? [], ports: rule.ports ?? [] };
  };
  for (const [i, rule] of (spec.ingress ?? []).entries()) yield place("ingress", i, rule);
  for (const [i, rule] of (spec.egress ?? []).entries()) yield place("egress", i, rule);
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
  const errors = validateSelector(spec.podSelector, ["spec", "podSelector"], options.allowInvalidLabelValues);
  for (const { path, peersPath, peers, ports } of rulesOf(spec)) {
    for (const [i, port] of ports.entries()) errors.push(...validatePort(port, [...path, "ports", i]));
    for (const [i, peer] of peers.entries()) errors.push(...validatePeer(peer, [...peersPath, i], options));
  }
  errors.push(...validatePolicyTypes(spec.policyTypes ?? []));
  return errors;
}

function* cidrsOf(spec: NetworkPolicySpec): Generator<{ readonly text: string; readonly path: Path }> {
  for (const { peersPath, peers } of rulesOf(spec)) {
    for (const [i, { ipBlock }] of peers.entries()) {
      const path = [...peersPath, i, "ipBlock"];
      if (ipBlock?.cidr) yield { text: ipBlock.cidr, path: [...path, "cidr"] };
      for (const [j, text] of (ipBlock?.except ?? []).entries()) yield { text, path: [...path, "except", j] };
    }
  }
}

/** The CIDRs that an update may keep using (spec B6.4). */
export const knownCidrs = (spec: NetworkPolicySpec): ReadonlySet<string> =>
  new Set(Array.from(cidrsOf(spec), ({ text }) => text));

/** The server's warnings for a valid spec (spec B6.5). */
export const specWarnings = (spec: NetworkPolicySpec): string[] =>
  Array.from(cidrsOf(spec)).flatMap(({ text, path }) => cidrWarnings(text, path));

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
