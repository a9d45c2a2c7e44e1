/** The short share of the real cluster: Bulkhead installed from deploy/, kubectl, and real pods. The long one: `npm run test:cluster`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Rule } from "../deploy/manifest.ts";
import { askedBy, rightsOf } from "../deploy/rights.ts";
import { clusterHookTimeout, readyForCluster, whyNoCluster } from "./lib/availability.ts";
import { agentProcess, agentsReady, installBulkhead } from "./lib/bulkhead.ts";
import { type Cluster, startCluster } from "./lib/cluster.ts";
import { agnhostPod, connects, makeNamespace, makePods, type Pod } from "./lib/pods.ts";
import { until } from "./lib/run.ts";

const why = whyNoCluster();
if (why !== null) process.stderr.write(`the real cluster is left out: ${why}\n`);

const policy = (name: string, spec: object, namespace = "shop"): object => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name, namespace },
  spec,
});
const denyAll = policy("deny-all", { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
const webToDb = [
  policy("web", {
    podSelector: { matchLabels: { app: "web" } },
    policyTypes: ["Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: { app: "db" } } }], ports: [{ port: 8080 }] }],
  }),
  policy("db", {
    podSelector: { matchLabels: { app: "db" } },
    policyTypes: ["Ingress"],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: 8080 }] }],
  }),
];

describe.skipIf(why !== null)("a real cluster", () => {
  let cluster: Cluster;
  let web: Pod;
  let db: Pod;
  let neighbour: Pod;

  beforeAll(async () => {
    await readyForCluster();
    cluster = await startCluster({ name: `test-${process.pid}`, audit: true });
    await installBulkhead(cluster);
    await makeNamespace(cluster, "shop");
    [web, db, neighbour] = (await makePods(
      cluster,
      { namespace: "shop", name: "web", labels: { app: "web" }, node: 0 },
      { namespace: "shop", name: "db", labels: { app: "db" }, node: 1 },
      { namespace: "shop", name: "neighbour", labels: { app: "neighbour" }, node: 1 },
    )) as [Pod, Pod, Pod];
  }, clusterHookTimeout);

  afterAll(async () => {
    await cluster?.down();
  }, 60_000);

  test("without a policy everyone reaches everyone, over both families", async () => {
    for (const to of db.ips) {
      expect(await web.connects(to, 8080)).toBe("connected");
      expect(await neighbour.connects(to, 8080)).toBe("connected");
    }
    expect(await web.connects(db.ip(4), 8081, { protocol: "udp" })).toBe("connected");
  });

  test("a policy cuts the connection that is in use, and the next one", async () => {
    const traffic = await web.traffic(db.ip(4), 8080);
    try {
      await cluster.api.send("POST", "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies", denyAll);
      expect(await traffic.cut()).toBeGreaterThan(0);
      for (const to of db.ips) expect(await web.connects(to, 8080)).toBe("timeout");
      expect(await neighbour.connects(db.ip(4), 8080)).toBe("timeout"); // on one bridge
    } finally {
      traffic.stop();
    }
  });

  test("what is allowed passes, and nothing else", async () => {
    await cluster.apply(...webToDb);
    await until("web to reach db", async () => (await web.connects(db.ip(4), 8080)) === "connected");
    expect(await web.connects(db.ip(6), 8080)).toBe("connected");
    expect(await web.connects(db.ip(4), 8081, { protocol: "udp" })).toBe("timeout");
    expect(await neighbour.connects(db.ip(4), 8080)).toBe("timeout");
    expect(await db.connects(web.ip(4), 8080)).toBe("timeout");
  });

  test("a Service leads to what is behind it", async () => {
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "db", namespace: "shop" },
      spec: { selector: { app: "db" }, ports: [{ port: 80, targetPort: 8080 }], ipFamilyPolicy: "PreferDualStack" },
    };
    await cluster.apply(service);
    const { spec } = await cluster.get<{ spec: { clusterIPs: string[] } }>("service", "db", "--namespace=shop");
    expect(spec.clusterIPs).toHaveLength(2);
    for (const address of spec.clusterIPs) {
      await until("kube-proxy", async () => (await web.connects(address, 80)) === "connected");
      expect(await neighbour.connects(address, 80)).toBe("timeout");
    }
  });

  test("kubelet's probes reach an isolated pod, and other nodes don't", async () => {
    const probe = { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 };
    const spec = {
      containers: [
        {
          name: "agnhost",
          image: "cluster.test/agnhost:1",
          args: ["netexec"],
          readinessProbe: probe,
          livenessProbe: probe,
        },
      ],
    };
    const [probed] = await makePods(cluster, { namespace: "shop", name: "probed", node: 1, spec });
    const [own, other] = [cluster.nodes[1]!, cluster.nodes[0]!];
    for (const to of probed!.ips) {
      expect(await connects(own.netns, to, 8080)).toBe("connected");
      expect(await connects(other.netns, to, 8080)).toBe("timeout");
      expect(await connects(cluster.control.netns, to, 8080)).toBe("timeout");
    }
  });

  test("rules stay while an agent is dead, and the next one takes them over without a gap", async () => {
    const traffic = await web.traffic(db.ip(4), 8080);
    try {
      const before = await agentProcess(cluster, 1);
      expect(before).not.toBeNull();
      process.kill(before!, "SIGKILL");
      for (let i = 0; i < 5; i++) expect(await neighbour.connects(db.ip(4), 8080, { within: 200 })).toBe("timeout");
      await until("a new agent", async () => {
        const now = await agentProcess(cluster, 1);
        return now !== null && now !== before;
      });
      await agentsReady(cluster);
      expect(await neighbour.connects(db.ip(4), 8080)).toBe("timeout");
      expect(await traffic.isAlive()).toBe(true);
      expect(traffic.isClosed).toBe(false);
    } finally {
      traffic.stop();
    }
  });

  test("rules stay while the API server is away, and follow when it is back", async () => {
    const traffic = await web.traffic(db.ip(4), 8080);
    try {
      await cluster.apiserver.kill();
      expect(await neighbour.connects(db.ip(4), 8080)).toBe("timeout");
      expect(await traffic.isAlive()).toBe(true);
      await cluster.apiserver.start();
      await cluster.apiserverReady();
      await cluster.kubectl(["label", "pod", "neighbour", "app=web", "--overwrite", "--namespace=shop"]);
      await until("the label to count", async () => (await neighbour.connects(db.ip(4), 8080)) === "connected");
      await cluster.kubectl(["label", "pod", "neighbour", "app=neighbour", "--overwrite", "--namespace=shop"]);
      await until("the label to count", async () => (await neighbour.connects(db.ip(4), 8080)) === "timeout");
      expect(await traffic.isAlive()).toBe(true);
    } finally {
      traffic.stop();
    }
  });

  /** Pods whose only act is one connection: how each ended. One second is the time of the first segment's repetition. */
  async function firstConnections(
    prefix: string,
    labels: Readonly<Record<string, string>>,
  ): Promise<readonly string[]> {
    const names = Array.from({ length: 3 }, (_, i) => `${prefix}-${i}`);
    const args = ["connect", `${db.ip(4)}:8080`, "--timeout=900ms"];
    const spec = { restartPolicy: "Never" };
    await cluster.apply(...names.map((name) => agnhostPod({ namespace: "shop", name, labels, node: 0, args, spec })));
    return Promise.all(
      names.map((name) =>
        until(`pod ${name} to end`, async () => {
          const { status } = await cluster.get<{ status: { phase: string } }>("pod", name, "--namespace=shop");
          return ["Succeeded", "Failed"].includes(status.phase) && status.phase;
        }),
      ),
    );
  }

  test("a new pod under a default deny reaches nothing, from its first packet on", async () => {
    expect(await firstConnections("denied", {})).toEqual(["Failed", "Failed", "Failed"]);
  });

  test("the agent asks for what its ClusterRole gives, and for nothing else", async () => {
    const { rules } = await cluster.get<{ rules: Rule[] }>("clusterrole", "bulkhead");
    const log = readFileSync(join(cluster.folder, "audit.log"), "utf8");
    const asked = askedBy("system:serviceaccount:bulkhead-system:bulkhead", log);
    const granted = rightsOf(rules);
    const beyond = (right: string): boolean => !granted.includes(right);
    // an API server that has not read its roles yet refuses what they grant, too
    expect([...asked.rights, ...asked.forbidden].filter(beyond)).toEqual([]);
    // lists are for servers without WatchList, Events for when there is something to tell: test/deploy/rights.test.ts has both
    // and the CRDs that are installed need not be waited for
    const isUsedHere = (right: string): boolean =>
      right.startsWith("watch ") && !right.includes("customresourcedefinitions");
    expect(asked.rights.filter(isUsedHere)).toEqual(granted.filter(isUsedHere).sort());
  });

  test("with the CNI plugin a pod's first packets are judged right, and none is lost", async () => {
    await installBulkhead(cluster, { cniPlugin: true });
    expect(await firstConnections("allowed", { app: "web" })).toEqual(["Succeeded", "Succeeded", "Succeeded"]);
    expect(await firstConnections("stranger", {})).toEqual(["Failed", "Failed", "Failed"]);
  }, 180_000);
});
