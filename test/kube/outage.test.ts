/** A real API server that goes away, for a while or for one connection. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { realTiming } from "../../src/kube/backoff.ts";
import { type Client, type ClusterFeed, followCluster, openClient, type SourceStatus } from "../../src/kube/index.ts";
import { impatient, together } from "../../src/kube/timing.arbitrary.ts";
import { type ControlPlane, describeApiServer, startControlPlane } from "./control-plane.ts";

const namespaces = "/api/v1/namespaces";
const ending: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function started(apiserverFlags: readonly string[] = []): Promise<ControlPlane> {
  const plane = await startControlPlane({ apiserverFlags });
  ending.push(() => plane.stop());
  return plane;
}

/** @param dialled told of each new connection */
function clientOf(plane: ControlPlane, dialled: () => void = () => undefined): Client {
  const connection = plane.connection(plane.adminToken);
  const client = openClient({
    ...connection,
    tls: () => {
      dialled();
      return connection.tls();
    },
  });
  ending.push(() => client.close());
  return client;
}

function followed(client: Client, timing = realTiming): ClusterFeed {
  const feed = followCluster(client, { timing, policies: ["NetworkPolicy"] });
  ending.push(() => feed.close());
  return feed;
}

/** Waits until it is so of every kind. */
async function all(feed: ClusterFeed, holds: (status: SourceStatus) => boolean): Promise<void> {
  while (!feed.status().every(holds)) await sleep(5);
}

/** Takes batches until namespaces of all these names have come. */
async function told(feed: ClusterFeed, names: ReadonlySet<string>): Promise<void> {
  const missing = new Set(names);
  while (missing.size > 0) {
    for (const change of (await feed.next()).changes) {
      if (change.op === "put" && change.kind === "namespace") missing.delete(change.object.name);
    }
  }
}

describeApiServer("a real API server", () => {
  test("is away for a minute, and the first stream that finds it again brings the others", async () => {
    const plane = await started();
    const feed = followed(clientOf(plane), together(30_000)); // who is told to wait, by a server that starts, waits
    await feed.first;
    await plane.stopApiserver({ kill: true });
    await all(feed, ({ connected, error }) => !connected && error !== null);
    const tries = (): number => feed.status().reduce((sum, { restarts }) => sum + restarts, 0);
    const before = tries();
    while (tries() < before + 20) await sleep(5); // looks for the server, 3 s each
    await plane.startApiserver();
    await all(feed, ({ connected, error }) => connected && error === null);
    await plane.admin.post(namespaces, { metadata: { name: "later" } });
    await told(feed, new Set(["later"]));
  }, 120_000);

  test("ends in good order, refusing what comes last, and starts again", async () => {
    const plane = await started();
    const feed = followed(clientOf(plane), impatient);
    await feed.first;
    await plane.admin.post(namespaces, { metadata: { name: "before" } });
    await plane.stopApiserver();
    await all(feed, ({ connected }) => !connected);
    await plane.startApiserver();
    await plane.admin.post(namespaces, { metadata: { name: "after" } });
    await told(feed, new Set(["before", "after"]));
    await all(feed, ({ connected, error }) => connected && error === null);
  }, 120_000);

  test("sends its clients elsewhere (GOAWAY): no event is lost, nothing fails, and no watch ends", async () => {
    const plane = await started(["--goaway-chance=0.02"]);
    let connections = 0;
    const client = clientOf(plane, () => {
      connections++;
    });
    const feed = followed(client);
    await feed.first;
    const before = feed.status();
    const names = new Set<string>();
    // Requests on the watches' own connection, so that it is this one that the server lets go of.
    while (connections < 5) {
      const some = Array.from({ length: 8 }, (_, i) => `namespace-${names.size + i}`);
      await Promise.all(some.map((name) => client.post(namespaces, { metadata: { name } })));
      for (const name of some) names.add(name);
    }
    await told(feed, names);
    expect(feed.status()).toEqual(before);
  }, 120_000);
});
