/** Who brings plans into the kernel: the product, and writers that are wrong on purpose. */
import { Desired } from "../../src/nftables/desired.ts";
import { Drops } from "../../src/nftables/drops.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { kernelNumbers } from "../../src/nftables/numbers.ts";
import { releaseNumbers, render } from "../../src/nftables/render.ts";
import type { Runner } from "../../src/nftables/runner.ts";
import { garbage, sequence } from "../../src/nftables/sequence.ts";
import { defaultTableOptions, skeleton } from "../../src/nftables/skeleton.ts";
import { applyOp, emptyState, type Op } from "../../src/nftables/state.ts";
import type { LivePlan, PlanDelta } from "../../src/policy/compile/plan.ts";

export interface Writer {
  apply(plan: LivePlan, delta: PlanDelta): Promise<unknown>;
  stop(): Promise<void>;
}

/** Puts the plan in force on a node. */
export type WriterFactory = (plan: LivePlan, node: string, runner: Runner) => Promise<Writer>;

export const bulkhead: WriterFactory = (plan, node, runner) => Enforcer.start(plan, { node, runner });

/** Several changes of one element as the one that they come to. */
function merged(ops: readonly Op[]): Op[] {
  const out = new Map<string, Op>();
  for (const op of ops) {
    if (op.kind === "hooks" || op.kind === "epoch") continue;
    if (op.kind !== "exact" && op.kind !== "dispatch") {
      out.set(`${out.size}`, op);
      continue;
    }
    const key = `${op.kind} ${op.direction} ${op.address}`;
    const before = out.get(key);
    out.set(key, before?.kind === op.kind ? { ...op, from: before.from } : op);
  }
  return [...out.values()].filter((op) => !("address" in op) || op.from !== op.to);
}

/** The product's table, written as if a transaction were all it takes: everything changes in one. */
export const allAtOnce: WriterFactory = async (plan, node, runner) => {
  const desired = new Desired(node, new Drops());
  const state = emptyState();
  const numbers = kernelNumbers();
  let epoch = state.epoch;
  const commit = async (first: string, touched: ReturnType<Desired["load"]>, nonce: string): Promise<void> => {
    const ops = sequence({ ...state, hooked: false }, desired.goal, touched, nonce).flatMap((step) => step.ops);
    for (const op of ops) applyOp(state, op);
    const all: Op[] = [...merged(ops), { kind: "epoch", to: ++epoch }];
    await runner.run(first + render(all, numbers, defaultTableOptions));
    const old = garbage(state, desired.goal);
    for (const op of old) applyOp(state, op);
    if (old.length > 0) await runner.run(render(old, numbers, defaultTableOptions));
    releaseNumbers(old, numbers);
  };
  await commit([...skeleton(defaultTableOptions, epoch), ""].join("\n"), desired.load(plan), "start");
  await runner.run(render([{ kind: "hooks" }], numbers, defaultTableOptions));
  return {
    apply: (next, delta) => commit("", desired.update(next, delta), String(epoch)),
    stop: async () => {},
  };
};

const sets = 32;

/**
 * The product, and behind it a gate as a writer of one set for each class would build it: a packet passes when some set
 * holds its source. Every source is in the first or in the last, always, and moves between them in one transaction.
 */
export const setToSet: WriterFactory = async (plan, node, runner) => {
  const writer = await bulkhead(plan, node, runner);
  const families = { ip: "ipv4_addr", ip6: "ipv6_addr" } as const;
  const own = [...plan.pods.values()].filter((pod) => pod.node === node).flatMap(({ ips }) => ips);
  const elements = (family: string): string => own.filter((ip) => ip.includes(":") === (family === "ip6")).join(", ");
  const lines = Object.entries(families).flatMap(([family, type]) => {
    const all = Array.from({ length: sets }, (_, i) => `set ${family}_${i} {\ntype ${type}\n}`);
    return [...all, `set ${family}_own {\ntype ${type}\nelements = { ${elements(family)} }\n}`];
  });
  const rules = Object.keys(families).flatMap((family) => [
    `${family} saddr != @${family}_own accept`,
    ...Array.from({ length: sets }, (_, i) => `${family} saddr @${family}_${i} accept`),
  ]);
  // One family's rules let everything of the other pass.
  const chains = Object.keys(families).map((family, i) => {
    const own = rules.slice((i * rules.length) / 2, ((i + 1) * rules.length) / 2);
    return `chain ${family}_gate {\n${own.join("\n")}\ndrop\n}`;
  });
  const base = `chain gate {\ntype filter hook forward priority 5; policy accept;\nmeta nfproto vmap { ipv4 : goto ip_gate, ipv6 : goto ip6_gate }\n}`;
  const change = (verb: string, i: number): string =>
    Object.keys(families)
      .map((family) => `${verb} element inet gate ${family}_${i} { ${elements(family)} }\n`)
      .join("");
  await runner.run(`table inet gate {\n${[...lines, ...chains, base].join("\n")}\n}\n${change("add", 0)}`);
  let at = 0;
  return {
    apply: async (next, delta) => {
      await writer.apply(next, delta);
      for (let i = 0; i < 10; i++) {
        const to = at === 0 ? sets - 1 : 0;
        await runner.run(change("delete", at) + change("add", to));
        at = to;
      }
    },
    stop: () => writer.stop(),
  };
};
