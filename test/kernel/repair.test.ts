/** What somebody else does to the table: noticed, and mended. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Seat } from "../../src/netns/sockets.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { emptyWorld, type Pod, type World } from "../../src/policy/model/world.ts";
import { podNamed, policyNamed, shopNamespace } from "../../src/policy/objects.arbitrary.ts";
import { Topology } from "../../src/sandbox/topology.ts";
import { UdpFlow } from "./flows.ts";
import { describeKernel, requireKernel } from "./support.ts";

const pod = (name: string, ip: string): Pod => podNamed(name, { ips: [ip], node: "n1" });
const app = (name: string) => ({ podSelector: { matchLabels: { app: name } } });

const world: World = {
  ...emptyWorld,
  nodes: [{ name: "n1", labels: {}, ips: ["172.18.0.11"], podCIDRs: [], source: null }],
  namespaces: [shopNamespace],
  pods: [pod("a", "10.244.1.2"), pod("b", "10.244.1.3"), pod("c", "10.244.1.4")],
  policies: [
    policyNamed("in", { ...app("a"), ingress: [{ from: [app("b")] }] }),
    policyNamed("out", { ...app("c"), policyTypes: ["Egress"], egress: [{ to: [app("b")] }] }),
  ],
};
const held = ["10.244.1.0/24"];

/** Elements alone are put back; whoever changes chains may have changed anything. */
const harms: readonly { readonly script: string; readonly replaces: boolean }[] = [
  { script: "delete table inet bulkhead", replaces: false },
  { script: "flush ruleset", replaces: false },
  { script: "flush map inet bulkhead i_subject4", replaces: false },
  { script: "flush map inet bulkhead i_peer4", replaces: false },
  { script: "flush set inet bulkhead held4", replaces: false },
  { script: "flush map inet bulkhead i_rest", replaces: true },
  { script: "flush set inet bulkhead about", replaces: true },
  { script: "flush chain inet bulkhead base_forward", replaces: true },
  { script: "flush chain inet bulkhead judge_forward", replaces: true },
  { script: "flush chain inet bulkhead i_judge", replaces: true },
  { script: "insert rule inet bulkhead base_forward accept", replaces: true },
  { script: "insert rule inet bulkhead arrive ip saddr 10.244.1.4 accept", replaces: true },
  { script: "add rule inet bulkhead judge_input drop", replaces: true },
  { script: "add chain inet bulkhead base_forward { policy drop; }", replaces: true },
  {
    script: "add chain inet bulkhead mine { type filter hook forward priority 7; policy accept; }",
    replaces: true,
  },
  { script: "flush chain inet bulkhead base_input\ndelete chain inet bulkhead base_input", replaces: true },
  {
    script:
      "flush chain inet bulkhead base_forward\ndelete chain inet bulkhead base_forward\n" +
      "flush chain inet bulkhead base_input\ndelete chain inet bulkhead base_input",
    replaces: true,
  },
];

const inTheTable = "another program changed table inet bulkhead: it is repaired";
const replaced = "table inet bulkhead is of another version, has other options or was changed: it is replaced";

describeKernel("a table that somebody changes", () => {
  let topology: Topology;
  let runner: Runner;
  let other: Runner;
  let ports = 24_000;

  beforeAll(async () => {
    requireKernel();
    topology = Topology.build(world);
    const netns = topology.node("n1").fd;
    runner = await openRunner({ netns });
    other = await openRunner({ netns, backend: "nft" });
  });

  afterAll(async () => {
    for (const one of [other, runner]) await one.close();
    topology.close();
  });

  const seat = (name: string): Seat =>
    topology.podSeat(`shop/${name}`, world.pods.find((one) => one.name === name)!.ips[0]!);

  async function arrives(from: string, to: string): Promise<boolean> {
    const flow = new UdpFlow(seat(from), seat(to), ports++);
    const arrived = (await flow.there()) && (await flow.back());
    flow.close();
    return arrived;
  }

  test("is noticed at once, whatever they do, and is again what it was", async () => {
    const warnings: string[] = [];
    const warn = (text: string): void => void warnings.push(text);
    const enforcer = await Enforcer.start(compile(world), { node: "n1", runner, held, watch: true, warn });
    await other.run("table inet unrelated {\nchain c {\n}\n}\n");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(warnings).toEqual([]);
    for (const { script, replaces } of harms) {
      await other.run(`${script}\n`);
      for (let i = 0; i < 500 && warnings.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
      await enforcer.counters(); // behind the repair
      expect(warnings.splice(0), script).toEqual([inTheTable, ...(replaces ? [replaced] : [])]);
      expect(await enforcer.repair(), script).toEqual([]);
      expect(await arrives("b", "a"), script).toBe(true);
      expect(await arrives("c", "a"), script).toBe(false);
    }
    await enforcer.remove();
  });

  test("without being told, is found by the next reading and by the next process", async () => {
    const plan = compile(world);
    const enforcer = await Enforcer.start(plan, { node: "n1", runner, held });
    expect(await enforcer.repair()).toEqual([]);
    const { script } = harms.find((harm) => harm.script.startsWith("insert rule inet bulkhead base_forward"))!;
    await other.run(`${script}\n`);
    expect(await arrives("c", "a")).toBe(true);
    expect((await enforcer.repair()).map(({ purpose }) => purpose).slice(-2)).toEqual(["open", "epoch"]);
    expect(await arrives("c", "a")).toBe(false);
    await enforcer.stop();
    await other.run(`${script}\n`);
    const next = await Enforcer.start(plan, { node: "n1", runner, held });
    expect(await arrives("c", "a")).toBe(false);
    expect(await arrives("b", "a")).toBe(true);
    await next.remove();
  });
});
