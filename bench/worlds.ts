/** The worlds that are measured, as the manifests that a user would have: a folder of them, or a cluster's dump. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatCidr, parseCidr } from "../src/net/address.ts";
import type { Pod, World } from "../src/policy/model/world.ts";
import { toYaml } from "../src/report/yaml.ts";
import { profileWorld } from "./profile.ts";
import { randomNumbers } from "./random.ts";

export type Manifest = Readonly<Record<string, unknown>>;

const workloadsPerNamespace = 10;
const namespacesPerTeam = 5;
const tiers = ["web", "api", "worker", "cache", "db"];
const addressBlocks = 40;

const tierOf = (i: number): string => tiers[i % tiers.length]!;
const appName = (i: number): string => `${tierOf(i)}-${i}`;

/**
 * `workloads` Deployments in namespaces of ten, teams of five namespaces, and a policy for each Deployment with three rules
 * in each direction: selectors by label and expression, in the own namespace, in one named namespace and in all of a team,
 * ipBlocks with except, named ports and ranges of ports. What one policy reaches does not grow with the world.
 *
 * @example appManifests(1000).length // 2100: 100 Namespaces, 1,000 Deployments, 1,000 NetworkPolicies
 */
export function appManifests(workloads: number, seed = 1): Manifest[] {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const namespaceCount = Math.ceil(workloads / workloadsPerNamespace);
  const teams = Math.ceil(namespaceCount / namespacesPerTeam);
  const ipBlock = () => {
    const i = below(addressBlocks);
    return { cidr: `203.${i}.0.0/16`, except: [`203.${i}.${i}.0/24`, `203.${i}.128.0/17`] };
  };
  const manifests: Manifest[] = [];
  for (let n = 0; n < namespaceCount; n++) {
    const namespace = `ns-${n}`;
    const team = `team-${Math.floor(n / namespacesPerTeam)}`;
    const labels = { team, stage: n % 3 === 0 ? "test" : "production" };
    manifests.push({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } });
    const size = Math.min(workloadsPerNamespace, workloads - n * workloadsPerNamespace);
    for (let i = 0; i < size; i++) {
      const tier = tierOf(i);
      const app = appName(i);
      const other = random() < 0.5 ? team : `team-${below(teams)}`;
      manifests.push(deployment(namespace, app, { app, tier, "app.kubernetes.io/part-of": team }), {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: app, namespace },
        spec: {
          podSelector: { matchLabels: { app } },
          policyTypes: ["Ingress", "Egress"],
          ingress: [
            {
              from: [{ podSelector: { matchLabels: { app: appName(below(size)) } } }],
              ports: [
                { protocol: "TCP", port: "http" },
                { protocol: "TCP", port: 8443 },
              ],
            },
            {
              from: [
                {
                  namespaceSelector: { matchLabels: { team } },
                  podSelector: { matchExpressions: [{ key: "tier", operator: "In", values: ["web", "api"] }] },
                },
                {
                  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": `ns-${below(namespaceCount)}` } },
                },
              ],
              ports: [{ protocol: "TCP", port: 8000, endPort: 8000 + 10 * (1 + below(9)) }],
            },
            { from: [{ ipBlock: ipBlock() }], ports: [{ protocol: "TCP", port: 443 }] },
          ],
          egress: [
            {
              to: [
                {
                  namespaceSelector: { matchLabels: { team: other, stage: "production" } },
                  podSelector: { matchLabels: { tier: tiers[below(tiers.length)]! } },
                },
              ],
              ports: [
                { protocol: "TCP", port: "http" },
                { protocol: "TCP", port: "metrics" },
              ],
            },
            {
              to: [{ podSelector: {} }],
              ports: [
                { protocol: "TCP", port: 8000, endPort: 8999 },
                { protocol: "UDP", port: 53 },
              ],
            },
            {
              to: [{ ipBlock: ipBlock() }, { ipBlock: ipBlock() }],
              ports: [
                { protocol: "TCP", port: 443 },
                { protocol: "TCP", port: 5432 + below(4) },
              ],
            },
          ],
        },
      });
    }
  }
  return manifests;
}

function deployment(namespace: string, name: string, labels: Readonly<Record<string, string>>): Manifest {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: "main",
              image: `registry.example/${name}:1.0.0`,
              ports: [
                { name: "http", containerPort: 8080, protocol: "TCP" },
                { name: "metrics", containerPort: name.endsWith("1") ? 9100 : 9090, protocol: "TCP" },
              ],
            },
          ],
        },
      },
    },
  };
}

/** The real-cluster profile as `kubectl get` would dump it. */
export const profileManifests = (): Manifest[] => clusterManifests(profileWorld());

function clusterManifests({ nodes, namespaces, pods, policies }: World): Manifest[] {
  return [
    ...nodes.map(({ name, labels, ips, podCIDRs }) => ({
      apiVersion: "v1",
      kind: "Node",
      metadata: { name, labels },
      spec: { podCIDRs: podCIDRs.map((text) => formatCidr(parseCidr(text)!.cidr)) },
      status: { addresses: ips.map((address) => ({ type: "InternalIP", address })) },
    })),
    ...namespaces.map(({ name, labels }) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } })),
    ...pods.map(podManifest),
    ...policies.map(({ kind, metadata, spec }) => ({
      apiVersion: "networking.k8s.io/v1",
      kind,
      metadata: { name: metadata.name, namespace: metadata.namespace },
      spec,
    })),
  ];
}

function podManifest({ namespace, name, labels, ips, node, phase, ports }: Pod): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels },
    spec: {
      nodeName: node,
      containers: [
        {
          name: "main",
          image: "registry.example/app:1.0.0",
          ports: ports.map((port) => ({ name: port.name, containerPort: port.number, protocol: port.protocol })),
        },
      ],
    },
    status: { phase, podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}

/** A repository's layout: one file for each namespace, its objects divided by `---`. */
export async function writeFolder(folder: string, manifests: readonly Manifest[]): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [namespace, objects] of Map.groupBy(manifests, namespaceOf))
    await writeFile(join(folder, `${namespace}.yaml`), objects.map((object) => toYaml(object)).join("---\n"));
}

function namespaceOf({ metadata }: Manifest): string {
  const { namespace, name } = metadata as { readonly namespace?: string; readonly name: string };
  return namespace ?? name;
}

const listOf = (items: readonly Manifest[]): Manifest => ({ apiVersion: "v1", kind: "List", items });

/** What `kubectl get -o yaml` writes: all objects in the one document of a List. */
export const yamlDump = (manifests: readonly Manifest[]): string => toYaml(listOf(manifests));

/** What `kubectl get -o json` writes. */
export const jsonDump = (manifests: readonly Manifest[]): string => `${JSON.stringify(listOf(manifests), null, 4)}\n`;
