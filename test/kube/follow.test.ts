/** The feed against a real etcd and kube-apiserver, with WatchList and without. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Client,
  type ClusterFeed,
  EventWriter,
  type FeedBatch,
  followCluster,
  openClient,
  type PolicyProblem,
  type SourceStatus,
} from "../../src/kube/index.ts";
import { impatient } from "../../src/kube/timing.arbitrary.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import { type ControlPlane, describeApiServer, startControlPlane } from "./control-plane.ts";
import { crd } from "./crd.ts";
import { until } from "./until.ts";

const namespaces = "/api/v1/namespaces";
const pods = (namespace: string): string => `${namespaces}/${namespace}/pods`;
const networkPolicies = (namespace: string): string =>
  `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
const clusterPolicies = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";

const pod = (name: string, labels: Readonly<Record<string, string>> = { app: name }): object => ({
  metadata: { name, labels },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "main", image: "x", ports: [{ name: "web", containerPort: 80 }] }],
    initContainers: [
      { name: "once", image: "x", ports: [{ name: "no", containerPort: 1 }] },
      { name: "sidecar", image: "x", restartPolicy: "Always", ports: [{ name: "proxy", containerPort: 81 }] },
    ],
  },
});

const remove = (client: Client, path: string): Promise<unknown> => client.delete(path);

const uidOf = (object: unknown): string => (object as { metadata: { uid: string } }).metadata.uid;

/** What a change is about: `put pod shop/web`. */
const words = (change: Change): string => {
  if (change.op === "remove") return `remove ${change.kind} ${change.key}`;
  if (change.kind === "policy") {
    const { kind, metadata } = change.object;
    return `put policy ${kind}/${metadata.namespace}/${metadata.name}`;
  }
  const { object } = change;
  return `put ${change.kind} ${"namespace" in object ? `${object.namespace}/` : ""}${object.name}`;
};

/** Collects what a feed tells. */
class Listener {
  readonly changes: Change[] = [];
  readonly problems: PolicyProblem[] = [];
  readonly feed: ClusterFeed;

  constructor(feed: ClusterFeed) {
    this.feed = feed;
  }

  async next(): Promise<FeedBatch> {
    const batch = await this.feed.next();
    this.changes.push(...batch.changes);
    this.problems.push(...batch.problems);
    return batch;
  }

  /** Takes batches until one of them has a change in these words. */
  async until(wanted: string): Promise<Change> {
    for (;;) {
      const found = this.changes.findIndex((change) => words(change) === wanted);
      if (found >= 0) return this.changes.splice(0, found + 1).at(-1)!;
      await this.next();
    }
  }

  status(resource: string): SourceStatus {
    return this.feed.status().find((status) => status.resource === resource)!;
  }
}

