import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { documents, errorsOf, load } from "../../test/manifests/load.ts";
import { loadManifests } from "./index.ts";

const dump = fileURLToPath(new URL("../../test/manifests/dump.yaml", import.meta.url));

const inNamespace = `apiVersion: v1
kind: Namespace
metadata: {name: default}`;

const deployment = (name: string, rest = ""): string => `apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec: {template: {metadata: {labels: {app: ${name}}}}${rest}}`;

const pod = (name: string, owner: string, rest = ""): string => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: x, pod-template-hash: abc}, ownerReferences: [{controller: true, name: up, ${owner}}]}
${rest}`;

test("items of a typed list need not say their kind", async () => {
  const { world, problems } = await load(
    documents(
      inNamespace,
      `apiVersion: networking.k8s.io/v1
kind: NetworkPolicyList
items:
- metadata: {name: all}
  spec: {podSelector: {}}`,
    ),
  );
  expect(problems).toEqual([]);
  expect(world.policies.map((policy) => policy.metadata.name)).toEqual(["all"]);
});

describe("a dump of a cluster", async () => {
  const loaded = await loadManifests([dump]);
  const { world } = loaded;

  test("is read without complaint, but for the namespace that it lacks", () => {
    expect(loaded.problems.map((p) => [p.severity, p.code])).toEqual([["warning", "undefined-namespace"]]);
    expect(loaded.objects).toBe(16);
    expect([...loaded.ignored]).toEqual([]);
  });

  test("nodes: every address that is one, in canonical spelling", () => {
    expect(world.nodes).toMatchObject([
      {
        name: "n1",
        ips: ["172.18.0.11", "fd00:18::11", "203.0.113.11"],
        podCIDRs: ["10.244.1.0/24", "fd00:244:1::/64"],
      },
    ]);
    expect(world.cluster.podCIDRs).toEqual(["10.244.1.0/24", "fd00:244:1::/64"]);
  });

  test("pods stand in place of what made them", () => {
    expect(
      world.pods.map(({ namespace, name, workload, template }) => ({ namespace, name, workload, template })),
    ).toEqual([
      {
        namespace: "shop",
        name: "web-5d4f8c7b9-x2k4p",
        workload: { kind: "Deployment", name: "web" },
        template: false,
      },
      // Its ReplicaSet is not there, but the hash says that a Deployment made it.
      {
        namespace: "shop",
        name: "api-77c5b4f6d-q8w2e",
        workload: { kind: "Deployment", name: "api" },
        template: false,
      },
      {
        namespace: "shop",
        name: "report-29384720-abcde",
        workload: { kind: "CronJob", name: "report" },
        template: false,
      },
      {
        namespace: "kube-system",
        name: "kube-apiserver-n1",
        workload: { kind: "Pod", name: "kube-apiserver-n1" },
        template: false,
      },
      // The only pod of the CronJob is finished: the next one comes from the template.
      { namespace: "shop", name: "report", workload: { kind: "CronJob", name: "report" }, template: true },
    ]);
  });

  test("a pod's facts", () => {
    expect(world.pods[0]).toMatchObject({
      ips: ["10.244.1.10", "fd00:244:1::a"],
      node: "n1",
      phase: "Running",
      hostNetwork: false,
      replicas: 2,
      labels: { app: "web", "pod-template-hash": "5d4f8c7b9" },
      ports: [
        { name: "http", number: 8080, protocol: "TCP" },
        { name: "metrics", number: 15090, protocol: "TCP" },
      ],
    });
    expect(world.pods[1]).toMatchObject({ ips: ["10.244.1.11"], replicas: null, ports: [] });
    expect(world.pods[3]).toMatchObject({ hostNetwork: true, ips: ["172.18.0.11"] });
  });

  test("Services and their endpoints", () => {
    expect(world.services).toMatchObject([
      {
        name: "web",
        type: "LoadBalancer",
        headless: false,
        clusterIPs: ["10.96.10.1", "fd00:96::a01"],
        selector: { app: "web" },
        ports: [
          { name: "http", port: 80, protocol: "TCP", targetPort: "http" },
          { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
        ],
        endpoints: ["10.244.1.10", "10.244.1.98"],
      },
      { name: "peers", headless: true, clusterIPs: [], selector: null, endpoints: ["192.0.2.7"] },
      { name: "outside", type: "ExternalName", clusterIPs: [], selector: null, ports: [] },
    ]);
  });

  test("positions are those of the file", () => {
    expect(world.pods[0]?.source?.position(["spec", "nodeName"])).toEqual({ file: dump, line: 137, column: 15 });
  });
});

describe("workloads", () => {
  const kinds = { StatefulSet: "apps/v1", DaemonSet: "apps/v1", ReplicaSet: "apps/v1", Job: "batch/v1" };
  test.each(Object.entries(kinds))("%s stands for its pods", async (kind, apiVersion) => {
    const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {x: "1"}}}}`;
    const { world } = await load(documents(inNamespace, text));
    expect(world.pods).toMatchObject([
      { name: "a", template: true, workload: { kind, name: "a" }, labels: { x: "1" } },
    ]);
  });

  test("replicas: the default, a number, none", async () => {
    const daemon = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: c}\nspec: {template: {}}";
    const { world } = await load(documents(inNamespace, deployment("a"), deployment("b", ", replicas: 0"), daemon));
    expect(world.pods.map((p) => p.replicas)).toEqual([1, 0, null]);
  });

  test("a Job's pods have its name as a label", async () => {
    const { world } = await load("apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {}}");
    expect(world.pods[0]?.labels).toEqual({ "job-name": "a", "batch.kubernetes.io/job-name": "a" });
  });

  test("a finished Job makes no more pods", async () => {
    const { world } = await load(
      'apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {}}\nstatus: {conditions: [{type: Failed, status: "True"}]}',
    );
    expect(world.pods).toMatchObject([{ template: true, phase: "Failed" }]);
  });

  test("names stay unique", async () => {
    const set = deployment("web").replace("Deployment", "StatefulSet");
    const plain = "apiVersion: v1\nkind: Pod\nmetadata: {name: api}";
    const { world } = await load(documents(inNamespace, deployment("web"), set, deployment("api"), plain));
    expect(world.pods.map((p) => p.name)).toEqual(["api", "web.deployment", "web.statefulset", "api.deployment"]);
    expect(world.pods.map((p) => p.workload.name)).toEqual(["api", "web", "web", "api"]);
  });

  test("two objects with one generateName are two", async () => {
    const job = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\nspec: {template: {}}";
    const loaded = await load(documents(inNamespace, job, job));
    expect(errorsOf(loaded)).toEqual([]);
    expect(loaded.world.pods.map((p) => p.workload.name)).toEqual(["a-", "a-2"]);
  });

  test("an owned ReplicaSet is the pod when there is nothing else of its Deployment", async () => {
    const owned = `apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, controller: true}]}
spec: {template: {metadata: {labels: {app: web}}}}`;
    const alone = await load(documents(inNamespace, owned));
    expect(alone.world.pods).toMatchObject([{ name: "web-1", workload: { kind: "Deployment", name: "web" } }]);
    const together = await load(documents(inNamespace, owned, deployment("web")));
    expect(together.world.pods).toMatchObject([{ name: "web", workload: { kind: "Deployment", name: "web" } }]);
  });
});

