/** From references to ends: looks names up in a plan. */
import { AddressSet, type Family, families, familyBits, formatAddress, parseAddress } from "../../net/address.ts";
import type { Plan } from "../compile/plan.ts";
import type { Labels } from "../model/labels.ts";
import { isFinished, type Node, namespacedName, type Pod, type Service } from "../model/world.ts";
import {
  addressEndpoints,
  type Endpoint,
  externalAddresses,
  isEndpointPod,
  nodeEndpoint,
  podEndpoint,
  takenAddresses,
} from "./endpoint.ts";
import { hypotheticalPod, isHypothetical } from "./hypothetical.ts";
import { formatReference, podReference, type Reference } from "./reference.ts";
import { didYouMean } from "./suggest.ts";
import { isProblem, type Note, type Problem, type ProblemCode } from "./types.ts";

export interface Resolved {
  readonly reference: Reference;
  /** Canonical spelling of the reference. */
  readonly ref: string;
  /** At least one; disjoint. */
  readonly ends: readonly Endpoint[];
  /** Set when the reference names a Service; headless ones map no ports. */
  readonly service: Service | null;
  readonly notes: readonly Note[];
}

const problem = (code: ProblemCode, message: string): Problem => ({ problem: code, message });

/**
 * Looks a reference up. A reference that names nothing, or what takes no part in traffic, is a problem. Hypothetical pods
 * are looked up like others: the plan comes from `withHypothetical`; `copy` says which of several with the same labels.
 */
export function resolveReference(plan: Plan, reference: Reference, copy = 0): Resolved | Problem {
  const ref = formatReference(reference);
  const resolved = (
    ends: readonly Endpoint[],
    service: Service | null = null,
    notes: readonly Note[] = [],
  ): Resolved => ({
    reference,
    ref,
    ends,
    service,
    notes,
  });
  switch (reference.kind) {
    case "pod": {
      const pod = plan.pods.get(namespacedName(reference));
      return pod === undefined ? noSuchPod(plan, reference) : ofPods(plan, [pod], resolved, ref);
    }
    case "workload": {
      const pods = podsOf(plan, reference.namespace, (pod) => ownedBy(pod, reference.workload, reference.name));
      return pods.length === 0 ? noSuchWorkload(plan, reference) : ofPods(plan, pods, resolved, ref);
    }
    case "service": {
      const service = plan.services.get(namespacedName(reference));
      return service === undefined ? noSuchService(plan, reference) : ofService(plan, service, resolved, ref);
    }
    case "labels": {
      const pod = plan.pods.get(namespacedName(hypotheticalPod(reference, copy)));
      if (pod !== undefined) return resolved([{ ...podEndpoint(plan, pod), ref }]);
      return noNamespace(plan, reference.namespace) ?? problem("not-found", `${ref} is not part of this question`);
    }
    case "pods": {
      const { namespace } = reference;
      const missing = namespace === null ? null : noNamespace(plan, namespace);
      if (missing !== null) return missing;
      const pods = podsOf(plan, namespace, isEndpointPod);
      if (pods.length === 0)
        return problem("not-found", namespace === null ? "there are no pods" : `namespace "${namespace}" has no pods`);
      return resolved(pods.map((pod) => podEndpoint(plan, pod)));
    }
    case "addresses": {
      const { cidr } = reference;
      const set = AddressSet.ofCidrs([cidr]);
      const service = cidr.prefix === familyBits(cidr.family) ? serviceAt(plan, formatAddress(cidr)) : null;
      return service === null
        ? resolved(ofAddresses(plan, set))
        : ofService(plan, service, resolved, ref, [cidr.family]);
    }
    case "node": {
      const node = plan.nodes.get(reference.name);
      if (node !== undefined) return resolved([nodeEndpoint(plan, node)]);
      return problem("not-found", `no node "${reference.name}"${didYouMean(reference.name, plan.nodes.keys())}`);
    }
    case "external": {
      const ends = addressEndpoints(plan, externalAddresses(plan));
      return ends.length === 0 ? problem("not-found", "every address belongs to the cluster") : resolved(ends);
    }
  }
}

type Resolve = (ends: readonly Endpoint[], service?: Service | null, notes?: readonly Note[]) => Resolved;