describeApiServer.each([
  { server: "with WatchList", gates: {} },
  { server: "without WatchList", gates: { featureGates: "WatchList=false" } },
])("a server $server", ({ gates }) => {
  let plane: ControlPlane;
  let client: Client;
  let admin: Client;
  let listener: Listener;
  const follow = (): Listener => {
    const feed = followCluster(client, { timing: impatient });
    return new Listener(feed);
  };

  beforeAll(async () => {
    plane = await startControlPlane(gates);
    admin = plane.admin;
    client = openClient(plane.connection(plane.adminToken));
    await admin.post(namespaces, { metadata: { name: "shop", labels: { team: "a" } } });
    await admin.post(pods("shop"), pod("first"));
    listener = follow();
  });

  afterAll(async () => {
    listener?.feed.close();
    client?.close();
    await plane?.stop();
  });

  test("the first world", async () => {
    const { world, problems } = await listener.feed.first;
    expect(problems).toEqual([]);
    expect(world.namespaces.find(({ name }) => name === "shop")?.labels).toEqual({
      "kubernetes.io/metadata.name": "shop",
      team: "a",
    });
    expect(world.pods).toEqual([
      {
        namespace: "shop",
        name: "first",
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        labels: { app: "first" },
        ips: [],
        node: null,
        hostNetwork: false,
        phase: "Pending",
        ports: [
          { name: "web", number: 80, protocol: "TCP" },
          { name: "proxy", number: 81, protocol: "TCP" },
        ],
        workload: { kind: "Pod", name: "first" },
        template: false,
        replicas: null,
        source: null,
      },
    ]);
    expect(listener.status("pods")).toMatchObject({ installed: true, synced: true, connected: true, error: null });
    expect(listener.status("clusternetworkpolicies.policy.networking.k8s.io")).toMatchObject({
      installed: false,
      synced: true,
      error: null,
    });
  });

  test("pods, their addresses, and what does not matter", async () => {
    await admin.post(pods("shop"), pod("web"));
    await listener.until("put pod shop/web");
    await admin.patch(`${pods("shop")}/web`, { metadata: { annotations: { note: "irrelevant" } } });
    const status = { phase: "Running", podIP: "10.1.0.7", podIPs: [{ ip: "10.1.0.7" }, { ip: "fd00::7" }] };
    await admin.patch(`${pods("shop")}/web/status`, { status });
    const change = await listener.until("put pod shop/web");
    expect(change).toMatchObject({ object: { ips: ["10.1.0.7", "fd00::7"], phase: "Running" } });
    const replaced = await admin.get(`${pods("shop")}/web`);
    await remove(admin, `${pods("shop")}/web`);
    await admin.post(pods("shop"), pod("web", { app: "other" }));
    await listener.until("remove pod shop/web");
    const again = await listener.until("put pod shop/web");
    expect(again).toMatchObject({ object: { labels: { app: "other" }, ips: [] } });
    expect((again as { object: { uid: string } }).object.uid).not.toBe(uidOf(replaced));
  });

  test("policies; CRDs that appear and vanish; stored objects that are not understood", async () => {
    const deny = { metadata: { name: "deny" }, spec: { podSelector: {}, policyTypes: ["Ingress"] } };
    await admin.post(networkPolicies("shop"), deny);
    await listener.until("put policy NetworkPolicy/shop/deny");
    await admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    const policy = {
      apiVersion: "policy.networking.k8s.io/v1alpha2",
      kind: "ClusterNetworkPolicy",
      metadata: { name: "strange" },
      spec: {
        tier: "Admin",
        priority: 1,
        subject: { namespaces: {} },
        ingress: [{ action: "Accept", from: [{ namespaces: {}, moon: "full" }] }],
      },
    };
    await until(() => admin.post(clusterPolicies, policy));
    const change = await listener.until("put policy ClusterNetworkPolicy//strange");
    expect(change).toMatchObject({ object: { spec: { ingress: [{ action: "Accept", from: [{}] }] } } });
    expect(listener.problems.at(-1)).toMatchObject({
      policy: { kind: "ClusterNetworkPolicy", name: "strange" },
      message: 'unknown field "spec.ingress[0].from[0].moon"',
    });
    expect(listener.status("clusternetworkpolicies.policy.networking.k8s.io")).toMatchObject({ installed: true });
    await remove(
      admin,
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusternetworkpolicies.policy.networking.k8s.io",
    );
    await listener.until("remove policy ClusterNetworkPolicy//strange");
    await until(async () => {
      if (listener.status("clusternetworkpolicies.policy.networking.k8s.io").installed) throw new Error("still there");
    });
  });

  test("the API server killed and started again; what happened meanwhile is compacted away", async () => {
    await remove(admin, `${pods("shop")}/first`);
    await listener.until("remove pod shop/first");
    const before = listener.status("pods").restarts;
    await plane.stopApiserver({ kill: true });
    const second = followCluster(client, { timing: impatient });
    await plane.compact();
    await plane.startApiserver();
    await admin.post(pods("shop"), pod("later"));
    await listener.until("put pod shop/later");
    expect(listener.status("pods").restarts).toBeGreaterThan(before);
    const { world } = await second.first;
    expect(world.pods.map(({ name }) => name)).toContain("web");
    second.close();
  });

  test("a service account with the documented rights, and without", async () => {
    await admin.post(`${namespaces}/shop/serviceaccounts`, { metadata: { name: "agent" } });
    const issued = (await admin.post(`${namespaces}/shop/serviceaccounts/agent/token`, { spec: {} })) as {
      status: { token: string };
    };
    const limited = openClient(plane.connection(issued.status.token));
    await expect(limited.get("/api/v1/pods")).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining('cannot list resource "pods" in API group "" at the cluster scope'),
    });
    const own = new Listener(followCluster(limited, { timing: impatient }));
    await until(async () => {
      if (own.status("pods").error === null) throw new Error("not refused yet");
    });
    expect(own.status("pods").error).toContain('cannot watch resource "pods"');
    const roles = "/apis/rbac.authorization.k8s.io/v1";
    await admin.post(`${roles}/clusterroles`, { metadata: { name: "agent" }, rules });
    await admin.post(`${roles}/clusterrolebindings`, {
      metadata: { name: "agent" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "agent" },
      subjects: [{ kind: "ServiceAccount", name: "agent", namespace: "shop" }],
    });
    const { world } = await own.feed.first;
    expect(world.namespaces.map(({ name }) => name)).toContain("shop");
    own.feed.close();
    const events = new EventWriter(limited, { node: "node-1" });
    const about = { kind: "NetworkPolicy", namespace: "shop", name: "deny" } as const;
    for (let i = 0; i < 3; i++) events.tell({ type: "Warning", reason: "Test", message: "hello", policy: about });
    events.tell({ type: "Normal", reason: "Test", message: "node", policy: null });
    const list = await until(async () => {
      const { items } = (await admin.get("/apis/events.k8s.io/v1/events")) as { items: readonly object[] };
      if (items.length < 2) throw new Error("not there yet");
      return items;
    });
    expect(list).toContainEqual(
      expect.objectContaining({ reason: "Test", note: "hello", regarding: expect.objectContaining({ name: "deny" }) }),
    );
    events.close();
    limited.close();
  });

  test("a wrong token", async () => {
    const wrong = openClient(plane.connection("wrong"));
    await expect(wrong.get("/api/v1/pods")).rejects.toThrow(
      "cannot list pods: Unauthorized: the server does not accept the credentials",
    );
    wrong.close();
  });
});

/** The rights that `followCluster` and `EventWriter` name. */
const rules = [
  { apiGroups: [""], resources: ["namespaces", "nodes", "pods"], verbs: ["list", "watch"] },
  { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: ["list", "watch"] },
  {
    apiGroups: ["policy.networking.k8s.io"],
    resources: ["clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies"],
    verbs: ["list", "watch"],
  },
  {
    apiGroups: ["apiextensions.k8s.io"],
    resources: ["customresourcedefinitions"],
    resourceNames: ["clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies"].map(
      (plural) => `${plural}.policy.networking.k8s.io`,
    ),
    verbs: ["watch"],
  },
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create", "patch"] },
];
