/**
 * The way of a change from the plan to a batch for the kernel, gone some times before there is one: code that runs for the first
 * time is several times as slow, and the first deny after an agent's start must not wait for it.
 */
import { batchOf } from "../nftables/batch.ts";
import { Enforcer } from "../nftables/enforcer.ts";
import { NftablesError, type Runner } from "../nftables/runner.ts";
import { compile } from "../policy/compile/live-plan.ts";
import type { Change } from "../policy/compile/plan.ts";
import type { Policy } from "../policy/model/policy.ts";
import { emptyWorld, type Pod, type World } from "../policy/model/world.ts";

const node = "rehearsal";
const namespace = "rehearsal";
/** What V8 takes until the way is compiled well enough; more is not measurably faster. */
const times = 20;

const pod = (name: string, last: number, role: string): Pod => ({
  namespace,
  name,
  labels: { role },
  ips: [`192.0.2.${last}`, `2001:db8::${last}`],
  node,
  hostNetwork: false,
  phase: "Running",
  ports: [],
  workload: { kind: "Pod", name },
  template: false,
  replicas: null,
  source: null,
});

const world: World = {
  ...emptyWorld,
  nodes: [{ name: node, labels: {}, ips: ["198.51.100.1"], podCIDRs: ["192.0.2.0/24"], source: null }],
  namespaces: [{ name: namespace, labels: {}, source: null, defined: true }],
  pods: [pod("a", 1, "client"), pod("b", 2, "server")],
};

const selector = (role: string) => ({ podSelector: { matchLabels: { role } } });

const policy: Policy = {
  kind: "NetworkPolicy",
  metadata: { namespace, name: "rehearsal" },
  spec: { ...selector("server"), ingress: [{ from: [selector("client")] }] },
  source: null,
};

const changes: readonly Change[] = [
  { op: "put", kind: "policy", object: policy },
  { op: "put", kind: "pod", object: pod("a", 1, "stranger") },
  { op: "put", kind: "pod", object: pod("a", 1, "client") },
  { op: "remove", kind: "policy", key: `NetworkPolicy/${namespace}/rehearsal` },
];

/** A kernel without tables. */
const nowhere: Omit<Runner, "commit"> = {
  backend: "libnftables",
  run: async (script) => {
    if (script.startsWith("list chains")) return '{"nftables":[]}';
    throw new NftablesError("No such file or directory", null);
  },
  clearMarks: async () => 0,
  forgetFlows: async () => 0,
  watch: null,
  close: async () => undefined,
};

const written: Runner["commit"] = async (commands, table) => void batchOf(commands, table);

/**
 * Touches neither the kernel nor the cluster.
 * @param commit what becomes of each transaction; default: the batch is written, and forgotten
 */
export async function rehearse(commit = written): Promise<void> {
  const plan = compile(world, { node });
  const enforcer = await Enforcer.start(plan, { node, runner: { ...nowhere, commit } });
  for (let i = 0; i < times; i++) for (const change of changes) await enforcer.apply(plan, plan.apply([change]));
  await enforcer.stop();
}
