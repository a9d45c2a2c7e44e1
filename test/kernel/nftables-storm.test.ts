/** Packets while rules change: what both plans allow is never lost, what both deny never arrives. */
import { expect, test } from "vitest";
import { socketAddress } from "../../src/netns/bytes.ts";
import { close, receiveFrom, sendTo, wouldBlock } from "../../src/netns/libc.ts";
import { type Seat, udpSocket } from "../../src/netns/sockets.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import type { Runner } from "../../src/nftables/runner.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import type { NetworkPolicySpec } from "../../src/policy/model/policy.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { kernelStage } from "./stage.ts";
import { describeKernel } from "./support.ts";

const pod = (name: string, ip: string, labels: Pod["labels"] = {}): Pod =>
  podNamed(name, { labels: { app: name, ...labels }, ips: [ip], node: "n1" });

const world: World = {
  ...emptyWorld,
  nodes: [{ name: "n1", labels: {}, ips: ["172.18.0.11"], podCIDRs: [], source: null }],
  namespaces: [shopNamespace],
  pods: [pod("server", "10.244.1.2"), pod("friend", "10.244.1.3"), pod("stranger", "10.244.1.4")],
};

const app = (name: string) => ({ podSelector: { matchLabels: { app: name } } });
const port = 7000;

/** Every variant lets the friend in to the port, and never the stranger. */
const variants: readonly NetworkPolicySpec[] = [
  { ...app("server"), ingress: [{ from: [app("friend")] }] },
  { ...app("server"), ingress: [{ from: [app("friend")], ports: [{ protocol: "UDP", port }] }] },
  { ...app("server"), ingress: [{ from: [{ ipBlock: { cidr: "10.244.1.3/32" } }] }] },
  { ...app("server"), ingress: [{ from: [{ ipBlock: { cidr: "10.244.1.0/24", except: ["10.244.1.4/32"] } }] }] },
  {
    ...app("server"),
    ingress: [{ from: [app("friend")], ports: [{ protocol: "UDP", port: 6000, endPort: 8000 }] }, { from: [app("x")] }],
  },
];

/** Egress of the friend, never against the server; sometimes none. */
const egress: readonly (NetworkPolicySpec | null)[] = [
  null,
  { ...app("friend"), policyTypes: ["Egress"], egress: [{ to: [app("server")] }] },
  { ...app("friend"), policyTypes: ["Egress"], egress: [{ to: [{ ipBlock: { cidr: "10.0.0.0/8" } }] }] },
];

function changes(step: number): Change[] {
  const out = egress[step % egress.length]!;
  return [
    { op: "put", kind: "policy", object: policyNamed("in", variants[step % variants.length]!) },
    out === null
      ? { op: "remove", kind: "policy", key: "NetworkPolicy/shop/out" }
      : { op: "put", kind: "policy", object: policyNamed("out", out) },
    { op: "put", kind: "pod", object: pod("friend", "10.244.1.3", { step: String(step % 2) }) },
    { op: "put", kind: "pod", object: pod("stranger", "10.244.1.4", { app: step % 2 === 0 ? "stranger" : "other" }) },
  ];
}

const duration = 4000; // ms

describeKernel("a storm of changes", () => {
  const stage = kernelStage(world);

  const seat = (name: string): Seat =>
    stage.topology.podSeat(`shop/${name}`, world.pods.find((one) => one.name === name)!.ips[0]!);

  /** What the friend and the stranger send to the server while `work` goes on, and how much of it arrives. */
  async function traffic(work: () => Promise<void>): Promise<{ sent: number; friend: number; stranger: number }> {
    const server = udpSocket(seat("server"), port);
    const friend = udpSocket(seat("friend"), port);
    const stranger = udpSocket(seat("stranger"), port);
    const to = socketAddress(seat("server").address, port);
    const data = new Uint8Array(16);
    const peer = new Uint8Array(28);
    const arrived = [0, 0];
    let sent = 0;
    let running = true;
    try {
      const done = work().finally(() => {
        running = false;
      });
      while (running) {
        for (let i = 0; i < 50; i++, sent++) {
          for (const [who, socket] of [friend, stranger].entries()) {
            data[0] = who;
            sendTo(socket, data, to);
          }
        }
        while (receiveFrom(server, data, peer) !== wouldBlock) arrived[data[0]!]!++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      await done;
    } finally {
      for (const fd of [server, friend, stranger]) close(fd);
    }
    return { sent, friend: arrived[0]!, stranger: arrived[1]! };
  }

  test("loses nothing that both sides of a change allow, and lets nothing in that both deny", async () => {
    const plan = compile({ ...world, policies: [policyNamed("in", variants[0]!)] });
    // Without an epoch every packet is judged by the maps.
    const judging: Runner = { ...stage.runner, clearMarks: () => Promise.reject(new Error("left out")) };
    const enforcer = await Enforcer.start(plan, { node: "n1", runner: judging, collectAfter: 20 });
    try {
      const { sent, friend, stranger } = await traffic(async () => {
        const end = performance.now() + duration;
        for (let step = 1; performance.now() < end; step++) await enforcer.apply(plan, plan.apply(changes(step)));
      });
      expect(sent).toBeGreaterThan(0);
      expect({ friend, stranger }).toEqual({ friend: sent, stranger: 0 });
    } finally {
      await enforcer.remove();
    }
  });

  /** A process that ends after some changes of the kernel. */
  function ending(changes: number): Runner {
    let left = changes;
    const next = <T>(change: () => Promise<T>): Promise<T> =>
      left-- > 0 ? change() : Promise.reject(new Error("the process ended"));
    const { runner } = stage;
    return {
      ...runner,
      commit: (commands, table) => next(() => runner.commit(commands, table)),
      run: (script, format) =>
        script.startsWith("list ") ? runner.run(script, format) : next(() => runner.run(script, format)),
    };
  }

  test("nor does an upgrade, which replaces a table that another version left, not even one that ends half way", async () => {
    const plan = compile({ ...world, policies: [policyNamed("in", variants[0]!)] });
    const start = (logGroup: number, runner = stage.runner): Promise<Enforcer> =>
      Enforcer.start(plan, { node: "n1", runner, logGroup });
    const ended = new Set<number>();
    let enforcer = await start(100);
    try {
      const { sent, friend, stranger } = await traffic(async () => {
        for (let version = 101; version <= 120; version++) {
          await enforcer.stop();
          const changes = version - 101;
          await start(version, ending(changes)).then(
            (one) => one.stop(),
            () => ended.add(changes),
          );
          enforcer = await start(version + 1000);
          expect(await stage.runner.run("list tables")).toBe("table inet bulkhead\n");
        }
      });
      expect(ended.size).toBeGreaterThan(8); // at every change
      expect(ended.size).toBeLessThan(20);
      expect(sent).toBeGreaterThan(0);
      expect({ friend, stranger }).toEqual({ friend: sent, stranger: 0 });
    } finally {
      await enforcer.remove();
    }
  });
});
