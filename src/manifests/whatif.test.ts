import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { documents, errorsOf, load } from "../../test/manifests/load.ts";
import { type Loaded, loadStored, overlay, readStored, without } from "./index.ts";

const base = documents(
  "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: red}}",
  "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {template: {metadata: {labels: {app: web}}}}",
  `apiVersion: v1
kind: Pod
metadata:
  name: api-1
  namespace: shop
  labels: {pod-template-hash: h}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: api-h, controller: true}]`,
  "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {podSelector: {}}",
  "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}",
  "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: top}\nspec: {tier: Admin, priority: 1, subject: {namespaces: {}}}",
);

const pods = ({ world }: Loaded): string[] => world.pods.map((p) => `${p.namespace}/${p.name}`);
const policies = ({ world }: Loaded): string[] => world.policies.map((p) => p.metadata.name);

describe("--without", () => {
  test.each([
    ["NetworkPolicy/shop/deny", [], ["top"], 2],
    ["netpol/shop/deny", [], ["top"], 2],
    ["networkpolicy.networking.k8s.io/shop/deny", [], ["top"], 2],
    ["ClusterNetworkPolicy/top", [], ["deny"], 2],
    ["deploy/shop/web", [], ["deny", "top"], 1],
    ["Deployments/shop/api", [], ["deny", "top"], 1],
    ["po/shop/api-1", [], ["deny", "top"], 1],
    ["svc/shop/web", [], ["deny", "top"], 2],
    ["ns/shop", [], ["top"], 0],
  ])("%s", async (ref, errors, left, podCount) => {
    const loaded = without(await load(base), [ref]);
    expect(errorsOf(loaded)).toEqual(errors);
    expect(policies(loaded)).toEqual(left);
    expect(pods(loaded)).toHaveLength(podCount);
  });

  test("a namespace goes with all that is in it", async () => {
    const { world } = without(await load(base), ["Namespace/shop"]);
    expect([world.namespaces, world.pods, world.services]).toEqual([[], [], []]);
  });

  test.each(["NetworkPolicy/shop/nope", "netpol/deny", "widget/shop/a", "deny", "netpol//deny", "node/a/b", ""])(
    "%j names nothing",
    async (ref) => {
      const loaded = without(await load(base), [ref]);
      expect(loaded.problems.filter((p) => p.severity === "error").map((p) => p.code)).toEqual(["unknown-reference"]);
      expect(errorsOf(loaded)[0]).toContain(JSON.stringify(ref));
    },
  );
});

describe("--with", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bulkhead-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const lay = async (below: Loaded, text: string): Promise<Loaded> => {
    const file = join(folder, "with.yaml");
    await writeFile(file, text);
    return overlay(below, [file]);
  };

  test("replaces where it stands and adds at the end", async () => {
    const change = documents(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Egress]}",
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: more, namespace: shop}\nspec: {podSelector: {}}",
    );
    const loaded = await lay(await load(base), change);
    expect(loaded.problems).toEqual([]);
    expect(policies(loaded)).toEqual(["deny", "top", "more"]);
    expect(loaded.world.policies[0]).toMatchObject({ spec: { policyTypes: ["Egress"] } });
    expect(loaded.world.policies[0]?.source?.file).toBe(join(folder, "with.yaml"));
    expect(loaded.files).toBe(2);
    expect(loaded.objects).toBe(8);
  });

  test("twice in itself is an error still", async () => {
    const policy =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {podSelector: {}}";
    const loaded = await lay(await load(base), documents(policy, policy));
    expect(errorsOf(loaded)).toEqual([
      expect.stringMatching(/with\.yaml:6:1: NetworkPolicy shop\/deny is there twice: first at .*with\.yaml:1:1/),
    ]);
  });

  test("keeps the options of what it lies on", async () => {
    const loaded = await lay(
      await load(base, { defaultNamespace: "shop" }),
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}",
    );
    expect(pods(loaded)).toContain("shop/p");
  });

  test("and --without takes away from both", async () => {
    const both = await lay(await load(base), "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}");
    expect(pods(without(both, ["pod/shop/p", "pod/shop/api-1"]))).toEqual(["shop/web"]);
  });

  describe("over a cluster's objects", () => {
    const owner = [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-abc", controller: true }];
    const template = { metadata: { labels: { app: "web" } }, spec: { containers: [] } };
    const stored = (apiVersion: string, kind: string, object: object) => readStored(object, { apiVersion, kind }, {});
    const cluster = (): Loaded =>
      loadStored(
        [
          stored("v1", "Namespace", { metadata: { name: "shop" } }),
          stored("apps/v1", "Deployment", { metadata: { name: "web", namespace: "shop" }, spec: { template } }),
          stored("v1", "Pod", {
            metadata: {
              name: "web-abc-1",
              namespace: "shop",
              labels: { app: "web", "pod-template-hash": "abc" },
              ownerReferences: owner,
            },
            spec: { nodeName: "n" },
            status: { phase: "Running", podIPs: [{ ip: "10.244.0.7" }] },
          }),
          stored("v1", "Service", {
            metadata: { name: "web", namespace: "shop" },
            spec: { clusterIPs: ["10.96.0.7"], selector: { app: "web" }, ports: [{ port: 80 }] },
          }),
        ],
        {},
      );
    const deployment = (labels: string): string => `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 5, template: {metadata: {labels: ${labels}}, spec: {containers: []}}}`;

    test("they have no place, and no problems", () => {
      expect(cluster().problems).toEqual([]);
      expect(cluster().world.pods).toMatchObject([
        { name: "web-abc-1", workload: { kind: "Deployment", name: "web" } },
      ]);
      expect(cluster().world.pods[0]?.source).toBeNull();
    });

    test("a new template makes new pods", async () => {
      expect(pods(await lay(cluster(), deployment("{app: web, tier: new}")))).toEqual(["shop/web"]);
    });

    test("more replicas are pods as before", async () => {
      const loaded = await lay(cluster(), deployment("{app: web}"));
      expect(pods(loaded)).toEqual(["shop/web-abc-1"]);
      expect(loaded.world.pods[0]?.replicas).toBe(5);
    });

    test("a Service keeps its address, a pod its own and its node", async () => {
      const change = documents(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 81}]}",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web-abc-1, namespace: shop, labels: {app: other}}",
      );
      const { world } = await lay(cluster(), change);
      expect(world.services).toMatchObject([{ clusterIPs: ["10.96.0.7"], ports: [{ port: 81 }] }]);
      expect(world.pods.find(({ name }) => name === "web-abc-1")).toMatchObject({
        labels: { app: "other" },
        ips: ["10.244.0.7"],
        node: "n",
        phase: "Running",
      });
    });

    test("--without names them as any other", () => {
      expect(pods(without(cluster(), ["deploy/shop/web"]))).toEqual([]);
    });
  });

  test("without objects is an error", async () => {
    expect(errorsOf(await lay(await load(base), "# nothing\n"))).toEqual([
      expect.stringMatching(/^no objects in .*with\.yaml$/),
    ]);
  });
});
