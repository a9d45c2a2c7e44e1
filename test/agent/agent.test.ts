/** An agent that rules a real kernel, with a cluster that the test makes up: how it begins, works, dies and comes back. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { runUninstall } from "../../src/agent/uninstall.ts";
import { isolate, put, removePod, removePolicy } from "../../src/agent/worlds.arbitrary.ts";
import type { ClusterEvent } from "../../src/kube/index.ts";
import { NftablesError, openRunner, type Runner } from "../../src/nftables/runner.ts";
import type { World } from "../../src/policy/model/world.ts";
import { describeKernel, requireKernel } from "../kernel/support.ts";
import { pods, TestNodes, world } from "./node.ts";
import { Agent, AgentProcess, agentOptions, type InProcessDeps } from "./process.ts";

describeKernel("an agent on a node", () => {
  let nodes: TestNodes;
  const agents: Agent[] = [];
  const processes: AgentProcess[] = [];

  const start = async (deps: InProcessDeps = {}): Promise<Agent> => {
    const agent = new Agent(nodes.namespace, await agentOptions(), deps);
    agents.push(agent);
    return agent;
  };
  const ready = async (from: Partial<World> = world, deps: InProcessDeps = {}): Promise<Agent> => {
    const agent = await start(deps);
    agent.begin(from);
    await agent.ready();
    return agent;
  };
  const readyProcess = async (from: Partial<World>): Promise<AgentProcess> => {
    const agent = await AgentProcess.start(nodes.namespace, await agentOptions());
    processes.push(agent);
    agent.begin(from);
    await agent.ready();
    return agent;
  };
  const eventually = async (condition: () => Promise<boolean>): Promise<void> => {
    while (!(await condition())) await sleep(2);
  };

  beforeAll(requireKernel);
  beforeEach(() => {
    nodes = new TestNodes();
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.end();
    for (const agent of processes.splice(0)) await agent.end("SIGKILL");
    nodes.close();
  });

  test.for([0, 1] as const)("a policy cuts a live flow, and its removal lets it go on, family %i", async (family) => {
    const agent = await ready();
    const flow = nodes.stream("evil", "db", family);
    const allowed = nodes.stream("web", "db", family);
    expect(await nodes.passes(flow)).toBe(true);
    agent.tell(put.policy(isolate("db", "db", ["web"])));
    await eventually(async () => !(await nodes.passes(flow)));
    expect(await nodes.passes(allowed)).toBe(true);
    agent.tell(removePolicy("db"));
    await eventually(() => nodes.passes(flow));
  });

  test("an address of the node's pods that nobody knows is dropped, until its pod is known", async () => {
    const stranger = nodes.stream("stranger", "db");
    const toStranger = nodes.stream("far", "stranger");
    expect(await nodes.passes(stranger)).toBe(true);
    const agent = await ready();
    expect(await nodes.passes(stranger)).toBe(false);
    expect(await nodes.passes(toStranger)).toBe(false);
    agent.tell(put.pod(pods.stranger));
    await eventually(() => nodes.passes(stranger));
    expect(await nodes.passes(toStranger)).toBe(true);
    agent.tell(removePod("stranger"));
    await eventually(async () => !(await nodes.passes(stranger)));
  });

  test("an address passes from one pod to another with the other's rules", async () => {
    const agent = await ready({ ...world, policies: [isolate("db", "db", ["web"])] });
    const flow = nodes.stream("web", "db");
    expect(await nodes.passes(flow)).toBe(true);
    // The address of web is evil's now.
    agent.tell(removePod("web"), put.pod({ ...pods.evil, ips: pods.web.ips }));
    await eventually(async () => !(await nodes.passes(flow)));
  });

  test("stopped or killed, its rules stay; a new one takes them over without a packet judged wrong", async () => {
    const closed = { ...world, policies: [isolate("db", "db", ["web"])] };
    const streams = {
      allowed: nodes.stream("web", "db"),
      allowed6: nodes.stream("web", "db", 1),
      denied: nodes.stream("evil", "db"),
      denied6: nodes.stream("evil", "db", 1),
      unknown: nodes.stream("stranger", "db"),
    };
    await readyProcess(closed);
    nodes.start();
    for (const signal of ["SIGTERM", "SIGKILL", "SIGKILL"] as const) {
      const agent = processes.at(-1)!;
      // Changes without end, so that a kill comes in the middle of one.
      const storm = setInterval(() => {
        for (let i = 0; i < 20; i++) {
          const name = `churn-${i}`;
          if (agent.child.connected)
            agent.tell(Math.random() < 0.5 ? put.policy(isolate(name, "far")) : removePolicy(name));
        }
      }, 1);
      await sleep(300);
      expect(await agent.end(signal)).toBe(signal === "SIGTERM" ? 0 : null);
      clearInterval(storm);
      await sleep(50);
      await readyProcess(closed);
    }
    await nodes.pause();
    expect(streams.allowed.sent).toBeGreaterThan(500);
    expect(streams.allowed.arrived).toBe(streams.allowed.sent);
    expect(streams.allowed6.arrived).toBe(streams.allowed6.sent);
    expect([streams.denied.arrived, streams.denied6.arrived, streams.unknown.arrived]).toEqual([0, 0, 0]);
  });

  test("a second agent waits for the first one's end, and says so", async () => {
    const first = await ready();
    const second = await start();
    second.begin({ ...world, policies: [isolate("db", "db")] });
    await eventually(
      async () => (await second.page("/readyz"))?.text.includes("waiting until the other agent") ?? false,
    );
    expect((await second.page("/healthz"))?.status).toBe(200);
    const flow = nodes.stream("web", "db");
    expect(await nodes.passes(flow)).toBe(true);
    await first.end();
    await second.ready();
    expect(await nodes.passes(flow)).toBe(false);
  });

  test("it says that unknown pods are not held, and enforces all the same", async () => {
    const agent = await start();
    const nowhere = world.nodes.map((one) => ({ ...one, podCIDRs: [] }));
    agent.begin({ ...world, nodes: nowhere, policies: [isolate("db", "db")] });
    const flow = nodes.stream("web", "db");
    await eventually(async () => !(await nodes.passes(flow)));
    const page = await agent.page("/readyz");
    expect(page?.status).toBe(503);
    expect(page?.text).toContain("[-]held failed: unknown pods are NOT held");
    const stranger = nodes.stream("stranger", "web");
    expect(await nodes.passes(stranger)).toBe(true);
    agent.tell(...world.nodes.map(put.node));
    await agent.ready();
    expect(await nodes.passes(stranger)).toBe(false);
  });

  test("uninstalled, nothing is left; again, there is nothing to do", async () => {
    const agent = await ready({ ...world, policies: [isolate("db", "db")] });
    const flow = nodes.stream("web", "db");
    expect(await nodes.passes(flow)).toBe(false);
    await agent.end();
    expect(await nodes.passes(flow)).toBe(false);
    const uninstall = (): Promise<string[]> =>
      runUninstall("bulkhead", new AbortController().signal, { network: nodes.namespace, netns: nodes.namespace.fd });
    expect(await uninstall()).toEqual(["table inet bulkhead: removed with all its rules; conntrack marks cleared"]);
    expect(await nodes.passes(flow)).toBe(true);
    expect(await uninstall()).toEqual(["table inet bulkhead: there was none"]);
  });

  test("a kernel that refuses keeps the rules before, is tried again, and all of it is said", async () => {
    let refuses = false;
    const told: ClusterEvent[] = [];
    const runner = (real: Runner): Runner => ({
      ...real,
      commit: async (commands, table) => {
        if (refuses) throw new NftablesError("No buffer space", null);
        return real.commit(commands, table);
      },
    });
    const agent = await ready(
      { ...world, policies: [isolate("db", "db", ["web"])] },
      { runner, events: { tell: (event) => void told.push(event) } },
    );
    const [allowed, denied, far] = [nodes.stream("web", "db"), nodes.stream("evil", "db"), nodes.stream("far", "web")];
    refuses = true;
    agent.tell(put.policy(isolate("web", "web")));
    await eventually(async () => (await agent.page("/readyz"))?.status === 503);
    expect((await agent.page("/readyz"))?.text).toContain("No buffer space");
    expect((await agent.page("/healthz"))?.status).toBe(200);
    expect([await nodes.passes(allowed), await nodes.passes(denied), await nodes.passes(far)]).toEqual([
      true,
      false,
      true,
    ]);
    expect(told[0]).toMatchObject({ type: "Warning", reason: "ProgrammingFailed" });
    refuses = false;
    await agent.ready();
    expect([await nodes.passes(allowed), await nodes.passes(denied), await nodes.passes(far)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("a policy that is not understood is named, and the agent is ready", async () => {
    const told: ClusterEvent[] = [];
    const agent = await start({ events: { tell: (event) => void told.push(event) } });
    const policy = { kind: "NetworkPolicy", namespace: "shop", name: "db" } as const;
    agent.begin({ ...world, policies: [isolate("db", "db")] }, [
      { policy, uid: "u", message: "spec.x: unknown field" },
    ]);
    await agent.ready();
    expect((await agent.page("/readyz?verbose"))?.text).toContain(
      "[!]policies warning: NetworkPolicy shop/db: spec.x: unknown field",
    );
    expect((await agent.page("/metrics"))?.text).toContain("bulkhead_policy_problems 1");
    expect(told).toEqual([
      { type: "Warning", reason: "PolicyFailsClosed", message: "spec.x: unknown field", policy, uid: "u" },
    ]);
  });

  test("the API server is away: the rules stay, the agent is ready and says it", async () => {
    const agent = await ready({ ...world, policies: [isolate("db", "db")] });
    agent.feed.sources = agent.feed.sources.map((one) => ({ ...one, connected: false, error: "connection refused" }));
    expect((await agent.page("/readyz?verbose"))?.text).toContain(
      "[!]pods warning: not watched, the last rules stay: connection refused",
    );
    expect((await agent.page("/readyz"))?.text).toBe("ok\n");
    expect(await nodes.passes(nodes.stream("web", "db"))).toBe(false);
  });

  test("drops are counted by policy, and strangers' too", async () => {
    const agent = await ready({ ...world, policies: [isolate("db", "db")] });
    await nodes.passes(nodes.stream("web", "db"));
    await nodes.passes(nodes.stream("stranger", "web"));
    const { text } = (await agent.page("/metrics"))!;
    const dropped = text.split("\n").filter((line) => line.startsWith("bulkhead_dropped_packets_total{"));
    expect(dropped.sort()).toEqual([
      'bulkhead_dropped_packets_total{direction="egress",tier="",policy="unknown pod"} 1',
      'bulkhead_dropped_packets_total{direction="ingress",tier="NetworkPolicy",policy="NetworkPolicy shop/db"} 1',
    ]);
  });

  test("pods on a bridge whose packets pass no hook: not ready, until the setting is on", async () => {
    const told: ClusterEvent[] = [];
    nodes.addBridge("cni0", "10.244.1.254/24");
    nodes.namespace.sysctl("bridge/bridge-nf-call-iptables", "0");
    const agent = await start({ events: { tell: (event) => void told.push(event) } });
    agent.begin(world);
    await eventually(async () => (await agent.page("/readyz"))?.text.includes("[-]bridge failed") ?? false);
    expect((await agent.page("/readyz"))?.text).toContain("on cni0: their packets pass no IP hook");
    expect(told).toEqual([expect.objectContaining({ reason: "BridgeNotFiltered", policy: null })]);
    nodes.namespace.sysctl("bridge/bridge-nf-call-iptables", "1");
    await agent.ready();
    expect((await agent.page("/readyz?verbose"))?.text).toContain(
      "[+]bridge ok: pods on cni0, whose packets pass the IP hooks",
    );
  });

  test("a table that somebody removes is there again", async () => {
    await ready({ ...world, policies: [isolate("db", "db")] });
    const flow = nodes.stream("web", "db");
    expect(await nodes.passes(flow)).toBe(false);
    const other = await openRunner({ netns: nodes.namespace.fd });
    await other.run("delete table inet bulkhead\n");
    await other.close();
    await eventually(async () => !(await nodes.passes(flow)));
    await eventually(async () => agents[0]!.log.lines.some((line) => /^(error|warn) /.test(line)));
  });

  test("pages", async () => {
    const agent = await ready();
    expect((await agent.page("/readyz"))?.text).toBe("ok\n");
    const verbose = (await agent.page("/readyz?verbose"))!.text;
    expect(verbose).toContain("[+]rules ok: in force since ");
    expect(verbose).toContain("[+]held ok: unknown pods are held in 10.244.1.0/24, fd00:10:244:1::/64");
    expect(verbose).toContain("[+]bridge ok: no pods on a bridge");
    const metrics = (await agent.page("/metrics"))!.text;
    expect(metrics).toContain('bulkhead_pods{where="local"} 3');
    expect(metrics).toContain('bulkhead_pods{where="known"} 4');
    expect(metrics).toContain("bulkhead_ready 1");
    expect((await agent.page("/other"))?.status).toBe(404);
  });
});