function podsOf(plan: Plan, namespace: string | null, which: (pod: Pod) => boolean): Pod[] {
  return Array.from(plan.pods.values()).filter(
    (pod) => (namespace === null || pod.namespace === namespace) && !isHypothetical(pod) && which(pod),
  );
}

const ownedBy = (pod: Pod, kind: string, name: string): boolean =>
  pod.workload.kind === kind && pod.workload.name === name;

/** Pods that were named: hostNetwork ones are their nodes, finished ones are left out unless there is no other. */
function ofPods(plan: Plan, pods: readonly Pod[], resolved: Resolve, ref: string): Resolved | Problem {
  const running = pods.filter((pod) => !isFinished(pod));
  if (running.length === 0)
    return problem("finished-pod", `${ref} has finished (${pods[0]!.phase}) and takes no part in traffic`);
  const found = endsOfPods(plan, running);
  return resolved(found.ends, null, found.notes);
}

/** Running pods as ends, each end once. */
function endsOfPods(plan: Plan, pods: readonly Pod[], only: readonly Family[] = families) {
  const ends = new Map<string, Endpoint>();
  const notes: Note[] = [];
  for (const pod of pods) {
    if (!pod.hostNetwork) {
      const end = podEndpoint(plan, pod, only);
      ends.set(end.ref, end);
      continue;
    }
    const host = hostOf(plan, pod);
    for (const end of host.ends) ends.set(end.ref, end);
    notes.push(host.note);
  }
  return { ends: Array.from(ends.values()), notes };
}

/** hostNetwork pods are their node (spec A8.2). */
function hostOf(plan: Plan, pod: Pod): { readonly ends: readonly Endpoint[]; readonly note: Note } {
  const endpoint = podReference(pod.namespace, pod.name);
  const { ports } = pod;
  if (pod.node !== null) {
    // a node without Node object is known by its pods only
    const node = plan.nodes.get(pod.node) ?? unlistedNode(pod.node, pod.ips);
    return { ends: [nodeEndpoint(plan, node, { ports })], note: { note: "host-network", endpoint, node: pod.node } };
  }
  const elsewhere = pod.workload.kind !== "DaemonSet";
  const nodes = Array.from(plan.nodes.values());
  const ends =
    nodes.length > 0
      ? nodes.map((node) => nodeEndpoint(plan, node, { ports, elsewhere }))
      : [nodeEndpoint(plan, unlistedNode("", []), { ports, elsewhere, ref: endpoint })];
  return { ends, note: { note: "host-node-unknown", endpoint } };
}

const unlistedNode = (name: string, ips: readonly string[]): Node => ({
  name,
  ips,
  labels: {},
  podCIDRs: [],
  source: null,
});

/** The pods behind a Service, and the addresses that its EndpointSlices give. */
function ofService(
  plan: Plan,
  service: Service,
  resolved: Resolve,
  ref: string,
  only: readonly Family[] = families,
): Resolved | Problem {
  if (service.type === "ExternalName")
    return problem("external-name", `${ref} is an ExternalName Service: a DNS alias without endpoints of its own`);
  const { selector } = service;
  if (selector === null) {
    const addresses = service.endpoints.map(parseAddress).filter((address) => address !== null);
    const ends = ofAddresses(plan, AddressSet.ofAddresses(addresses.filter(({ family }) => only.includes(family))));
    return ends.length === 0
      ? problem("no-endpoints", `${ref} has no selector and no endpoints are given`)
      : resolved(ends, service);
  }
  const pods = podsOf(plan, service.namespace, (pod) => !isFinished(pod) && hasLabels(pod.labels, selector));
  const { ends, notes } = endsOfPods(plan, pods, only);
  return ends.length === 0 ? problem("no-endpoints", `${ref} selects no running pod`) : resolved(ends, service, notes);
}

/** An empty selector of a Service selects nothing that Kubernetes would manage. */
const hasLabels = (labels: Labels, selector: Labels): boolean =>
  Object.keys(selector).length > 0 && Object.entries(selector).every(([key, value]) => labels[key] === value);

function serviceAt(plan: Plan, address: string): Service | null {
  for (const service of plan.services.values())
    if (service.clusterIPs.some((ip) => sameAddress(ip, address))) return service;
  return null;
}

