import { afterEach, describe, expect, test } from "vitest";
import type { TransactionStats } from "../nftables/enforcer.ts";
import { NftablesError } from "../nftables/runner.ts";
import type { LivePlan } from "../policy/compile/plan.ts";
import { EarlyAddresses } from "./early-addresses.ts";
import { noStore } from "./early-store.ts";
import { FakeFeed } from "./fake-feed.arbitrary.ts";
import { Follower, type FollowerOptions, type Kernel } from "./follower.ts";
import { Gate } from "./gate.ts";
import { isolate, LogBook, namespace, node, pod, put, removePod, removePolicy } from "./worlds.arbitrary.ts";

/** A kernel that keeps the plan that it was last brought to, and refuses what a test wants refused. */
class RecordingKernel implements Kernel {
  refuses: (plan: LivePlan) => boolean = () => false;
  refusal = "Invalid argument";
  tries = 0;
  /** What is in force: rules of each policy, ingress. */
  policies: string[] = [];
  pods: string[] = [];
  /** Resolved when a transaction may end; null: at once. */
  gate: Promise<void> | null = null;

  async reach(plan: LivePlan): Promise<TransactionStats[]> {
    this.tries++;
    await this.gate;
    if (this.refuses(plan)) throw new NftablesError(`Error: Could not process rule: ${this.refusal}`, null);
    this.policies = Array.from(plan.policies.values(), ({ metadata, spec }) => {
      return `${metadata.name} ${(spec?.ingress ?? []).length}`;
    }).sort();
    this.pods = Array.from(plan.pods.values(), ({ name, ips }) => `${name} ${ips.join(",")}`).sort();
    return [{ purpose: "open", operations: 1, milliseconds: 0 }];
  }

  apply = (plan: LivePlan): Promise<readonly TransactionStats[]> => this.reach(plan);
  hold = async (): Promise<readonly TransactionStats[]> => [];
  repair = async (): Promise<readonly TransactionStats[]> => [];
}

class Rig {
  readonly feed: FakeFeed;
  readonly kernel = new RecordingKernel();
  readonly log = new LogBook();
  readonly problems: string[] = [];
  readonly follower: Follower;
  readonly gate: Gate;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #applied = 0;
  #waiting: (() => void)[] = [];

