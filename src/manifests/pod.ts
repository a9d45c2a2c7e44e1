/** Pods and the pod templates of workloads. */
import { type PortProtocol, portProtocols } from "../net/ports.ts";
import { portNameProblems } from "../policy/decode/names.ts";
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
  if (name !== "") checkPortName(port, "name", name);
  if (number === null && !port.has("containerPort")) port.fault(["containerPort"], "Required value");
  return number === null || name === "" ? [] : [{ name, number, protocol }];
}

/** The name of a container port, or of the container port that a Service means (spec B4.4 has the same rule). */
export function checkPortName(port: Fields, field: string, name: string): void {
  if (name.includes("{{")) return; // that was complained about
  for (const problem of portNameProblems(name))
    port.fault([field], `Invalid value: ${JSON.stringify(name)}: ${problem}`);
}

function readPodIPs(status: Fields): string[] {
  const listed = status.objects("podIPs").flatMap((entry) => entry.address("ip"));
  const families = Map.groupBy(listed, (ip) => ip.includes(":"));
  if (families.values().some((ips) => ips.length > 1)) {
    status.fault(["podIPs"], "may specify no more than one IP for each IP family");
  }
  return listed.length > 0 ? listed : status.address("podIP");
}
