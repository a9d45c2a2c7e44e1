/** A world's namespaces and a runner in the node that is enforced, for one `describe`. */
import { afterAll, beforeAll } from "vitest";
import { openRunner, type Runner } from "../../src/nftables/runner.ts";
import type { World } from "../../src/policy/model/world.ts";
import { Topology } from "../../src/sandbox/topology.ts";
import { requireKernel } from "./support.ts";

export interface KernelStage {
  /** Both from before the first test until after the last. */
  readonly topology: Topology;
  /** In the namespace of node n1. */
  readonly runner: Runner;
}

/** Call it in a `describe`: it is built before the first test, and gone after the last. Nothing is enforced yet. */
export function kernelStage(world: World): KernelStage {
  let topology: Topology;
  let runner: Runner;

  beforeAll(async () => {
    requireKernel();
    topology = Topology.build(world);
    runner = await openRunner({ netns: topology.node("n1").fd });
  });

  afterAll(async () => {
    await runner.close();
    topology.close();
  });

  return {
    get topology() {
      return topology;
    },
    get runner() {
      return runner;
    },
  };
}
