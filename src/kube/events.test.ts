import { expect, test } from "vitest";
import type { Client } from "./client.ts";
import { ApiError } from "./errors.ts";
import { type ClusterEvent, EventWriter, type EventWriterOptions } from "./events.ts";

interface Sent {
  readonly how: string;
  readonly path: string;
  readonly body: { readonly note?: string; readonly series?: { readonly count: number } };
}

const event: ClusterEvent = {
  type: "Warning",
  reason: "PolicyNotUnderstood",
  message: "unknown field",
  policy: { kind: "NetworkPolicy", namespace: "shop", name: "db" },
};

/** The real server takes them in test/kube. */
function writer(options: Partial<EventWriterOptions> = {}): {
  sent: Sent[];
  tell: (e: ClusterEvent) => Promise<void>;
  fail: (error: Error | null) => void;
} {
  const sent: Sent[] = [];
  let failure: Error | null = null;
  const take = (how: string) => async (path: string, body: unknown) => {
    sent.push({ how, path, body: body as Sent["body"] });
    if (failure !== null) throw failure;
    return {};
  };
  const client = { post: take("post"), patch: take("patch") } as unknown as Client;
  const events = new EventWriter(client, { node: "node-1", ...options });
  return {
    sent,
    tell: async (e) => {
      events.tell(e);
      await new Promise(setImmediate);
    },
    fail: (error) => {
      failure = error;
    },
  };
}

test("the same event again is counted, and told once in a while", async () => {
  let now = 1_000_000;
  const { sent, tell } = writer({ now: () => now });
  for (let i = 0; i < 5; i++) await tell(event);
  expect(sent).toHaveLength(1);
  now += 60_000;
  await tell(event);
  expect(sent.map(({ how }) => how)).toEqual(["post", "patch"]);
  expect(sent[1]!.body.series).toMatchObject({ count: 6 });
  expect(sent[1]!.path).toMatch(/^\/apis\/events.k8s.io\/v1\/namespaces\/shop\/events\/db\.[0-9a-f]{16}$/);
  now += 400_000;
  await tell(event); // after so long a new one
  expect(sent[2]!.how).toBe("post");
});

test("no more than the server should bear", async () => {
  let now = 0;
  const { sent, tell } = writer({ now: () => now, burst: 3, interval: 1000 });
  for (let i = 0; i < 1000; i++) await tell({ ...event, message: `message ${i}` });
  expect(sent).toHaveLength(3);
  now = 2000;
  await tell(event);
  expect(sent).toHaveLength(5);
});

test("failures are nobody's business; an event that is gone is made anew", async () => {
  let now = 0;
  const { sent, tell, fail } = writer({ now: () => now, seriesInterval: 10 });
  await tell(event);
  fail(new ApiError("not found", { status: 404 }));
  now = 20;
  await tell(event);
  fail(new Error("connection lost"));
  now = 40;
  await tell(event);
  expect(sent.map(({ how }) => how)).toEqual(["post", "patch", "post"]);
});

test("long messages are cut between characters; events of no policy are the node's", async () => {
  const { sent, tell } = writer();
  await tell({ ...event, policy: null, message: "ä".repeat(2000) });
  const { note, ...rest } = sent[0]!.body;
  expect(Buffer.byteLength(note!)).toBeLessThanOrEqual(1024);
  expect(note).toMatch(/^ä+ …$/);
  expect(rest).toMatchObject({ regarding: { kind: "Node", name: "node-1" }, metadata: { namespace: "default" } });
});
