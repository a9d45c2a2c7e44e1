/** Which ports of each destination a question means: numbers, container port names, and Service ports through targetPort. */
import { PortSet } from "../../net/ports.ts";
import type { Service, ServicePort } from "../model/world.ts";
import type { Endpoint } from "./endpoint.ts";
import { formatPort, formatPorts, type PortReference, portsNamed } from "./port-reference.ts";
import type { Resolved } from "./resolve.ts";
import type { Note, Problem } from "./types.ts";

export interface AskedPorts {
  /** By the destination ends; ends that are left out are not asked. */
  readonly of: ReadonlyMap<Endpoint, PortSet>;
  readonly notes: readonly Note[];
}

/** A reference with a Service port in it (`svc/db` on 80) asks the pods on the targetPort (spec A12.1, A12.2). */
export function askedPorts(to: Resolved, port: PortReference): AskedPorts | Problem {
  if (to.service !== null && !to.service.headless) return throughService(to, to.service, port);
  if (port.kind === "set") return { of: new Map(to.ends.map((end) => [end, port.set])), notes: [] };
  const of = new Map<Endpoint, PortSet>();
  const missing: string[] = [];
  for (const end of to.ends) {
    const set = portsNamed(end.ports, port);
    if (set.isEmpty) missing.push(end.ref);
    else of.set(end, set);
  }
  if (of.size === 0)
    return { problem: "no-such-port", message: `${to.ref} has no container port named "${formatPort(port)}"` };
  return {
    of,
    notes: missing.length === 0 ? [] : [{ note: "port-name-missing", name: port.name, endpoints: missing }],
  };
}

function throughService(to: Resolved, service: Service, port: PortReference): AskedPorts | Problem {
  const meant = servicePorts(service, port);
  if (meant.length === 0) {
    const known = service.ports.map(
      ({ name, port, protocol }) => `${port}/${protocol}${name === "" ? "" : ` (${name})`}`,
    );
    const has = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
    return { problem: "no-such-port", message: `${to.ref} has no port ${formatPort(port)}; ${has}` };
  }
  const notes: Note[] = meant
    .filter(({ port, targetPort }) => port !== targetPort)
    .map(({ port, targetPort }) => ({ note: "target-port", service: to.ref, port, targetPort }));
  const of = new Map<Endpoint, PortSet>();
  for (const end of to.ends) {
    const set = meant.map((one) => targetPorts(end, one)).reduce((a, b) => a.union(b), PortSet.empty);
    if (!set.isEmpty) of.set(end, set);
  }
  const unnamed = to.ends.filter((end) => !of.has(end)).map((end) => end.ref);
  const name = String(meant[0]!.targetPort);
  if (of.size === 0)
    return { problem: "no-such-port", message: `no pod behind ${to.ref} has a container port named "${name}"` };
  if (unnamed.length > 0) notes.push({ note: "port-name-missing", name, endpoints: unnamed });
  return { of, notes };
}

/** `any` means every port that the Service has; numbers must all be ports of it. */
function servicePorts(service: Service, port: PortReference): readonly ServicePort[] {
  if (port.kind === "name")
    return service.ports.filter(
      (one) => one.name === port.name && (port.protocol === null || one.protocol === port.protocol),
    );
  const inside = service.ports.filter((one) => port.set.has(one.protocol, one.port));
  const covered = PortSet.of(inside.map((one) => ({ protocol: one.protocol, start: one.port, end: one.port })));
  return isAnyOf(port.set) || port.set.minus(covered).isEmpty ? inside : [];
}

const isAnyOf = (set: PortSet): boolean => /^any(\/|$)/.test(formatPorts(set));

/** A named targetPort is each pod's own number (as the endpoints controller resolves it: the first container's). */
function targetPorts(end: Endpoint, { protocol, targetPort }: ServicePort): PortSet {
  if (typeof targetPort === "number") return PortSet.single(protocol, targetPort);
  const first = end.ports.find((port) => port.name === targetPort && port.protocol === protocol);
  return first === undefined ? PortSet.empty : PortSet.single(protocol, first.number);
}
