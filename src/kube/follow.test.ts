/** A feed and a server that is gone for a while; what a feed tells is tested against a real one, in test/kube. */
import { afterEach, expect, test } from "vitest";
import { realTiming, type Timing } from "./backoff.ts";
import { openClient } from "./client.ts";
import { FakeServer } from "./fake-server.arbitrary.ts";
import type { ClusterFeed, SourceStatus } from "./feed.ts";
import { followCluster } from "./follow.ts";
import { together } from "./timing.arbitrary.ts";

const ending: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

const required = {
  namespaces: "/api/v1/namespaces",
  nodes: "/api/v1/nodes",
  pods: "/api/v1/pods",
  "networkpolicies.networking.k8s.io": "/apis/networking.k8s.io/v1/networkpolicies",
};

async function followed(timing: Timing): Promise<{ server: FakeServer; feed: ClusterFeed }> {
  const server = new FakeServer();
  await server.start();
  const client = openClient(server.connection);
  const feed = followCluster(client, { timing, policies: ["NetworkPolicy"] });
  ending.push(
    () => server.stop(),
    () => client.close(),
    () => feed.close(),
  );
  await feed.first;
  return { server, feed };
}

const all = (feed: ClusterFeed, holds: (status: SourceStatus) => boolean): Promise<void> =>
  expect.poll(() => feed.status().every(holds), { timeout: 20_000, interval: 5 }).toBe(true);

test("the stream that finds the server again ends the waits of all others", async () => {
  const { server, feed } = await followed(together());
  const port = Number(server.url.port);
  await server.stop();
  await all(feed, ({ connected, error }) => !connected && error !== null);
  await server.start(port);
  await all(feed, ({ connected, error }) => connected && error === null);
  server.put(required.pods, { metadata: { name: "web", namespace: "shop", uid: "1" } });
  server.put(required.namespaces, { metadata: { name: "shop", uid: "2" } });
  const { changes } = await feed.next();
  expect(changes).toMatchObject([{ kind: "namespace" }, { kind: "pod" }]);
});

test.each([
  ["403", { code: 403, reason: "Forbidden", message: "no" }],
  ["429", { code: 429, reason: "TooManyRequests", message: "slow down", details: { retryAfterSeconds: 7 } }],
  ["503 with Retry-After", { code: 503, message: "not yet", details: { retryAfterSeconds: 7 } }],
])("but not of those whom the server told to wait: %s", async (_, body) => {
  const { server, feed } = await followed(together());
  const port = Number(server.url.port);
  server.fail(required.nodes, { kind: "status", status: body.code, body });
  server.endWatches();
  const [nodes, others] = ["nodes", "others"].map(
    (which) => () => feed.status().filter(({ resource }) => (resource === "nodes") === (which === "nodes")),
  ) as [() => SourceStatus[], () => SourceStatus[]];
  await expect.poll(() => nodes()[0]!.error).toContain(body.message);
  await server.stop();
  await expect.poll(() => others().every(({ connected }) => !connected)).toBe(true);
  await server.start(port);
  await expect.poll(() => others().every(({ connected }) => connected)).toBe(true);
  await realTiming.sleep(50, new AbortController().signal);
  expect(nodes()).toMatchObject([{ connected: false, error: expect.stringContaining(body.message) }]);
});
