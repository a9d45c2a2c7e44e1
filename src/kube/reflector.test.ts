import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Pod } from "../policy/model/world.ts";
import { realTiming, type Timing } from "./backoff.ts";
import { type Client, openClient } from "./client.ts";
import {
  type FakeObject,
  FakeServer,
  type FakeServerOptions,
  type Fault,
  type Snapshot,
} from "./fake-server.arbitrary.ts";
import { podResource } from "./pods.ts";
import { Reachability } from "./reachability.ts";
import { Reflector, type ReflectorOptions } from "./reflector.ts";

const path = "/api/v1/pods";
const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const ending: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** Remembers what was waited for, and hardly waits. */
class QuickTiming implements Timing {
  readonly waits: number[] = [];
  readonly random = (): number => 0.5;

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    this.waits.push(milliseconds);
    await realTiming.sleep(milliseconds / 200, signal);
  }
}

const pod = (name: string, uid = name, app = "web"): FakeObject => ({
  metadata: { name, namespace: "shop", uid, labels: { app } },
  status: { phase: "Running" },
});

class Subject {
  readonly server: FakeServer;
  readonly timing = new QuickTiming();
  /** `put shop/a (uid)`, `remove shop/a (uid)` */
  readonly told: string[] = [];
  readonly unreadable: string[] = [];
  readonly reflector: Reflector<Pod>;
  readonly #stop = new AbortController();