describe("owners", () => {
  const workload = async (owner: string): Promise<unknown> =>
    (await load(documents(inNamespace, pod("p", owner)))).world.pods[0]?.workload;

  test("that are no workloads leave the pod to itself", async () => {
    const itself = { kind: "Pod", name: "p" };
    expect(await workload("apiVersion: argoproj.io/v1alpha1, kind: Rollout")).toEqual(itself);
    expect(await workload("apiVersion: example.com/v1, kind: Deployment")).toEqual(itself);
    expect(await workload("apiVersion: apps/v1, kind: ReplicaSet, controller: false")).toEqual(itself);
  });

  test("a ReplicaSet without the pod's hash in its name was made by hand", async () => {
    expect(await workload("apiVersion: apps/v1, kind: ReplicaSet")).toEqual({ kind: "ReplicaSet", name: "up" });
  });

  test("that own each other end somewhere", async () => {
    const set = (name: string, up: string): string => `apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: ${name}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: ${up}, controller: true}]}
spec: {template: {}}`;
    const loaded = await load(
      documents(inNamespace, set("up", "down"), set("down", "up"), pod("p", "apiVersion: apps/v1, kind: ReplicaSet")),
    );
    expect(loaded.world.pods).toMatchObject([{ name: "p", workload: { kind: "ReplicaSet" } }]);
  });
});

describe("namespaces", () => {
  test("default when nothing is said, or as asked", async () => {
    expect((await load(deployment("a"))).world.pods[0]?.namespace).toBe("default");
    const loaded = await load(deployment("a"), { defaultNamespace: "shop" });
    expect(loaded.world.pods[0]?.namespace).toBe("shop");
    expect(loaded.world.namespaces).toMatchObject([{ name: "shop", defined: false }]);
  });

  test("of a policy too", async () => {
    const policy =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {}}";
    const { world } = await load(policy, { defaultNamespace: "shop" });
    expect(world.policies[0]?.metadata.namespace).toBe("shop");
    expect(world.namespaces.map((n) => n.name)).toEqual(["shop"]);
  });
});

test("CIDRs that are given join those of the Nodes", async () => {
  const node = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDR: 10.1.2.3/16}";
  const { world } = await load(node, { podCIDRs: ["10.1.0.0/16", "fd00::/48"], serviceCIDRs: ["10.96.0.0/12"] });
  expect(world.cluster).toEqual({ podCIDRs: ["10.1.0.0/16", "fd00::/48"], serviceCIDRs: ["10.96.0.0/12"] });
  const wrong = await load(node, { podCIDRs: ["10.1.0.0"] });
  expect(errorsOf(wrong)).toEqual([expect.stringContaining('pod CIDR "10.1.0.0": must be a valid CIDR value')]);
});
