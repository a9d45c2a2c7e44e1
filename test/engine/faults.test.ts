/**
 * Would the comparison with the reference notice? Each fault is one that a real engine has had (spec A19) or could have; it is
 * put in by changing the world, or the answer, that the engine works with. The saved worlds are few and notice all of them.
 */
import { expect, test } from "vitest";
import type { Decision, Flow, Verdict } from "../../src/policy/model/verdict.ts";
import type { World } from "../../src/policy/model/world.ts";
import { firstDisagreement } from "./compare.ts";
import { engine } from "./evaluators.ts";
import { regressions } from "./regressions.ts";

type Fault = readonly [name: string, open: (world: World) => (flow: Flow) => Verdict];

/** An engine that reads policies wrongly: `read` sees every field, innermost first. */
const misread = (name: string, read: (key: string, value: unknown) => unknown): Fault => [
  name,
  (world) => engine.open({ ...world, policies: JSON.parse(JSON.stringify(world.policies), read) as World["policies"] }),
];

const misseen = (name: string, see: (world: World) => World): Fault => [name, (world) => engine.open(see(world))];

const misjudged = (name: string, judge: (verdict: Verdict, flow: Flow) => Verdict): Fault => [
  name,
  (world) => {
    const ask = engine.open(world);
    return (flow) => judge(ask(flow), flow);
  },
];

const isList = (value: unknown): value is readonly object[] => Array.isArray(value);
const has = (value: unknown, field: string): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && field in value;

const faults: readonly Fault[] = [
  misread("empty rule lists are no lists", (key, value) =>
    (key === "ingress" || key === "egress") && isList(value) && value.length === 0 ? [{}] : value,
  ),
  misread("egress: [] isolates for egress", (key, value) => {
    const isNetworkPolicySpec = key === "spec" && !has(value, "subject");
    if (!isNetworkPolicySpec || !has(value, "egress") || !isList(value["egress"])) return value;
    const types = isList(value["policyTypes"]) ? value["policyTypes"] : ["Ingress"];
    return { ...value, policyTypes: [...types, "Egress"] };
  }),
  misread("NotIn needs the key", (key, value) =>
    key === "matchExpressions" && isList(value)
      ? value.flatMap((one) =>
          has(one, "key") && one["operator"] === "NotIn" ? [one, { key: one["key"], operator: "Exists" }] : [one],
        )
      : value,
  ),
  misread("an empty label value is no value", (key, value) =>
    key === "matchLabels" && has(value, "env") && value["env"] === "" ? {} : value,
  ),
  misread("except is ignored", (key, value) => (key === "except" ? [] : value)),
  misread("only the first except counts", (key, value) =>
    key === "except" && isList(value) ? value.slice(0, 1) : value,
  ),
  misread("endPort is exclusive", (key, value) => (key === "endPort" && typeof value === "number" ? value - 1 : value)),
  misread("ports: [{}] is all protocols", (key, value) =>
    key === "ports" && isList(value) && value.some((one) => Object.keys(one).length === 0) ? [] : value,
  ),
  misread("SCTP is TCP", (_, value) => (value === "SCTP" ? "TCP" : value)),
  misread("Pass accepts", (_, value) => (value === "Pass" ? "Accept" : value)),
  misread("Baseline is Admin", (_, value) => (value === "Baseline" ? "Admin" : value)),
  misread("priorities are upside down", (key, value) => (key === "priority" ? 1000 - (value as number) : value)),
  misread("a peer without podSelector is in the own namespace", (key, value) =>
    key === "namespaceSelector" && has(value, "matchLabels") ? undefined : value,
  ),
  misread("host bits are kept", (_, value) => (value === "10.244.1.77/24" ? "10.244.1.77/32" : value)),
  misread("IPv4-mapped CIDRs are IPv6", (_, value) => (value === "::ffff:10.244.0.0/112" ? "2001:db8:f::/112" : value)),
  misread("unknown peers match nothing", (key, value) =>
    (key === "from" || key === "to") && isList(value)
      ? value.map((one) => (Object.keys(one).length === 0 ? { namespaces: { matchLabels: { app: "none" } } } : one))
      : value,
  ),
  misseen("the first number of a port name is the only one", (world) => ({
    ...world,
    pods: world.pods.map((pod) => ({
      ...pod,
      ports: pod.ports.filter((port, i) => pod.ports.findIndex((one) => one.name === port.name) === i),
    })),
  })),
  misseen("a node has one address", (world) => ({
    ...world,
    nodes: world.nodes.map((node) => ({ ...node, ips: node.ips.slice(0, 1) })),
  })),
  misseen("pod CIDRs are unknown", (world) => ({ ...world, cluster: { ...world.cluster, podCIDRs: [] } })),
  misseen("namespaces have no labels", (world) => ({ ...world, namespaces: [] })),
  misjudged("egress wins over ingress", (verdict) => ({ ...verdict, allowed: verdict.egress.verdict === "allow" })),
  misjudged("nodes are never denied", (verdict, { from, to }) =>
    from.kind === "node" || to.kind === "node" ? { ...verdict, allowed: true } : verdict,
  ),
  misjudged("a pod reaches itself through a Service", (verdict, { from, to }) =>
    from === to ? { ...verdict, allowed: true } : verdict,
  ),
  misjudged("one reason is enough", (verdict) => ({
    ...verdict,
    ingress: oneReason(verdict.ingress),
    egress: oneReason(verdict.egress),
  })),
  misjudged("other protocols have ports", (verdict, { protocol }) =>
    protocol === "other" ? { ...verdict, allowed: true } : verdict,
  ),
  [
    "isolation in one direction hides Baseline in the other", // spec A19.3
    (world) => {
      const ask = engine.open(world);
      return (flow) => {
        const verdict = ask(flow);
        const back = ask({ ...flow, from: flow.to, to: flow.from });
        if (verdict.ingress.tier !== "Baseline" || back.egress.tier !== "NetworkPolicy") return verdict;
        return { ...verdict, allowed: verdict.egress.verdict === "allow" };
      };
    },
  ],
];

const oneReason = (decision: Decision): Decision => ({ ...decision, reasons: decision.reasons.slice(0, 1) });

test.each(faults)("notices: %s", (_, open) => {
  const noticed = regressions.some(({ world }) => firstDisagreement(world, open(world), { everyNth: 12 }) !== null);
  expect(noticed).toBe(true);
});
