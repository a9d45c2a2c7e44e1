/** Deployment, StatefulSet, DaemonSet, ReplicaSet, Job and CronJob: the pod that each would make. */
import type { PodPhase } from "../policy/model/world.ts";
import type { Fields } from "./fields.ts";
import type { WorkloadTemplateKind } from "./kinds.ts";
import type { Metadata } from "./metadata.ts";
import { readTemplate } from "./pod.ts";
import type { Content, PodFacts } from "./record.ts";

/** How many pods API defaults ask for where `replicas` is absent. */
const defaultReplicas = 1;
const maxInt32 = 2 ** 31 - 1;

export function readWorkload(kind: WorkloadTemplateKind, object: Fields, { name }: Metadata): Content {
  const spec = object.object("spec");
  const holder = kind === "CronJob" ? spec.object("jobTemplate").object("spec") : spec;
  if (!holder.has("template")) holder.fault(["template"], "Required value");
  const pod = readTemplate(holder.object("template"));
  switch (kind) {
    case "Deployment":
    case "StatefulSet":
    case "ReplicaSet":
      return { type: "workload", kind, pod, replicas: spec.integer("replicas", 0, maxInt32) ?? defaultReplicas };
    case "Job":
      return { type: "workload", kind, pod: jobPod(object, name, pod), replicas: null };
    case "DaemonSet":
    case "CronJob":
      return { type: "workload", kind, pod, replicas: null };
  }
}

/** The API server adds the Job's name to its pods' labels; a finished Job makes no more pods. */
function jobPod(job: Fields, name: string, pod: PodFacts): PodFacts {
  const labels = job.object("spec").boolean("manualSelector")
    ? pod.labels
    : { ...pod.labels, "job-name": name, "batch.kubernetes.io/job-name": name };
  return { ...pod, labels, phase: jobPhase(job) };
}

function jobPhase(job: Fields): PodPhase {
  const holds = job
    .object("status")
    .objects("conditions")
    .filter((condition) => condition.string("status") === "True")
    .map((condition) => condition.string("type"));
  if (holds.includes("Complete")) return "Succeeded";
  return holds.includes("Failed") ? "Failed" : "Pending";
}
