/** examples/shop on a real cluster. Its images exist nowhere: every container is agnhost, which listens on the container's ports. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { images } from "./assets.ts";
import type { Cluster } from "./cluster.ts";

const folder = join(import.meta.dirname, "../../../examples/shop");

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

interface Container {
  readonly name: string;
  readonly ports?: readonly { readonly containerPort: number; readonly protocol?: string }[];
}

interface Workload extends KubeObject {
  readonly spec: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } };
}

const read = (name: string): readonly KubeObject[] =>
  parseAllDocuments(readFileSync(join(folder, name), "utf8")).map((document) => document.toJS() as KubeObject);

/** `porter` serves HTTP on every port that an environment variable names. */
function runnable({ name, ports = [] }: Container): object {
  const tcp = ports.filter(({ protocol }) => protocol === undefined || protocol === "TCP");
  const env = tcp.map(({ containerPort }) => ({ name: `SERVE_PORT_${containerPort}`, value: name }));
  return { name, image: images.agnhost, args: ["porter"], env, ports };
}

const isWorkload = (object: KubeObject): object is Workload => ["Deployment", "StatefulSet"].includes(object.kind);

/** All but the policies, and the nodes, which the cluster has its own of. */
export const shopObjects = (): readonly KubeObject[] =>
  [...read("cluster.yaml"), ...read("services.yaml")]
    .filter(({ kind }) => kind !== "Node")
    .map((object) => {
      if (!isWorkload(object)) return object;
      const { template } = object.spec;
      const containers = template.spec.containers.map(runnable);
      const pod = { ...template.spec, containers, terminationGracePeriodSeconds: 0 };
      return { ...object, spec: { ...object.spec, template: { ...template, spec: pod } } };
    });

export const shopPolicies = (): readonly KubeObject[] => read("policies.yaml");

/** Applies it, without its policies, and waits until all of it runs. */
export async function applyShop(cluster: Cluster): Promise<void> {
  const objects = shopObjects();
  const namespaces = objects.filter(({ kind }) => kind === "Namespace");
  await cluster.apply(...namespaces);
  await cluster.apply(...objects.filter((object) => !namespaces.includes(object)));
  for (const { kind, metadata } of objects.filter(isWorkload))
    await cluster.kubectl(
      ["rollout", "status", `${kind}/${metadata.name}`, `--namespace=${metadata.namespace}`, "--timeout=60s"],
      { within: 65_000 },
    );
}
