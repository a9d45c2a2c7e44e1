/**
 * The way of a change from the plan to a batch for the kernel, gone some times before there is one: code that runs for the first
 * time is several times as slow, and the first deny after an agent's start must not wait for it.
 */
import { batchOf } from "../nftables/batch.ts";
import { Enforcer } from "../nftables/enforcer.ts";
import { NftablesError, type Runner } from "../nftables/runner.ts";
import { compile } from "../policy/compile/live-plan.ts";
import { type Change, policyKey } from "../policy/compile/plan.ts";
import { namespaceNameLabel } from "../policy/model/labels.ts";
import { type Policy, policyRef } from "../policy/model/policy.ts";
import { emptyWorld, type Pod, plainPod, type World } from "../policy/model/world.ts";

const node = "rehearsal";
const namespace = "rehearsal";
/** Enough for a first change in 9 to 11 ms, where it took 17 to 46. */
const times = 20;

const pod = (name: string, last: number, role: string): Pod =>
  plainPod(namespace, name, { labels: { role }, ips: [`192.0.2.${last}`, `2001:db8::${last}`], node });

const world: World = {
  ...emptyWorld,
  nodes: [{ name: node, labels: {}, ips: ["198.51.100.1"], podCIDRs: ["192.0.2.0/24"], source: null }],
  namespaces: [{ name: namespace, labels: { [namespaceNameLabel]: namespace }, defined: true, source: null }],
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
  { op: "remove", kind: "policy", key: policyKey(policyRef(policy)) },
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
