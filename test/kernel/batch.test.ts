/** The batches that we write against nft: both leave the same table, to the expression. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Namespace } from "../../src/netns/namespace.ts";
import { batchOf } from "../../src/nftables/batch.ts";
import type { Command, Element, Key } from "../../src/nftables/commands.ts";
import { Enforcer } from "../../src/nftables/enforcer.ts";
import { accept, assign, drop, is, isNot, jump, type Rule, replace, turnOn } from "../../src/nftables/rules.ts";
import { NftablesError, openRunner, type Runner } from "../../src/nftables/runner.ts";
import { scriptOf } from "../../src/nftables/script.ts";
import { fixedDrops } from "../../src/nftables/skeleton.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import type { Change } from "../../src/policy/compile/plan.ts";
import { arbitraryChange, arbitraryWorld } from "../../src/policy/world.arbitrary.ts";
import { runIn } from "./programs.ts";
import { describeKernel, requireKernel } from "./support.ts";

const table = "bulkhead";

const arbitraryHistory = arbitraryWorld({ addressless: false }).chain((world) =>
  fc.record({
    world: fc.constant(world),
    changes: fc.array(arbitraryChange(world, { addressless: false }), { minLength: 1, maxLength: 8 }),
  }),
);

/** What nft shows of a table: rules and elements as the kernel has them, then in its own words. */
function shown(namespace: Namespace): string {
  const listing = runIn(namespace, "nft", ["--debug=netlink", "list", "table", "inet", table]);
  // Elements are in no order, and nft lets the ranges of a set begin with the end of one that it has not.
  const sorted = (elements: string, separator: RegExp): string => elements.split(separator).sort().join("\n");
  return listing
    .replace(/^\telement [0 ]+ : 1 \[end\]\n/gm, "")
    .replace(/(?:^\telement .*\n)+/gm, (elements) => sorted(elements, /\n/))
    .replace(/elements = \{([^}]*)\}/g, (_, elements: string) => sorted(elements, /,\s*/).replace(/\s+/g, " "));
}