function sameAddress(a: string, b: string): boolean {
  const parsed = parseAddress(a);
  return parsed !== null && formatAddress(parsed) === b;
}

/** A range: addresses of pods and nodes in it mean those, over the families that the range has of them. */
function ofAddresses(plan: Plan, set: AddressSet): readonly Endpoint[] {
  const inside = (ips: readonly string[], owner: Pod | Node): string[] =>
    ips.filter((ip) => {
      const address = parseAddress(ip);
      if (address === null || !set.has(address)) return false;
      const end = plan.endAt(ip);
      return end === null || (end.kind === "pod" ? end.pod : end.node) === owner;
    });
  const ends: Endpoint[] = [];
  for (const pod of plan.pods.values()) {
    const ips = isEndpointPod(pod) ? inside(pod.ips, pod) : [];
    if (ips.length > 0)
      ends.push(
        podEndpoint(
          plan,
          pod,
          families.filter((family) => ips.some((ip) => parseAddress(ip)?.family === family)),
        ),
      );
  }
  const unlisted = new Map<string, Node>();
  for (const pod of plan.pods.values())
    if (pod.hostNetwork && pod.node !== null && !plan.nodes.has(pod.node) && !isFinished(pod))
      unlisted.set(pod.node, unlistedNode(pod.node, pod.ips));
  for (const node of [...plan.nodes.values(), ...unlisted.values()]) {
    const ips = inside(node.ips, node);
    if (ips.length > 0) ends.push(nodeEndpoint(plan, node, { ips }));
  }
  return [...ends, ...addressEndpoints(plan, set.minus(takenAddresses(plan)))];
}

// ---- what names nothing ---------------------------------------------------------------------------------------------

function noNamespace(plan: Plan, namespace: string): Problem | null {
  if (plan.namespaces.has(namespace)) return null;
  return problem("not-found", `no namespace "${namespace}"${didYouMean(namespace, plan.namespaces.keys())}`);
}

function noSuchPod(plan: Plan, { namespace, name }: { namespace: string; name: string }): Problem {
  const missing = noNamespace(plan, namespace);
  if (missing !== null) return missing;
  const pods = podsOf(plan, namespace, () => true);
  const workload = pods.find((pod) => pod.workload.name === name)?.workload;
  if (workload !== undefined) {
    const reference = `${namespace}/${workload.kind.toLowerCase()}/${name}`;
    return problem("not-found", `no pod "${name}" in namespace "${namespace}"; did you mean "${reference}"?`);
  }
  const names = pods.map((pod) => pod.name);
  return problem("not-found", `no pod "${name}" in namespace "${namespace}"${didYouMean(name, names)}`);
}

function noSuchWorkload(plan: Plan, { namespace, workload, name }: Extract<Reference, { kind: "workload" }>): Problem {
  const missing = noNamespace(plan, namespace);
  if (missing !== null) return missing;
  const pods = podsOf(plan, namespace, () => true);
  const kind = pods.find((pod) => pod.workload.name === name)?.workload.kind.toLowerCase();
  const names = pods.filter((pod) => pod.workload.kind === workload).map((pod) => pod.workload.name);
  const hint = kind === undefined ? didYouMean(name, names) : `; did you mean "${namespace}/${kind}/${name}"?`;
  return problem("not-found", `no ${workload} "${name}" with pods in namespace "${namespace}"${hint}`);
}

function noSuchService(plan: Plan, { namespace, name }: { namespace: string; name: string }): Problem {
  const missing = noNamespace(plan, namespace);
  if (missing !== null) return missing;
  const names = Array.from(plan.services.values())
    .filter((service) => service.namespace === namespace)
    .map((service) => service.name);
  return problem("not-found", `no Service "${name}" in namespace "${namespace}"${didYouMean(name, names)}`);
}

/** The references of one question, looked up; the first problem. References with the same labels are different pods. */
export function resolveAll(plan: Plan, references: readonly Reference[]): readonly Resolved[] | Problem {
  const all: Resolved[] = [];
  const copies = new Map<string, number>();
  for (const reference of references) {
    const text = formatReference(reference);
    const copy = copies.get(text) ?? 0;
    copies.set(text, copy + 1);
    const resolved = resolveReference(plan, reference, copy);
    if (isProblem(resolved)) return resolved;
    all.push(resolved);
  }
  return all;
}
