/** What a node's table would have to be changed in to be what the cluster's policies say. */
import { followCluster, openClient } from "../../src/kube/index.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import { scriptOf } from "../../src/nftables/script.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { Plan } from "../../src/policy/compile/plan.ts";
import type { World } from "../../src/policy/model/world.ts";
import type { LightCluster } from "../light/cluster.ts";
import { nodeName, podCIDRs } from "../light/crowd.ts";

class Changed extends Error {}

/** @returns what another writer, which adopts the table, would send first, and its warnings; empty where the table is right */
export async function tableDifferences(
  plan: Plan,
  { node, held, runner }: { readonly node: string; readonly held: readonly string[]; readonly runner: Runner },
): Promise<readonly string[]> {
  const sent: string[] = [];
  try {
    const enforcer = await Enforcer.start(plan, {
      node,
      held,
      warn: (message) => sent.push(message),
      collectAfter: 3_600_000,
      runner: {
        ...runner,
        commit: async (commands, table) => {
          sent.push(scriptOf(commands, table));
          throw new Changed("the table is not right");
        },
        clearMarks: async () => 0,
        forgetFlows: async () => 0,
      },
    });
    await enforcer.stop();
  } catch (error) {
    if (!(error instanceof Changed)) throw error;
  }
  return sent;
}

/** Of a node of a light cluster, by what its API server says now. */
export async function differences(cluster: LightCluster, node: number): Promise<readonly string[]> {
  const plan = compile(await readWorld(cluster));
  const runner = await openRunner({ netns: cluster.node(node).fd });
  try {
    return await tableDifferences(plan, { node: nodeName(node), held: podCIDRs(node), runner });
  } finally {
    await runner.close();
  }
}

async function readWorld(cluster: LightCluster): Promise<World> {
  const client = openClient(cluster.controlPlane.connection);
  const feed = followCluster(client);
  try {
    return (await feed.first).world;
  } finally {
    feed.close();
    client.close();
  }
}
