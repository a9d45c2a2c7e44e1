/** Pods and the pod templates of workloads. */
import { type PortProtocol, portProtocols } from "../net/ports.ts";
import type { Labels } from "../policy/model/labels.ts";
import type { ContainerPort, PodPhase } from "../policy/model/world.ts";
import type { Fields } from "./fields.ts";
import { readLabels } from "./metadata.ts";
import type { PodFacts } from "./record.ts";

const protocolNames = portProtocols as readonly [PortProtocol, ...PortProtocol[]];
const phases: readonly PodPhase[] = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];

export const readProtocol = (port: Fields): PortProtocol => port.choice("protocol", protocolNames);

/** @param labels metadata.labels, read already */
export function readPod(object: Fields, labels: Labels): PodFacts {
  const status = object.object("status");
  const phase = status.string("phase");
  return {
    ...readPodSpec(object.object("spec")),
    labels,
    ips: readPodIPs(status),
    phase: phase === "" ? "Pending" : (phases.find((p) => p === phase) ?? "Unknown"),
  };
}

/** The pod that a `template` field would make. */
export function readTemplate(template: Fields): PodFacts {
  return {
    ...readPodSpec(template.object("spec")),
    labels: readLabels(template.object("metadata")),
    ips: [],
    phase: "Pending",
  };
}

function readPodSpec(spec: Fields): Pick<PodFacts, "node" | "hostNetwork" | "ports"> {
  const sidecars = spec.objects("initContainers").filter((c) => c.string("restartPolicy") === "Always");
  const node = spec.string("nodeName");
  return {
    node: node === "" ? null : node,
    hostNetwork: spec.boolean("hostNetwork"),
    ports: [...spec.objects("containers"), ...sidecars].flatMap((c) => c.objects("ports").flatMap(readContainerPort)),
  };
}

function readContainerPort(port: Fields): ContainerPort[] {
  const number = port.integer("containerPort", 1, 65535);
  const name = port.string("name");
  const protocol = readProtocol(port);
  if (number === null && !port.has("containerPort")) port.fault(["containerPort"], "Required value");
  return number === null || name === "" ? [] : [{ name, number, protocol }];
}

function readPodIPs(status: Fields): string[] {
  const listed = status.objects("podIPs").flatMap((entry) => entry.address("ip"));
  return listed.length > 0 ? listed : status.address("podIP");
}
