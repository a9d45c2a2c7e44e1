/** Records into a World: owners, endpoints and namespaces joined. */
import { namespaceNameLabel } from "../policy/model/labels.ts";
import { type Namespace, namespacedName, type Service, type World } from "../policy/model/world.ts";
import { UniqueNames } from "./names.ts";
import { joinPods } from "./pods.ts";
import type { Problem } from "./problem.ts";
import { contents, formatIdentity, identityKey, type ObjectRecord, placeOf } from "./record.ts";

export interface AssembleOptions {
  readonly podCIDRs: readonly string[];
  readonly serviceCIDRs: readonly string[];
  readonly mixedGenerations: boolean;
}

export interface Assembled {
  readonly world: World;
  readonly problems: readonly Problem[];
}

/** Joins objects, in the order given. Of two objects with one identity the first stays. */
export function assemble(records: readonly ObjectRecord[], options: AssembleOptions): Assembled {
  const problems: Problem[] = [];
  const unique = withoutDuplicates(records, problems);
  const nodes = contents(unique, "node").map(({ content }) => content.node);
  const ranges = contents(unique, "service-ranges").flatMap(({ content }) => content.cidrs);
  const policies = contents(unique, "policy").map(({ content }) => content.policy);
  const namespaces = joinNamespaces(unique, problems);
  if (!options.mixedGenerations) checkGenerations(unique, problems);
  return {
    world: {
      nodes,
      namespaces,
      pods: joinPods(unique),
      services: joinServices(unique),
      policies,
      cluster: {
        podCIDRs: [...new Set([...nodes.flatMap((node) => node.podCIDRs), ...options.podCIDRs])],
        serviceCIDRs: [...new Set([...ranges, ...options.serviceCIDRs])],
      },
    },
    problems,
  };
}

function withoutDuplicates(records: readonly ObjectRecord[], problems: Problem[]): ObjectRecord[] {
  const first = new Map<string, ObjectRecord>();
  const names = new UniqueNames();
  for (const record of records) {
    const unique = record.generated ? withFreeName(record, names) : record;
    const key = identityKey(unique);
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, unique);
      continue;
    }
    problems.push({
      severity: "error",
      code: "duplicate-object",
      message: `${formatIdentity(record)} is there twice: first ${placeOf(other)}`,
      position: record.source?.position([]) ?? null,
      path: [],
    });
  }
  return [...first.values()];
}

/** Objects with one generateName are different objects: a number stands for what the API server would add. */
function withFreeName(record: ObjectRecord, names: UniqueNames): ObjectRecord {
  const name = names.take(`${record.kind}/${record.namespace}`, record.name);
  const { content } = record;
  if (content.type !== "policy") return { ...record, name };
  const policy = { ...content.policy, metadata: { ...content.policy.metadata, name } };
  return { ...record, name, content: { type: "policy", policy } };
}

function joinNamespaces(records: readonly ObjectRecord[], problems: Problem[]): Namespace[] {
  const namespaces = new Map<string, Namespace>();
  for (const { name, source, content } of contents(records, "namespace")) {
    const labels = { ...content.labels, [namespaceNameLabel]: name };
    namespaces.set(name, { name, labels, defined: true, source });
  }
  for (const record of records) {
    const name = record.namespace;
    if (name === "" || namespaces.has(name)) continue;
    namespaces.set(name, { name, labels: { [namespaceNameLabel]: name }, defined: false, source: null });
    problems.push({
      severity: "warning",
      code: "undefined-namespace",
      message: `namespace "${name}" is used but not defined: taken to exist, with no label but ${namespaceNameLabel}`,
      position: record.source?.position([]) ?? null,
      path: [],
    });
  }
  return [...namespaces.values()];
}

/** spec C18. */
function checkGenerations(records: readonly ObjectRecord[], problems: Problem[]): void {
  const v1alpha2 = records.find((r) => r.kind === "ClusterNetworkPolicy");
  const v1alpha1 = records.find((r) => r.kind === "AdminNetworkPolicy" || r.kind === "BaselineAdminNetworkPolicy");
  if (v1alpha1 === undefined || v1alpha2 === undefined) return;
  problems.push({
    severity: "error",
    code: "mixed-generations",
    message: `${formatIdentity(v1alpha1)} is of another generation than ${formatIdentity(v1alpha2)} ${placeOf(v1alpha2)}: their order is not defined; --mixed-generations takes both`,
    position: v1alpha1.source?.position([]) ?? null,
    path: [],
  });
}

function joinServices(records: readonly ObjectRecord[]): Service[] {
  const addresses = new Map<string, Set<string>>();
  for (const { namespace, content } of contents(records, "endpoints")) {
    const key = namespacedName({ namespace, name: content.service });
    const known = addresses.get(key) ?? new Set();
    for (const address of content.addresses) known.add(address);
    addresses.set(key, known);
  }
  return contents(records, "service").map(({ content: { service } }) => ({
    ...service,
    endpoints: [...(addresses.get(namespacedName(service)) ?? [])],
  }));
}
