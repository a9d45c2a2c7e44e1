/** The scenarios of `cnp.ts` with the kinds of v1alpha1 (`docs/semantics.md` D3): AdminNetworkPolicy and BaselineAdminNetworkPolicy. */
import type {
  AdminPort,
  ClusterPolicy,
  ClusterProtocol,
  ClusterRule,
  DestinationPort,
  Policy,
} from "../../src/policy/model/policy.ts";
import { cnpScenarios } from "./cnp.ts";
import type { Scenario } from "./scenario.ts";

/** The same scenarios, in the same order. */
export const anpScenarios: readonly Scenario[] = cnpScenarios.map((scenario) => ({
  ...scenario,
  steps: scenario.steps.map(({ policies, ...step }) => ({
    ...step,
    ...(policies === undefined ? {} : { policies: policies.map(older) }),
  })),
}));

/** Admin and Baseline are kinds, Accept is Allow, protocols are ports (spec C16). */
function older(policy: Policy): Policy {
  if (policy.kind === "NetworkPolicy") return policy;
  const { tier, priority, subject, ingress, egress } = policy.spec;
  const rules = { subject, ingress: (ingress ?? []).map(olderRule), egress: (egress ?? []).map(olderRule) };
  const common: Omit<ClusterPolicy, "kind" | "spec"> = { metadata: policy.metadata, source: policy.source };
  return tier === "Baseline"
    ? { ...common, kind: "BaselineAdminNetworkPolicy", spec: rules }
    : { ...common, kind: "AdminNetworkPolicy", spec: { ...rules, ...(priority === undefined ? {} : { priority }) } };
}

function olderRule({ action, protocols, ...rule }: ClusterRule): ClusterRule {
  return {
    ...rule,
    action: action === "Accept" ? "Allow" : action,
    ...(protocols ? { ports: protocols.map(olderPort) } : {}),
  };
}

function olderPort({ tcp, udp, sctp, destinationNamedPort: namedPort }: ClusterProtocol): AdminPort {
  if (namedPort) return { namedPort };
  const protocol = tcp ? "TCP" : udp ? "UDP" : "SCTP";
  const { number, range }: DestinationPort = (tcp ?? udp ?? sctp)?.destinationPort ?? {};
  if (range) return { portRange: { protocol, ...range } };
  if (!number) throw new Error("v1alpha1 has no element for all ports of a protocol");
  return { portNumber: { protocol, port: number } };
}
