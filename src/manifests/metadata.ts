/** metadata of the kinds that are read here (policies have their own, stricter, decoder). */
import {
  dnsLabelProblems,
  dnsSubdomainProblems,
  labelKeyProblems,
  labelValueProblems,
} from "../policy/decode/names.ts";
import type { Labels } from "../policy/model/labels.ts";
import type { Owner } from "../policy/model/workload.ts";
import type { Fields } from "./fields.ts";

export interface Metadata {
  readonly name: string;
  readonly generated: boolean;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly labels: Labels;
  readonly owner: Owner | null;
}

export interface Scope {
  readonly namespaced: boolean;
  readonly defaultNamespace: string;
}

export function readMetadata(object: Fields, { namespaced, defaultNamespace }: Scope): Metadata {
  const metadata = object.object("metadata");
  const name = metadata.string("name");
  const generateName = metadata.string("generateName");
  const namespace = namespaced ? metadata.string("namespace") || defaultNamespace : "";
  if (name !== "") complain(metadata, "name", name, dnsSubdomainProblems(name));
  else if (generateName === "" && !metadata.has("name"))
    metadata.fault(["name"], "Required value: name or generateName is required");
  if (namespaced) complain(metadata, "namespace", namespace, dnsLabelProblems(namespace));
  return {
    name: name || generateName,
    generated: name === "",
    namespace,
    labels: readLabels(metadata),
    owner: readOwner(metadata),
  };
}

function complain(metadata: Fields, field: string, value: string, problems: readonly string[]): void {
  // A template was complained about already, and says more.
  if (value.includes("{{")) return;
  for (const problem of problems) metadata.fault([field], `Invalid value: ${JSON.stringify(value)}: ${problem}`);
}

/** `labels` of a metadata object, checked as the API server does (spec B3.1, B3.2). */
export function readLabels(metadata: Fields): Labels {
  const labels = metadata.labels("labels");
  for (const [key, value] of Object.entries(labels)) {
    if (key.includes("{{") || value.includes("{{")) continue;
    for (const problem of labelKeyProblems(key)) {
      metadata.fault(["labels", key], `Invalid value: ${JSON.stringify(key)}: ${problem}`);
    }
    for (const problem of labelValueProblems(value)) {
      metadata.fault(["labels", key], `Invalid value: ${JSON.stringify(value)}: ${problem}`);
    }
  }
  return labels;
}

/** The controller; an only owner that says nothing about it counts as one. */
function readOwner(metadata: Fields): Owner | null {
  const owners = metadata.objects("ownerReferences").map((owner) => ({
    apiVersion: owner.string("apiVersion"),
    kind: owner.string("kind"),
    name: owner.string("name"),
    controller: owner.has("controller") ? owner.boolean("controller") : null,
  }));
  const owner = owners.find((o) => o.controller === true) ?? (owners.length === 1 ? owners[0]! : null);
  if (owner === null || owner.controller === false) return null;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.name };
}
