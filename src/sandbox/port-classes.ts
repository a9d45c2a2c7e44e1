/** Which ports are worth asking between two ends: those that rules tell apart. */
import { maxPort, minPort, type Protocol } from "../net/ports.ts";
import type { Plan, PlanRule, PolicyClass } from "../policy/compile/plan.ts";
import type { ContainerPort } from "../policy/model/world.ts";
import type { Face } from "./faces.ts";

/**
 * The first and last port of every set of ports that the same rules name, and one port that no rule names; ascending.
 * @param rules of egress and ingress, with the container ports that their names stand for
 */
export function portsToAsk(
  rules: readonly { readonly rule: PlanRule; readonly named: readonly ContainerPort[] }[],
  protocol: Protocol,
): number[] {
  if (protocol === "other") return [0];
  const edges = new Set<number>([minPort]);
  const spans = rules.map(({ rule, named }) => {
    const own = [...rule.ports.fixed.byProtocol[protocol]];
    for (const name of rule.ports.named)
      for (const port of named)
        if (port.name === name.name && port.protocol === protocol && (name.protocol ?? protocol) === protocol)
          own.push({ start: port.number, end: port.number });
    for (const { start, end } of own) {
      edges.add(start);
      if (end < maxPort) edges.add(end + 1);
    }
    return own;
  });
  const starts = [...edges].sort((a, b) => a - b);
  const classes = new Map<string, { first: number; last: number }>();
  for (const [i, start] of starts.entries()) {
    const end = (starts[i + 1] ?? maxPort + 1) - 1;
    const members = spans.flatMap((own, k) => (own.some((s) => s.start <= start && start <= s.end) ? [k] : []));
    const key = members.join(",");
    const known = classes.get(key);
    if (known === undefined) classes.set(key, { first: start, last: end });
    else known.last = end;
  }
  const asked = new Set<number>();
  for (const [key, { first, last }] of classes) {
    asked.add(first);
    // One port is enough where no rule says anything.
    if (key !== "") asked.add(last);
  }
  return [...asked].sort((a, b) => a - b);
}

/** `portsToAsk` for pairs of faces; equal pairs are computed once. */
export class PortClasses {
  readonly #plan: Plan;
  readonly #known = new Map<string, readonly number[]>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  between(from: Face, to: Face, protocol: Protocol): readonly number[] {
    const egress = this.#subject(from, "egress");
    const ingress = this.#subject(to, "ingress");
    const named = to.end.kind === "pod" ? to.end.pod.ports : [];
    const names = named.map((port) => `${port.name}=${port.number}/${port.protocol}`).join(",");
    const key = `${egress?.id}|${ingress?.id}|${protocol}|${names}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const rules = [...(egress?.rules ?? []), ...(ingress?.rules ?? [])].map((rule) => ({ rule, named }));
    const ports = portsToAsk(rules, protocol);
    this.#known.set(key, ports);
    return ports;
  }

  #subject(face: Face, direction: "egress" | "ingress"): PolicyClass | null {
    return face.end.kind === "pod" ? this.#plan.policyClass(face.end.pod, direction) : null;
  }
}
