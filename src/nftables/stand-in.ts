/**
 * The table that judges while another is replaced. Not in one transaction, though the kernel would take it: a packet that runs
 * the new table's hook before the kernel turns to the next rules, and the old one's after, finds no rules in either. So every
 * transaction adds one table or takes one away, and one that is whole is always there; where both are, a packet must pass both.
 */
import type { Command } from "./commands.ts";
import { type KernelNumbers, kernelNumbers } from "./numbers.ts";
import { render } from "./render.ts";
import { NftablesError, type Runner } from "./runner.ts";
import { sequence } from "./sequence.ts";
import { skeleton, type TableOptions } from "./skeleton.ts";
import { emptyState, type KernelState } from "./state.ts";
import { touchAll } from "./touched.ts";

/** Of the stand-in for a table. */
export const standInOf = (table: string): string => `${table}_next`;

/** A table without hooks and elements. */
export function emptyTable(options: TableOptions, epoch: number): readonly Command[] {
  return [{ kind: "script", lines: skeleton(options, epoch) }];
}

/**
 * Puts a stand-in for `options.table` in force: it judges every packet and marks no flow.
 * @param numbers unused ones
 * @throws NftablesError
 */
export async function raiseStandIn(
  runner: Runner,
  goal: KernelState,
  options: TableOptions,
  numbers: KernelNumbers = kernelNumbers(),
): Promise<void> {
  const own = { ...options, table: standInOf(options.table) };
  const before = emptyState(goal.byInterface);
  await runner.commit(emptyTable(own, before.epoch), own.table);
  for (const { ops } of sequence(before, goal, touchAll(before, goal), "stand-in")) {
    await runner.commit(render(ops, numbers, own), own.table);
  }
}

/** Chains of a table that have hooks; none where there is no such table. @throws NftablesError */
async function hooksOf(runner: Runner, table: string): Promise<readonly string[]> {
  const { nftables } = JSON.parse(await runner.run("list chains inet", "json")) as {
    nftables: readonly { readonly chain?: { readonly table: string; readonly name: string; readonly hook?: string } }[];
  };
  return nftables.flatMap(({ chain }) => (chain?.table === table && chain.hook !== undefined ? [chain.name] : []));
}

/** Is this table in force? Its hooks come last: then it is whole. @throws NftablesError */
export const isInForce = async (runner: Runner, table: string): Promise<boolean> =>
  (await hooksOf(runner, table)).length > 0;

/**
 * The hooks go first: a packet that is being judged would find maps without elements, and be dropped.
 * @throws NftablesError
 */
export async function removeIfThere(runner: Runner, table: string): Promise<void> {
  const hooks = (await hooksOf(runner, table)).map((name): Command => ({ kind: "delete", what: "chain", name }));
  if (hooks.length > 0) await runner.commit(hooks, table);
  await unlessMissing(() => runner.run(`delete table inet ${table}\n`));
}

/** What `work` gives; null where nft says that there is no such thing. */
export async function unlessMissing(work: () => Promise<string>): Promise<string | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof NftablesError && /No such file or directory/.test(error.message)) return null;
    throw error;
  }
}
