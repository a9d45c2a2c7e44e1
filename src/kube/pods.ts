/** Pods, as little of them as policies can see. */
import { type PortProtocol, portProtocols } from "../net/ports.ts";
import type { Labels } from "../policy/model/labels.ts";
import { type Owner, ownerWorkload, unseenDeployment } from "../policy/model/workload.ts";
import {
  type ContainerPort,
  namespacedName,
  type Pod,
  type PodPhase,
  type WorkloadRef,
} from "../policy/model/world.ts";
import { Pool } from "./intern.ts";
import type { Projection } from "./project.ts";
import { addresses, isRaw, labels, objects, type Raw, raw, text } from "./raw.ts";
import type { Resource } from "./resource.ts";

/** What pods share, each once. */
class Shared {
  readonly labels = new Pool<Labels>();
  readonly ports = new Pool<readonly ContainerPort[]>();
  readonly workloads = new Pool<WorkloadRef>();
  readonly names = new Pool<string>();

  name(name: string): string {
    return this.names.get(name, name);
  }
}

const phases: readonly PodPhase[] = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];
const noPorts: readonly ContainerPort[] = [];

const ports = { name: true, containerPort: true, protocol: true } as const;

const mirror = "kubernetes.io/config.mirror";

const reads: Projection = {
  metadata: {
    name: true,
    namespace: true,
    uid: true,
    labels: true,
    annotations: { [mirror]: true },
    ownerReferences: { apiVersion: true, kind: true, name: true, controller: true },
  },
  spec: { nodeName: true, hostNetwork: true, containers: { ports }, initContainers: { ports, restartPolicy: true } },
  status: { phase: true, podIP: true, podIPs: { ip: true } },
};

export function podResource(): Resource<Pod> {
  const shared = new Shared();
  return {
    name: "pods",
    path: "/api/v1/pods",
    reads,
    decode: (object) => decodePod(object, shared),
    key: namespacedName,
    uid: (pod) => pod.uid ?? "",
    same: samePod,
  };
}

function decodePod(object: unknown, shared: Shared): Pod | null {
  if (!isRaw(object)) return null;
  const metadata = raw(object["metadata"]);
  const spec = raw(object["spec"]);
  const status = raw(object["status"]);
  const name = text(metadata["name"]);
  const namespace = text(metadata["namespace"]);
  if (name === "" || namespace === "") return null;
  const own = labels(metadata["labels"]);
  const node = text(spec["nodeName"]);
  const phase = text(status["phase"]);
  const staticUid = text(raw(metadata["annotations"])[mirror]);
  return {
    namespace: shared.name(namespace),
    name,
    uid: text(metadata["uid"]),
    ...(staticUid === "" ? {} : { staticUid }),
    labels: shared.labels.get(JSON.stringify(own), own),
    ips: podIPs(status),
    node: node === "" ? null : shared.name(node),
    hostNetwork: spec["hostNetwork"] === true,
    phase: phase === "" ? "Pending" : (phases.find((known) => known === phase) ?? "Unknown"),
    ports: namedPorts(spec, shared),
    workload: workload(metadata, own, name, shared),
    template: false,
    replicas: null,
    source: null,
  };
}

/** The first of each family: the API allows no more. */
function podIPs(status: Raw): readonly string[] {
  const listed = objects(status["podIPs"]).map((entry) => text(entry["ip"]));
  const ips = addresses(listed.length > 0 ? listed : [text(status["podIP"])]);
  const first = ips.filter((ip, i) => ips.findIndex((other) => other.includes(":") === ip.includes(":")) === i);
  return first.slice(); // without the room that `filter` leaves for more: there are very many
}

/** Named ports of containers and of sidecars (spec A14.9). */
function namedPorts(spec: Raw, shared: Shared): readonly ContainerPort[] {
  const found: ContainerPort[] = [];
  const read = (container: Raw): void => {
    for (const port of objects(container["ports"])) {
      const name = text(port["name"]);
      const number = port["containerPort"];
      const protocol = protocolOf(port["protocol"]);
      if (name === "" || protocol === null || typeof number !== "number" || !Number.isInteger(number)) continue;
      found.push({ name: shared.name(name), number, protocol });
    }
  };
  for (const container of objects(spec["containers"])) read(container);
  for (const container of objects(spec["initContainers"])) if (container["restartPolicy"] === "Always") read(container);
  return found.length === 0 ? noPorts : shared.ports.get(JSON.stringify(found), found);
}

const protocolOf = (value: unknown): PortProtocol | null =>
  portProtocols.find((protocol) => protocol === (value ?? "TCP")) ?? null;

function workload(metadata: Raw, own: Labels, name: string, shared: Shared): WorkloadRef {
  const controller = objects(metadata["ownerReferences"]).find((owner) => owner["controller"] === true);
  if (controller === undefined) return { kind: "Pod", name };
  const owner: Owner = {
    apiVersion: text(controller["apiVersion"]),
    kind: text(controller["kind"]),
    name: text(controller["name"]),
  };
  const direct = ownerWorkload(owner);
  if (direct === null) return { kind: "Pod", name };
  const top = unseenDeployment(direct, own) ?? direct;
  return shared.workloads.get(`${top.kind}/${top.name}`, top);
}

/** Heartbeats, conditions and container states are none of ours. */
export function samePod(a: Pod, b: Pod): boolean {
  return (
    a.node === b.node &&
    a.phase === b.phase &&
    a.hostNetwork === b.hostNetwork &&
    sameList(a.ips, b.ips) &&
    (a.labels === b.labels || sameLabels(a.labels, b.labels)) &&
    (a.ports === b.ports || JSON.stringify(a.ports) === JSON.stringify(b.ports)) &&
    a.workload.kind === b.workload.kind &&
    a.workload.name === b.workload.name
  );
}

export const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

export function sameLabels(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}
