/** Removes everything that the agent left in the kernel of this node. */

import { type Network, ownNetwork } from "../netns/namespace.ts";
import { removeTable } from "../nftables/enforcer.ts";
import { openRunner } from "../nftables/runner.ts";
import { needRights } from "./check/node.ts";
import { awaitLock } from "./lock.ts";

/** Milliseconds for an agent that is ending to end. */
const patience = 30_000;

export interface UninstallDeps {
  readonly network?: Network;
  /** Of another namespace than the process's own. */
  readonly netns?: number;
}

/**
 * @returns what was done, a line each; nothing to do is no error
 * @throws Error when an agent runs on this node, and when the kernel refuses
 */
export async function runUninstall(table: string, signal: AbortSignal, deps: UninstallDeps = {}): Promise<string[]> {
  const { network = ownNetwork, netns } = deps;
  needRights();
  const done: string[] = [];
  let pid = 0;
  const time = AbortSignal.timeout(patience);
  const lock = await awaitLock(network, table, {
    signal: AbortSignal.any([signal, time]),
    waits: (holder) => {
      pid = holder;
    },
    warn: (message) => void done.push(message),
  }).catch((error: unknown) => {
    if (!time.aborted) throw error;
    throw new Error(`an agent, process ${pid}, runs on this node and would put the rules back: stop it first`);
  });
  const runner = await openRunner(netns === undefined ? {} : { netns });
  try {
    done.push(
      (await removeTable(runner, table))
        ? `table inet ${table}: removed with all its rules; conntrack marks cleared`
        : `table inet ${table}: there was none`,
    );
  } finally {
    await runner.close();
    lock.release();
  }
  return done;
}