describeKernel("a batch", () => {
  const namespaces: Namespace[] = [];
  const runners: Runner[] = [];

  beforeAll(async () => {
    requireKernel();
    for (let i = 0; i < 2; i++) {
      const namespace = Namespace.create();
      namespaces.push(namespace);
      runners.push(await openRunner({ netns: namespace.fd }));
    }
  });

  afterAll(async () => {
    for (const runner of runners) await runner.close();
    for (const namespace of namespaces) namespace.close();
  });

  test("does what the script does", async () => {
    let batches = 0;
    let underway = 0;
    /** Is asked in one go: the collector would change one of the two tables in between. */
    const compared = async (): Promise<readonly string[]> => {
      while (underway > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      return namespaces.map(shown);
    };
    await fc.assert(
      fc.asyncProperty(arbitraryHistory, async ({ world, changes }) => {
        const [ours, scripts] = runners as [Runner, Runner];
        const both: Runner = {
          ...ours,
          commit: async (commands, name) => {
            if (batchOf(commands, name, "network") !== null) batches++;
            underway++;
            try {
              await ours.commit(commands, name);
              await scripts.run(scriptOf(commands, name));
            } finally {
              underway--;
            }
          },
        };
        const live = compile(world);
        const options = { node: world.nodes[0]?.name ?? "none", runner: both, held: ["10.0.0.0/8", "fd00::/16"] };
        const enforcer = await Enforcer.start(live, { ...options, collectAfter: 1 });
        try {
          const follow = async (these: readonly Change[]): Promise<void> => {
            await enforcer.apply(live, live.apply(these));
            const [a, b] = await compared();
            expect(a).toBe(b);
          };
          for (const change of changes) await follow([change]);
          await follow(Array.from(live.policies.keys(), (key) => ({ op: "remove", kind: "policy", key })));
          const unused = (): boolean => shown(namespaces[0]!).match(/^\tchain deny_/gm)!.length > fixedDrops.length;
          for (let i = 0; i < 500 && unused(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
          expect(unused()).toBe(false);
          const [a, b] = await compared();
          expect(a).toBe(b);
        } finally {
          await enforcer.remove();
          await scripts.run(`delete table inet ${table}\n`);
        }
      }),
      { numRuns: 15, endOnFailure: true },
    );
    expect(batches).toBeGreaterThan(30);
  });

  test("knows every kind of command", async () => {
    for (const runner of runners) await runner.commit(newTable, table);
    for (const commands of [filling, rewriting, emptying]) {
      const [ours, scripts] = runners as [Runner, Runner];
      expect(batchOf(commands, table, "network")).not.toBeNull();
      await ours.commit(commands, table);
      await scripts.run(scriptOf(commands, table));
      const [a, b] = namespaces.map(shown);
      expect(a).toBe(b);
    }
    expect(shown(namespaces[0]!)).not.toContain("element ");
    for (const runner of runners) await runner.run(`delete table inet ${table}\n`);
  });

  test("that is refused changes nothing, and says which command it was, and why", async () => {
    const runner = runners[0]!;
    await runner.run(`table inet ${table} { map e_rest { type classid : verdict; }; }\n`);
    const commands: Command[] = [
      { kind: "add", what: "chain", name: "fine" },
      {
        kind: "elements",
        add: true,
        set: "e_rest",
        elements: [{ key: { kind: "number", number: 7 }, value: { chain: "missing" } }],
      },
    ];
    const error = await runner.commit(commands, table).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(NftablesError);
    expect((error as NftablesError).message).toBe(
      "nftables: the kernel refused the transaction: ENOENT\nin: add element inet bulkhead e_rest { 0:7 : goto missing }",
    );
    expect(await runner.run(`list table inet ${table}`)).not.toContain("fine");
    await runner.run(`delete table inet ${table}\n`);
    await expect(runner.commit(commands, table)).rejects.toThrow("ENOENT");
  });

  test("of more elements than one message has room for", async () => {
    const runner = runners[0]!;
    await runner.run(`table inet ${table} { set owners6 { type ipv6_addr; }; }\n`);
    const elements = Array.from({ length: 5000 }, (_, i) => ({
      key: { kind: "address", address: { family: "IPv6", value: (0xfd00n << 112n) + BigInt(i) } },
      comment: `pod ${i}`,
    })) as Extract<Command, { kind: "elements" }>["elements"];
    await runner.commit([{ kind: "elements", add: true, set: "owners6", elements }], table);
    const listing = await runner.run(`list set inet ${table} owners6`);
    expect(listing.match(/comment/g)).toHaveLength(5000);
    expect(listing).toContain('fd00::1387 comment "pod 4999"');
    await runner.run(`delete table inet ${table}\n`);
  });
});

const newTable: readonly Command[] = [
  {
    kind: "script",
    lines: [
      `table inet ${table} {`,
      "map number { type classid : classid; }",
      "map protocol { type classid . inet_proto : verdict; }",
      "map port { type classid . inet_proto . inet_service : verdict; }",
      "map address { type ipv6_addr : verdict; }",
      "map addresses { type ipv4_addr : classid; flags interval; }",
      "set said { type classid; }",
      "map ports { type classid . inet_proto . inet_service : verdict; flags interval; }",
      "chain looks { meta l4proto tcp meta priority . meta l4proto . ct reply proto-src vmap @ports; }",
      "}",
    ],
  },
];

const range = (start: bigint, end: bigint): Key => ({ kind: "addresses", family: "IPv4", start, end });

/** By set: ranges that touch, reach the end of the addresses, or are one address. */
const contents: Readonly<Record<string, readonly Element[]>> = {
  number: [{ key: { kind: "number", number: 0xfff0_0001 }, value: { number: 0x000c_0002 }, comment: "a class" }],
  protocol: [{ key: { kind: "protocol", number: 1, protocol: "SCTP" }, value: { chain: "one" } }],
  port: [{ key: { kind: "port", number: 2, protocol: "UDP", port: 65_432 }, value: { chain: "one" } }],
  address: [
    { key: { kind: "address", address: { family: "IPv6", value: (1n << 127n) + 1n } }, value: { chain: "one" } },
  ],
  addresses: [
    { key: range(0n, 255n), value: { number: 1 } },
    { key: range(256n, 256n), value: { number: 2 } },
    { key: range(0xffff_0000n, 0xffff_ffffn), value: { number: 3 } },
  ],
  said: [{ key: { kind: "number", number: 1 }, comment: "epoch 1" }],
  ports: [
    { key: { kind: "ports", number: 0x0002_0003, protocol: "TCP", start: 1, end: 65_535 }, value: { chain: "one" } },
    { key: { kind: "ports", number: 0x0003_0004, protocol: "UDP", start: 53, end: 53 }, value: { chain: "one" } },
  ],
};

/** As they are told for a set. */
const elementsOf = (set: string, add: boolean, elements: readonly Element[]): Command => ({
  kind: "elements",
  add,
  set,
  elements,
  ...(set === "ports" ? { lookedUpIn: "looks" } : {}),
});

const rules = (chain: string, all: readonly Rule[]): Command[] => all.map((rule) => ({ kind: "rule", chain, rule }));

const filling: readonly Command[] = [
  { kind: "add", what: "counter", name: "drops" },
  { kind: "add", what: "chain", name: "one" },
  { kind: "add", what: "chain", name: "two" },
  ...rules("one", [
    [{ kind: "counter", name: "drops" }, { kind: "log", prefix: "said ", group: 4789, snaplen: 128 }, drop],
  ]),
  ...rules("two", [
    [{ kind: "states", states: ["new", "established"] }, is("ct mark", 0x0003_0000, 0xffff_0000), accept],
    [isNot("meta priority", 7), jump("one")],
    [is("meta priority", 0x0010_0000), { kind: "goto", chain: "one" }],
    [isNot("meta priority", 0xffc0_0000, 0xffc0_0000), drop],
    [replace("ct mark", 0xffff_0000, 0x8000_0000)],
    [turnOn("meta priority", 0xfff0_0000)],
    [assign("meta priority", 0), accept],
  ]),
  ...Object.entries(contents).map(([set, elements]) => elementsOf(set, true, elements)),
];

const rewriting: readonly Command[] = [{ kind: "flush", chain: "two" }, ...rules("two", [[jump("one")], [drop]])];

const emptying: readonly Command[] = [
  ...Object.entries(contents).map(([set, elements]) =>
    elementsOf(
      set,
      false,
      elements.map(({ key }) => ({ key })),
    ),
  ),
  { kind: "delete", what: "chain", name: "two" },
  { kind: "delete", what: "chain", name: "one" },
  { kind: "delete", what: "counter", name: "drops" },
];