  private constructor(server: FakeServer, client: Client, options: Partial<ReflectorOptions>) {
    this.server = server;
    const sink = {
      put: (key: string, { uid }: Pod) => this.told.push(`put ${key} (${uid})`),
      remove: (key: string, { uid }: Pod) => this.told.push(`remove ${key} (${uid})`),
      flush: () => undefined,
      unreadable: (_: string, why: string) => this.unreadable.push(why),
    };
    this.reflector = new Reflector({ ...podResource(), optional: true }, client, sink, {
      timing: this.timing,
      reachability: new Reachability(this.timing, this.#stop.signal),
      silence: 2000,
      ...options,
    });
  }

  static async start(
    options: FakeServerOptions,
    prepare: (server: FakeServer) => void,
    reflector: Partial<ReflectorOptions> = {},
  ): Promise<Subject> {
    const server = new FakeServer(options);
    prepare(server);
    await server.start();
    const client = openClient(server.connection);
    const subject = new Subject(server, client, reflector);
    const ended = subject.reflector.run(subject.#stop.signal);
    ending.push(async () => {
      subject.#stop.abort();
      await ended;
      client.close();
      await server.stop();
    });
    return subject;
  }

  /** Waits until the reflector knows exactly what the server has. */
  async settled(): Promise<void> {
    await expect.poll(() => this.known(), { timeout: 20_000, interval: 2 }).toEqual(this.stored());
  }

  known(): unknown {
    return sorted([...this.reflector.objects].map(([key, { uid, labels }]) => [key, uid, labels["app"]]));
  }

  stored(): unknown {
    return sorted(
      this.server
        .objects(path)
        .map(({ metadata: { namespace, name, uid, labels } }) => [`${namespace}/${name}`, uid, labels?.["app"]]),
    );
  }

  /** What the server was asked for pods, in short. */
  asked(): string[] {
    const ofPods = this.server.requests.filter((line) => line.startsWith(`GET ${path}?`));
    return ofPods.map((line) => {
      const query = new URL(line.split(" ")[1]!, "http://fake").searchParams;
      if (query.has("sendInitialEvents")) return "watch list";
      if (query.has("watch")) return "watch";
      expect(query.get("resourceVersion")).toBeNull(); // the newest, never any that a server may have
      return query.has("continue") ? "page" : "list";
    });
  }
}

const sorted = (rows: readonly (readonly unknown[])[]): unknown => rows.map((row) => row.join(" ")).sort();

const some = (server: FakeServer, count: number): void => {
  for (let i = 0; i < count; i++) server.put(path, pod(`p${i}`));
};

describe("the first state", () => {
  test("comes as a WatchList, and the watch goes on", async () => {
    const subject = await Subject.start({}, (server) => some(server, 3));
    await subject.reflector.synced;
    expect(subject.reflector.status).toMatchObject({ installed: true, synced: true, connected: true, error: null });
    subject.server.put(path, pod("new"));
    await subject.settled();
    expect(subject.asked()).toEqual(["watch list"]);
    expect(subject.told).toEqual(["put shop/p0 (p0)", "put shop/p1 (p1)", "put shop/p2 (p2)", "put shop/new (new)"]);
  });

  test("comes as a list where the server knows no WatchList", async () => {
    const subject = await Subject.start({ watchList: false }, (server) => some(server, 3));
    await subject.settled();
    subject.server.put(path, pod("new"));
    await subject.settled();
    expect(subject.asked()).toEqual(["watch list", "list", "watch"]);
  });

  test("nothing is told before the bookmark; a WatchList that breaks off is followed by a list", async () => {
    const subject = await Subject.start({ pageSize: 2 }, (server) => {
      some(server, 5);
      server.fail(path, { kind: "reset", after: 300 }, { kind: "status", status: 500 });
    });
    await subject.settled();
    expect(subject.asked().slice(0, 3)).toEqual(["watch list", "list", "watch list"]);
    expect(subject.told).toHaveLength(5);
  });

  test("pages, and one that has expired", async () => {
    const subject = await Subject.start({ watchList: false, pageSize: 2 }, (server) => {
      some(server, 5);
      const expired = { code: 410, reason: "Expired", message: "The provided continue parameter is too old" };
      server.fail(
        path,
        ...([
          { kind: "status", status: 422 },
          { kind: "status", status: 410, body: expired },
        ] as const),
      );
    });
    await expect.poll(() => subject.asked()).toEqual(["watch list", "list", "list", "page", "page", "watch"]);
  });
});

describe("a server that is behind", () => {
  /** Knows p0 and p1; `old` is the server before p1. */
  const started = async (options?: Partial<ReflectorOptions>): Promise<{ subject: Subject; old: Snapshot }> => {
    const subject = await Subject.start({}, (server) => some(server, 1), options);
    const old = subject.server.snapshot();
    subject.server.put(path, pod("p1"));
    await subject.settled();
    subject.told.length = 0;
    return { subject, old };
  };

  test("can't go on with a watch, and its older state is not taken", async () => {
    const { subject, old } = await started();
    const now = subject.server.snapshot();
    subject.server.become(old);
    await expect
      .poll(() => subject.reflector.status.error)
      .toMatch(/newest pods of the server are older than .*: 11 < 12/);
    subject.server.become(now);
    subject.server.put(path, pod("p2"));
    await subject.settled();
    expect(subject.told).toEqual(["put shop/p2 (p2)"]);
  });

  test("is believed after a while: etcd was restored from a backup", async () => {
    const { subject, old } = await started();
    subject.server.become(old);
    await subject.settled();
    expect(subject.told).toEqual(["remove shop/p1 (p1)"]);
    expect(subject.asked().filter((what) => what === "watch list")).toHaveLength(6);
    subject.server.put(path, pod("p2"));
    await subject.settled();
  });

  test("and leaves a watch without a word is found out when the watch's time is over", async () => {
    const { subject, old } = await started({ watchSeconds: 1 });
    subject.server.isSilentAhead = true;
    subject.server.become(old);
    while (subject.told.length === 0) {
      await realTiming.sleep(1100, new AbortController().signal); // more than half of the time that was asked for
      subject.server.endWatches();
    }
    await subject.settled();
    expect(subject.told).toEqual(["remove shop/p1 (p1)"]);
  });

  test("can't bring back what was, by events and bookmarks of before", async () => {
    const { subject } = await started();
    const before = {
      ...pod("p1", "p1", "old"),
      metadata: { ...pod("p1", "p1", "old").metadata, resourceVersion: "3" },
    };
    const events = [
      { type: "MODIFIED", object: before },
      { type: "DELETED", object: before },
      { type: "BOOKMARK", object: { metadata: { resourceVersion: "4" } } },
    ];
    subject.server.fail(path, { kind: "garbage", text: events.map((event) => `${JSON.stringify(event)}\n`).join("") });
    subject.server.endWatches();
    subject.server.put(path, pod("p2"));
    await subject.settled();
    subject.server.endWatches();
    subject.server.put(path, pod("p3"));
    await subject.settled();
    expect(subject.told).toEqual(["put shop/p2 (p2)", "put shop/p3 (p3)"]);
  });
});

describe("the watch", () => {
  test("goes on where it ended", async () => {
    const subject = await Subject.start({}, (server) => some(server, 2));
    await subject.settled();
    subject.server.put(path, pod("p0", "p0", "db"));
    await subject.settled();
    subject.server.endWatches();
    subject.server.remove(path, "shop/p1");
    await subject.settled();
    expect(subject.asked()).toEqual(["watch list", "watch"]);
    expect(subject.told.slice(2)).toEqual(["put shop/p0 (p0)", "remove shop/p1 (p1)"]);
    expect(subject.reflector.status.restarts).toBe(1);
  });

  test("takes its version from bookmarks", async () => {
    const subject = await Subject.start({}, (server) => some(server, 1));
    await subject.settled();
    subject.server.put("/api/v1/nodes", pod("elsewhere"));
    subject.server.bookmark(path);
    subject.server.compact();
    subject.server.endWatches();
    await expect.poll(() => subject.asked()).toEqual(["watch list", "watch"]);
    subject.server.put(path, pod("p1"));
    await subject.settled();
    expect(subject.asked()).toEqual(["watch list", "watch"]);
  });

  test.each([
    ["as an answer", (server: FakeServer) => server.reset()],
    [
      "as an event",
      (server: FakeServer) => {
        const event = { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } };
        server.fail(path, { kind: "garbage", text: `${JSON.stringify(event)}\n` });
        server.reset();
      },
    ],
  ])("410 %s: the list is read again, and only differences are told", async (_, provoke) => {
    const subject = await Subject.start({}, (server) => some(server, 4));
    await subject.settled();
    subject.server.replaceSilently(path, [pod("p0"), pod("p1", "another"), pod("p2", "p2", "db"), pod("p4")]);
    subject.told.length = 0;
    provoke(subject.server);
    await subject.settled();
    expect(subject.told).toEqual([
      "remove shop/p1 (p1)",
      "remove shop/p3 (p3)",
      "put shop/p1 (another)",
      "put shop/p2 (p2)",
      "put shop/p4 (p4)",
    ]);
  });

  test("an object that is deleted and made again under its name", async () => {
    const subject = await Subject.start({}, (server) => some(server, 1));
    await subject.settled();
    subject.server.put(path, pod("p0", "other uid"));
    await subject.settled();
    expect(subject.told).toEqual(["put shop/p0 (p0)", "remove shop/p0 (p0)", "put shop/p0 (other uid)"]);
  });

  test("what does not matter is not told", async () => {
    const subject = await Subject.start({}, (server) => some(server, 1));
    await subject.settled();
    subject.server.put(path, { ...pod("p0"), status: { phase: "Running", conditions: [{ type: "Ready" }] } });
    subject.server.put(path, pod("p1"));
    await subject.settled();
    expect(subject.told).toEqual(["put shop/p0 (p0)", "put shop/p1 (p1)"]);
  });

  test("events that are told twice, garbage, objects without a name", async () => {
    const subject = await Subject.start({}, (server) => some(server, 1));
    await subject.settled();
    subject.server.fail(path, { kind: "twice" });
    subject.server.endWatches();
    await expect.poll(() => subject.server.watches).toBe(1);
    subject.server.put(path, pod("p0", "new"));
    subject.server.remove(path, "shop/p0");
    subject.server.put(path, pod("p1"));
    await subject.settled();
    expect(subject.told).toEqual([
      "put shop/p0 (p0)",
      "remove shop/p0 (p0)",
      "put shop/p0 (new)",
      "remove shop/p0 (new)",
      "put shop/p1 (p1)",
    ]);
    subject.server.fail(path, { kind: "garbage", text: '{"type":"ADDED","object":{"metadata":{}}}\n{"type":\n' });
    subject.server.endWatches();
    subject.server.put(path, pod("p2"));
    await subject.settled();
    expect(subject.unreadable).toEqual(["an object without a name"]);
    expect(subject.told.at(-1)).toBe("put shop/p2 (p2)");
  });

  test("a connection that dies silently is given up", async () => {
    const subject = await Subject.start({}, (server) => some(server, 1), { silence: 50 });
    await subject.settled();
    subject.server.fail(path, { kind: "silence" }, { kind: "silence" });
    subject.server.endWatches();
    subject.server.put(path, pod("p1"));
    await subject.settled();
    expect(subject.reflector.status.error).toBeNull();
  });
});

describe("failures", () => {
  test("are waited out ever longer, with a word why, and forgotten when things go well", async () => {
    const refusals: Fault[] = Array.from({ length: 8 }, () => ({ kind: "status", status: 403 }));
    const subject = await Subject.start({}, (server) => server.fail(path, ...refusals));
    await expect.poll(() => subject.reflector.status.error).toBe("cannot watch pods: as told");
    await subject.reflector.synced;
    expect(subject.timing.waits).toEqual([1200, 2400, 4800, 9600, 19_200, 22_500, 22_500, 22_500]);
    expect(subject.reflector.status).toMatchObject({ connected: true, error: null, restarts: 8 });
    subject.server.fail(path, { kind: "status", status: 403 });
    subject.server.endWatches();
    subject.server.put(path, pod("p0"));
    await subject.settled();
    expect(subject.timing.waits.slice(8)).toContain(1200);
  });

  test("of a WatchList that never gets complete too", async () => {
    const cut = { kind: "end", after: 300 } as const;
    const no = { kind: "status", status: 500 } as const;
    const subject = await Subject.start({}, (server) => {
      some(server, 5);
      server.fail(path, cut, no, cut, no, cut, no);
    });
    await subject.settled();
    const own = subject.timing.waits.filter((wait) => wait !== 3000); // these are looks for the server
    expect(own).toEqual([1200, 2400, 4800, 9600, 19_200, 22_500]);
  });

  test("of watches from a list that the server has just given too", async () => {
    const subject = await Subject.start({ watchList: false }, (server) => {
      some(server, 1);
      const fine = { kind: "garbage", text: "" } as const;
      const expired = { kind: "status", status: 410 } as const;
      server.fail(path, { kind: "status", status: 422 }, fine, expired, fine, expired, fine, expired);
    });
    await expect.poll(() => subject.asked().length).toBe(9);
    expect(subject.asked()).toEqual(["watch list", ...Array.from({ length: 4 }, () => ["list", "watch"]).flat()]);
    expect(subject.timing.waits).toEqual([1200, 2400, 4800]);
  });

  test("the server's wish to wait is obeyed", async () => {
    const body = { code: 429, reason: "TooManyRequests", message: "slow down", details: { retryAfterSeconds: 7 } };
    const subject = await Subject.start({}, (server) => server.fail(path, { kind: "status", status: 429, body }));
    await subject.reflector.synced;
    expect(subject.timing.waits).toEqual([10_500]);
  });

  test("a kind that is not installed is empty until its CRD comes", async () => {
    const subject = await Subject.start({}, (server) => server.absent.add(path));
    await subject.reflector.synced;
    expect(subject.reflector.status).toMatchObject({ installed: false, synced: true, error: null });
    await expect.poll(() => subject.server.watches).toBe(1);
    const [, asked] = subject.server.requests;
    expect(asked).toContain(`GET ${crds}?watch=true&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dpods&`);
    subject.server.put(crds, { metadata: { name: "pods", uid: "crd" } });
    await expect.poll(() => subject.asked().length).toBe(1 + 6); // it is not served for long, so the CRD is watched again
    subject.server.put(path, pod("p0"));
    subject.server.absent.delete(path);
    expect(subject.reflector.status.installed).toBe(false);
    subject.server.put(crds, { metadata: { name: "pods", uid: "crd", labels: { established: "now" } } });
    await subject.settled();
    expect(subject.reflector.status).toMatchObject({ installed: true, connected: true });
  });

  test("a kind that is no longer there", async () => {
    const subject = await Subject.start({}, (server) => some(server, 1));
    await subject.settled();
    subject.server.absent.add(path);
    subject.server.endWatches();
    await expect.poll(() => subject.told).toEqual(["put shop/p0 (p0)", "remove shop/p0 (p0)"]);
    expect(subject.asked().filter((what) => what === "watch")).toHaveLength(2); // asked twice before it was believed
  });

  test("a kind is looked for where its CRD can't be watched", async () => {
    const subject = await Subject.start({}, (server) => {
      server.absent.add(path);
      server.fail(crds, ...Array.from({ length: 100 }, (): Fault => ({ kind: "status", status: 403 })));
    });
    await subject.reflector.synced;
    subject.server.put(path, pod("p0"));
    subject.server.absent.delete(path);
    await subject.settled();
    expect(subject.timing.waits[0]).toBe(7500);
  });
});

const name = fc.integer({ min: 0, max: 5 }).map((n) => `p${n}`);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      name,
      uid: fc.constantFrom("", "x"),
      app: fc.constantFrom("a", "b"),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("remove" as const), name }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "reset" as const,
        "end" as const,
        "compact" as const,
        "silently" as const,
        "bookmark" as const,
        "wait" as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      fault: fc.oneof(
        fc.record({ kind: fc.constantFrom("reset" as const, "end" as const), after: fc.nat(600) }),
        fc.record({ kind: fc.constant("status" as const), status: fc.constantFrom(410, 429, 500, 503) }),
        fc.record({
          kind: fc.constant("garbage" as const),
          text: fc.constantFrom("{", '{"type":"ADDED","object":{}}\n', "\n\n"),
        }),
        fc.constant<Fault>({ kind: "twice" }),
      ),
    }),
  },
);

