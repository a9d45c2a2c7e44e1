/** Who brings plans into the kernel: the product, and a writer that is wrong on purpose. */
import { Enforcer } from "../../src/nftables/enforcer.ts";
import type { Runner } from "../../src/nftables/runner.ts";
import type { LivePlan, PlanDelta } from "../../src/policy/compile/plan.ts";

export interface Writer {
  apply(plan: LivePlan, delta: PlanDelta): Promise<unknown>;
  stop(): Promise<void>;
}

/** Puts the plan in force on a node. */
export type WriterFactory = (plan: LivePlan, node: string, runner: Runner) => Promise<Writer>;

export const bulkhead: WriterFactory = (plan, node, runner) => Enforcer.start(plan, { node, runner });

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
