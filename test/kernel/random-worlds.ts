/** Random worlds as a sandbox takes them. */
import type { World } from "../../src/policy/model/world.ts";
import { allot } from "../../src/sandbox/allot.ts";
import { SandboxError } from "../../src/sandbox/error.ts";

/** The nodes that changes may name are there from the start: a sandbox does not grow nodes. */
export function withNodes(world: World): World {
  const missing = ["n1", "n2", "n3", "gone"].filter((name) => world.nodes.every((node) => node.name !== name));
  const nodes = missing.map((name, i) => ({
    name,
    labels: {},
    ips: [`172.31.0.${i + 1}`],
    podCIDRs: [],
    source: null,
  }));
  return { ...world, nodes: [...world.nodes, ...nodes] };
}

/** null: two pods of the world have one address. */
export function complete(world: World): World | null {
  try {
    return allot(world).world;
  } catch (error) {
    if (error instanceof SandboxError) return null;
    throw error;
  }
}