  constructor(
    world: ConstructorParameters<typeof FakeFeed>[0] = {},
    times: Pick<FollowerOptions, "patience" | "secondChance"> = {},
  ) {
    this.feed = new FakeFeed(
      world === null ? null : { namespaces: [namespace("shop")], nodes: [node("n1", [])], ...world },
    );
    const early = new EarlyAddresses();
    this.follower = new Follower({
      node: "n1",
      feed: this.feed,
      early,
      log: this.log,
      signal: this.#stop.signal,
      firstPause: 1,
      ...times,
      start: async (plan) => {
        await this.kernel.reach(plan);
        return this.kernel;
      },
      witness: {
        applied: () => {
          this.#applied++;
          for (const wake of this.#waiting.splice(0)) wake();
        },
        failed: () => {
          for (const wake of this.#waiting.splice(0)) wake();
        },
        problem: ({ message }) => {
          this.problems.push(message);
          for (const wake of this.#waiting.splice(0)) wake();
        },
        saw: (changes) => this.gate.saw(changes),
      },
    });
    this.gate = new Gate({
      node: "n1",
      early,
      store: noStore,
      mailbox: this.follower.mailbox,
      podOf: (key) => this.follower.plan?.pods.get(key),
      unready: () => this.follower.conditions().find(({ state }) => state === "failed")?.text ?? null,
    });
    this.#running = this.follower.run();
  }

  get applied(): number {
    return this.#applied;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("stopped"));
    await this.#running;
  }
}

const rigs: Rig[] = [];
const rigOf = (...args: ConstructorParameters<typeof Rig>): Rig => {
  const rig = new Rig(...args);
  rigs.push(rig);
  return rig;
};
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

const forever = new AbortController().signal;
const web = { namespace: "shop", name: "web", uid: "uid-web" };

describe("following a cluster", () => {
  const isBad = (plan: LivePlan): boolean =>
    [...plan.policies.values()].some(({ metadata, spec }) => metadata.name === "bad" && spec?.ingress?.length === 2);

  test("the first world, then changes; what arrives while a transaction is on its way is one next delta", async () => {
    const rig = rigOf({ policies: [isolate("a", "web")] });
    await rig.until(() => rig.applied === 1);
    expect(rig.kernel.policies).toEqual(["a 0"]);
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.kernel.gate = promise;
    rig.feed.tell([put.policy(isolate("b", "web"))]);
    while (rig.kernel.tries === 1) await new Promise(setImmediate);
    rig.feed.tell([put.policy(isolate("c", "web"))]);
    rig.feed.tell([removePolicy("a")]);
    rig.kernel.gate = null;
    resolve();
    await rig.until(() => rig.applied === 3);
    expect(rig.kernel.policies).toEqual(["b 0", "c 0"]);
    expect(rig.kernel.tries).toBe(3);
  });

  test("a kernel that refuses is tried again, and what came meanwhile comes with it", async () => {
    const rig = rigOf();
    await rig.until(() => rig.applied === 1);
    rig.kernel.refuses = () => true;
    rig.feed.tell([put.pod(pod("web", { ips: ["10.0.1.2"] }))]);
    await rig.until(() => rig.kernel.tries >= 3);
    expect(rig.follower.conditions()[0]).toMatchObject({ name: "rules", state: "failed" });
    rig.feed.tell([put.pod(pod("db", { ips: ["10.0.1.3"] }))]);
    rig.kernel.refuses = () => false;
    await rig.until(() => rig.applied > 1);
    await rig.until(() => rig.kernel.pods.length === 2);
    expect(rig.follower.conditions()[0]).toMatchObject({ name: "rules", state: "ok" });
  });

  test("a repair that fails is tried until it succeeds, and seen until then", async () => {
    const rig = rigOf();
    await rig.until(() => rig.applied === 1);
    let tries = 0;
    const states: unknown[] = [];
    const act = async (): Promise<TransactionStats[]> => {
      states.push(rig.follower.conditions()[0]?.state);
      if (++tries < 4) throw new NftablesError("Error: Could not process rule: Device or resource busy", null);
      return [];
    };
    rig.follower.mailbox.post({ act });
    await rig.until(() => rig.applied === 2);
    expect(states).toEqual(["ok", "failed", "failed", "failed"]);
    expect(rig.follower.conditions()[0]).toMatchObject({ state: "ok" });
  });

  test("a policy that the kernel refuses is closed alone, until it is another", async () => {
    const rig = rigOf({ policies: [isolate("good", "web", ["db"])] });
    await rig.until(() => rig.applied === 1);
    rig.kernel.refuses = isBad;
    rig.feed.tell([
      put.policy(isolate("first", "web", ["db"])),
      put.policy(isolate("bad", "web", ["db", "web"])),
      put.policy(isolate("last", "web", ["db"])),
    ]);
    await rig.until(() => rig.kernel.policies.join() === "bad 0,first 1,good 1,last 1");
    await rig.until(() => rig.problems.length > 0);
    expect(rig.problems).toEqual([
      expect.stringContaining("its pods are isolated: nftables: Error: Could not process"),
    ]);
    expect(rig.follower.conditions()).toEqual([
      expect.objectContaining({ name: "rules", state: "ok" }),
      { name: "policies", state: "warning", text: expect.stringContaining("NetworkPolicy shop/bad") as string },
    ]);
    rig.feed.tell([put.policy(isolate("bad", "web", ["db"]))]);
    await rig.until(() => rig.kernel.policies.includes("bad 1"));
    expect(rig.follower.conditions()[1]).toMatchObject({ state: "ok" });
  });

  test("no policy is to blame for a lack of memory that passes", async () => {
    const rig = rigOf({ policies: [isolate("good", "web", ["db"])] });
    await rig.until(() => rig.applied === 1);
    rig.kernel.refusal = "Cannot allocate memory";
    const closed: string[] = [];
    rig.kernel.refuses = (plan) => {
      closed.push(
        ...[...plan.policies.values()]
          .filter(({ spec }) => spec?.ingress?.length === 0)
          .map(({ metadata }) => metadata.name),
      );
      return true;
    };
    rig.feed.tell([put.policy(isolate("bad", "web", ["db", "web"]))]);
    await rig.until(() => rig.kernel.tries >= 6);
    rig.kernel.refuses = () => false;
    await rig.until(() => rig.applied > 1);
    expect(closed).toEqual([]);
    expect(rig.kernel.policies).toEqual(["bad 2", "good 1"]);
    expect(rig.problems).toEqual([]);
  });

  test("a policy that there is no memory for is closed after a while", async () => {
    const rig = rigOf({ policies: [isolate("good", "web", ["db"])] }, { patience: 100 });
    await rig.until(() => rig.applied === 1);
    rig.kernel.refusal = "Cannot allocate memory";
    rig.kernel.refuses = isBad;
    rig.feed.tell([put.policy(isolate("bad", "web", ["db", "web"]))]);
    await rig.until(() => rig.problems.length > 0);
    expect(rig.kernel.policies).toEqual(["bad 0", "good 1"]);
  });

  test("who was refused gets another chance", async () => {
    const rig = rigOf({ policies: [isolate("good", "web", ["db"])] }, { secondChance: 20 });
    await rig.until(() => rig.applied === 1);
    rig.kernel.refuses = isBad;
    rig.feed.tell([put.policy(isolate("bad", "web", ["db", "web"]))]);
    await rig.until(() => rig.problems.length > 0);
    const { tries } = rig.kernel;
    await rig.until(() => rig.kernel.tries > tries + 4);
    expect(rig.kernel.policies).toEqual(["bad 0", "good 1"]);
    rig.kernel.refuses = () => false;
    await rig.until(() => rig.kernel.policies.includes("bad 2"));
    expect(rig.follower.conditions()[1]).toMatchObject({ state: "ok" });
  });

  test("where closing policies does not help none is closed", async () => {
    const rig = rigOf();
    await rig.until(() => rig.applied === 1);
    rig.kernel.refuses = () => true;
    rig.feed.tell([put.policy(isolate("a", "web", ["db"]))]);
    await rig.until(() => rig.kernel.tries > 7);
    rig.kernel.refuses = () => false;
    await rig.until(() => rig.applied > 1);
    expect(rig.kernel.policies).toEqual(["a 1"]);
    expect(rig.problems).toEqual([]);
  });

  test("problems of policies are said while they last", async () => {
    const rig = rigOf();
    await rig.until(() => rig.applied === 1);
    const policy = { kind: "NetworkPolicy", namespace: "shop", name: "a" } as const;
    rig.feed.tell([put.policy(isolate("a", "web"))], [{ policy, uid: "1", message: "spec.x: unknown field" }]);
    await rig.until(() => rig.applied === 2);
    expect(rig.follower.conditions()[1]).toEqual({
      name: "policies",
      state: "warning",
      text: "NetworkPolicy shop/a: spec.x: unknown field",
    });
    expect(rig.problems).toEqual(["spec.x: unknown field"]);
    rig.feed.tell([put.policy(isolate("a", "web"))]);
    await rig.until(() => rig.applied === 3);
    expect(rig.follower.conditions()[1]).toMatchObject({ state: "ok" });
  });

  test("told to stop before it began it ends", async () => {
    const follower = new Follower({
      node: "n1",
      feed: new FakeFeed(null),
      early: new EarlyAddresses(),
      log: new LogBook(),
      signal: AbortSignal.abort(new Error("stopped")),
      start: () => Promise.reject(new Error("never")),
      witness: { applied: () => undefined, failed: () => undefined, problem: () => undefined, saw: () => undefined },
    });
    await follower.run();
    expect(follower.plan).toBeNull();
  });

  test("stopping ends a wait for the API server", async () => {
    const rig = rigOf(null);
    expect(rig.follower.conditions()[0]).toMatchObject({ state: "failed", text: "waiting for the API server" });
    await rig.stop();
  });
});

describe("the gate of pod starts", () => {
  test("a pod is admitted when its addresses are in force", async () => {
    const rig = rigOf({ pods: [pod("web")] });
    await rig.until(() => rig.applied === 1);
    await rig.gate.admit(web, ["10.0.1.2"], forever);
    expect(rig.kernel.pods).toEqual(["web 10.0.1.2"]);
    await rig.gate.admit(web, ["10.0.1.2"], forever);
    await rig.gate.release(web, ["10.0.1.2"]);
    expect(rig.kernel.pods).toEqual(["web "]);
  });

  /** Puts what the cluster says and what the runtime does into one round of the follower. */
  async function together(rig: Rig, tell: () => void, ask: () => Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    rig.kernel.gate = promise;
    const tries = rig.kernel.tries;
    // While this is on its way the feed is being asked already.
    rig.follower.mailbox.post({ changes: () => [put.pod(pod("other"))] });
    while (rig.kernel.tries === tries) await new Promise(setImmediate);
    tell();
    const asked = ask();
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    rig.kernel.gate = null;
    resolve();
    await asked;
  }

  test("new labels that come together with the addresses are not undone", async () => {
    const rig = rigOf({ pods: [pod("web")] });
    await rig.until(() => rig.applied === 1);
    const relabelled = pod("web", { labels: { app: "quarantined" } });
    await together(
      rig,
      () => rig.feed.tell([put.pod(relabelled)]),
      () => rig.gate.admit(web, ["10.0.1.2"], forever),
    );
    expect(rig.follower.plan?.pods.get("shop/web")).toEqual({ ...relabelled, ips: ["10.0.1.2"] });
  });

  test("a pod that is removed at that moment does not come back", async () => {
    const rig = rigOf({ pods: [pod("web")] });
    await rig.until(() => rig.applied === 1);
    const controller = new AbortController();
    const admitted = together(
      rig,
      () => rig.feed.tell([removePod("web")]),
      () => rig.gate.admit(web, ["10.0.1.2"], controller.signal),
    );
    await rig.until(() => rig.kernel.pods.join() === "other ");
    controller.abort(new Error("gave up"));
    await expect(admitted).rejects.toThrow("gave up");
    expect(rig.follower.plan?.pods.has("shop/web")).toBe(false);
  });

  test("admitted and released in one round: the address is nobody's", async () => {
    const rig = rigOf({ pods: [pod("web")] });
    await rig.until(() => rig.applied === 1);
    await together(
      rig,
      () => undefined,
      async () => {
        const admitted = rig.gate.admit(web, ["10.0.1.2"], forever);
        await new Promise(setImmediate);
        await Promise.all([admitted, rig.gate.release(web, ["10.0.1.2"])]);
      },
    );
    expect(rig.kernel.pods).toEqual(["other ", "web "]);
  });

  test("it waits for the Pod object with the right uid", async () => {
    const rig = rigOf({ pods: [pod("web", { uid: "older", ips: ["10.0.1.9"] })] });
    await rig.until(() => rig.applied === 1);
    let isAdmitted = false;
    const admitted = rig.gate.admit(web, ["10.0.1.2"], forever).then(() => {
      isAdmitted = true;
    });
    rig.feed.tell([put.pod(pod("db"))]);
    await rig.until(() => rig.applied === 2);
    expect(isAdmitted).toBe(false);
    rig.feed.tell([put.pod(pod("web"))]);
    await admitted;
    expect(rig.kernel.pods).toEqual(["db ", "web 10.0.1.2"]);
  });

  test("who gives up is not admitted", async () => {
    const rig = rigOf();
    await rig.until(() => rig.applied === 1);
    const controller = new AbortController();
    const admitted = rig.gate.admit(web, ["10.0.1.2"], controller.signal);
    controller.abort(new Error("gave up"));
    await expect(admitted).rejects.toThrow("gave up");
  });

  test("nobody is admitted while the agent is not ready, nor on another node", async () => {
    const rig = rigOf(null);
    expect(rig.gate.unready()).toBe("waiting for the API server");
    await expect(rig.gate.admit(web, ["10.0.1.2"], forever)).rejects.toThrow("not ready: waiting for the API server");
    await rig.gate.release(web, ["10.0.1.2"]);
    rig.feed.begin({ pods: [pod("web", { node: "n2" })] });
    await rig.until(() => rig.applied >= 1);
    await expect(rig.gate.admit(web, ["10.0.1.2"], forever)).rejects.toThrow("is on node n2, this is the agent of n1");
  });
});