test("whatever happens, the state becomes the server's", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 25 }), async (watchList, steps) => {
      const subject = await Subject.start({ watchList, pageSize: 2 }, (server) => some(server, 3));
      const { server } = subject;
      for (const one of steps) {
        if (one.do === "put") server.put(path, pod(one.name, one.name + one.uid, one.app));
        else if (one.do === "remove") server.remove(path, `shop/${one.name}`);
        else if (one.do === "fail") server.fail(path, one.fault);
        else if (one.do === "reset") server.reset();
        else if (one.do === "end") server.endWatches();
        else if (one.do === "compact") server.compact();
        else if (one.do === "bookmark") server.bookmark(path);
        else if (one.do === "wait") await realTiming.sleep(10, new AbortController().signal);
        else {
          server.replaceSilently(path, [pod("p0", "silent"), pod("p9")]);
          server.reset();
        }
      }
      await subject.settled();
      // What was told, applied to nothing, is the state as well.
      const state = new Set<string>();
      for (const line of subject.told) {
        const [what, ...object] = line.split(" ");
        if (what === "put") state.add(object.join(" "));
        else expect(state.delete(object.join(" "))).toBe(true);
      }
      expect([...state].sort()).toEqual(
        [...subject.reflector.objects].map(([key, { uid }]) => `${key} (${uid})`).sort(),
      );
      for (const end of ending.splice(0).reverse()) await end();
    }),
    { numRuns: 60 },
  );
}, 120_000);
