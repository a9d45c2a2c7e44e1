/** The light cluster itself: what it says of pods is so, in the API server and in the kernel. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Probes } from "../../bench/agent/probes.ts";
import { describeKernel, requireKernel } from "../kernel/support.ts";
import { describeApiServer } from "../kube/control-plane.ts";
import { isNotFound } from "./api.ts";
import { LightCluster } from "./cluster.ts";
import { crowd } from "./crowd.ts";
import type { LightPod } from "./kubelet.ts";

test("equal seeds give equal crowds, of the size that was asked for", () => {
  const size = { nodes: 20, pods: 200, policies: 50 };
  const [one, same, other] = [crowd(size), crowd(size), crowd(size, 2)];
  expect([...same.pods()]).toEqual([...one.pods()]);
  expect([...other.pods()]).not.toEqual([...one.pods()]);
  const names = new Set(Array.from(one.pods(), (pod) => JSON.stringify((pod["status"] as { podIPs: unknown }).podIPs)));
  expect([names.size, one.nodes.length, one.policies.length]).toEqual([200, 20, 50]);
});

describeKernel("a light cluster", () => {
  describeApiServer("with an API server", () => {
    let cluster: LightCluster;
    let pods: LightPod[];
    const namespace = "shop";

    beforeAll(async () => {
      requireKernel();
      cluster = await LightCluster.start({ nodes: 2, crowd: { nodes: 10, pods: 50, policies: 10 } });
      await cluster.createNamespace(namespace);
      pods = await cluster.createPods(
        [0, 0, 1].map((node, i) => ({ namespace, name: `pod-${i}`, node, labels: { app: `pod-${i}` } })),
      );
    });
    afterAll(() => cluster?.close());

    test("the API server has the crowd, and nobody takes it for pods of the node", async () => {
      const { items } = (await cluster.api.client.get("/api/v1/pods")) as { items: unknown[] };
      expect(items).toHaveLength(53);
      expect(cluster.kubelet(0).pods.size).toBe(2);
    });

    test("pods become Running and Ready, with the addresses that they have", async () => {
      const name = { kind: "Pod", namespace, name: "pod-0" };
      await expect
        .poll(async () => (await cluster.api.get(name))["status"])
        .toMatchObject({ phase: "Running", podIPs: pods[0]!.ips.map((ip) => ({ ip })) });
    });

    test("pods reach each other until an agent enforces a policy that denies it, and again after", async () => {
      const probes = new Probes();
      try {
        const streams = [1, 2].map((i) => probes.newFlows(cluster.seat(pods[i]!), cluster.seat(pods[0]!), 7000 + i));
        for (const stream of streams) expect(await stream.until(true)).not.toBeNull();
        await cluster.startAgent(0).ready();
        for (const stream of streams) expect(await stream.until(true)).not.toBeNull();
        await cluster.api.create({
          apiVersion: "networking.k8s.io/v1",
          kind: "NetworkPolicy",
          metadata: { namespace, name: "only-one" },
          spec: { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: "pod-1" } } }] }] },
        });
        expect(await streams[1]!.until(false)).not.toBeNull();
        expect(await streams[0]!.until(true)).not.toBeNull();
        await cluster.api.delete({ kind: "NetworkPolicy", namespace, name: "only-one" });
        expect(await streams[1]!.until(true)).not.toBeNull();
        for (const stream of streams) stream.stop();
      } finally {
        await probes.close();
      }
    });

    test("a pod that is deleted is gone, and its network with it", async () => {
      const name = { kind: "Pod", namespace, name: "pod-1" };
      await cluster.api.delete(name);
      await expect.poll(() => cluster.kubelet(0).pods.has(`${namespace}/pod-1`)).toBe(false);
      await expect(cluster.api.get(name)).rejects.toSatisfy(isNotFound);
    });
  });
});
