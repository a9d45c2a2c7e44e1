/**
 * Could the suites fail? Faults are put into the compiler, the reference and the writer of nftables one by one, and each must
 * turn something red: the tables of the conformance suites, the comparison of engine and reference on saved worlds, or, for
 * faults that only the kernel shows, the scenarios played there. Faults of other kinds: `test/engine/faults.test.ts`.
 */
import { afterAll, describe, expect, test } from "vitest";
import { families } from "../../src/net/address.ts";
import { compile } from "../../src/policy/compile/live-plan.ts";
import { evaluate } from "../../src/policy/evaluate/evaluate.ts";
import { firstDisagreement } from "../engine/compare.ts";
import { type Evaluator, engine, reference } from "../engine/evaluators.ts";
import { regressions } from "../engine/regressions.ts";
import { describeKernel, differenceOf } from "../kernel/support.ts";
import { cnpScenarios, cnpWorld, rangesScenario } from "./cnp.ts";
import { faults } from "./faults.ts";
import { type Fault, loader } from "./mutant.ts";
import { netpolScenarios, netpolWorld } from "./netpol.ts";
import { flowOf, type Scenario, type StepState, statesOf } from "./scenario.ts";
import { Stage } from "./stage.ts";

interface Live {
  readonly compile: typeof compile;
  readonly evaluate: typeof evaluate;
}

async function faultyEngine(fault: Fault): Promise<Live> {
  const load = loader(fault);
  const plans = await load<typeof import("../../src/policy/compile/live-plan.ts")>("policy/compile/live-plan.ts");
  const evaluation = await load<typeof import("../../src/policy/evaluate/evaluate.ts")>("policy/evaluate/evaluate.ts");
  return { compile: plans.compile, evaluate: evaluation.evaluate };
}

const evaluatorOf = ({ compile: compileFaulty, evaluate: ask }: Live): Evaluator => ({
  name: "faulty engine",
  open: (world) => {
    const plan = compileFaulty(world);
    return (flow) => ask(plan, flow);
  },
});

async function faultyReference(fault: Fault): Promise<Evaluator> {
  const module =
    await loader(fault)<typeof import("../../src/policy/evaluate/reference.ts")>("policy/evaluate/reference.ts");
  return { name: "faulty reference", open: (world) => (flow) => module.referenceVerdict(world, flow) };
}

const suites = [
  { name: "netpol", base: netpolWorld, scenarios: netpolScenarios },
  { name: "cnp", base: cnpWorld, scenarios: cnpScenarios },
] as const;

type Ask = ReturnType<Evaluator["open"]>;
type Notice = readonly [what: string, notices: () => boolean];

const isWrong = ({ world, cells }: StepState, ask: Ask): boolean =>
  families.some((family) =>
    cells.some((cell) => ask(flowOf(world, cell, family)).allowed !== (cell.expect === "allow")),
  );

/** The tables of the suites, every step by itself. */
const tables = (evaluator: Evaluator): Notice[] =>
  suites.map(({ name, base, scenarios }) => [
    name,
    () =>
      scenarios.some((scenario) =>
        statesOf(base, scenario).some((state) => isWrong(state, evaluator.open(state.world))),
      ),
  ]);

/** The same with one plan that follows the steps. */
const followedTables = ({ compile: compileFaulty, evaluate: ask }: Live): Notice[] =>
  suites.map(({ name, base, scenarios }) => [
    `${name}, followed`,
    () =>
      scenarios.some((scenario) => {
        let world = base;
        const plan = compileFaulty(base);
        return statesOf(base, scenario).some((state) => {
          plan.apply(differenceOf(world, state.world).changes);
          world = state.world;
          return isWrong(state, (flow) => ask(plan, flow));
        });
      }),
  ]);

const everyNth = 12;

const savedWorlds = (mine: Evaluator, law: Evaluator): Notice => [
  "saved worlds",
  () => regressions.some(({ world }) => firstDisagreement(world, mine.open(world), { everyNth, law }) !== null),
];

const firstOf = (notices: readonly Notice[]): string | null => notices.find(([, notice]) => notice())?.[0] ?? null;

const ofLayer = (layer: Fault["layer"]): readonly Fault[] => faults.filter((fault) => fault.layer === layer);

/** With the title first, which is not cut where it is the test's name. */
const named = (layer: Fault["layer"]): (readonly [title: string, fault: Fault])[] =>
  ofLayer(layer).map((fault) => [fault.title, fault]);

test("there are enough, of every layer", () => {
  expect(faults.length).toBeGreaterThanOrEqual(40);
  for (const layer of ["compiler", "reference", "nftables"] as const)
    expect(ofLayer(layer).length, layer).toBeGreaterThanOrEqual(12);
});

test("without a fault nothing is noticed", () => {
  expect(
    firstOf([
      ...tables(engine),
      ...tables(reference),
      ...followedTables({ compile, evaluate }),
      savedWorlds(engine, reference),
    ]),
  ).toBe(null);
}, 300_000); // all of the tables, where other work has most of the machine

describe("compiler", () => {
  test.for(named("compiler"))("%s", async ([, fault], { task }) => {
    const live = await faultyEngine(fault);
    const mine = evaluatorOf(live);
    const noticed = firstOf([...tables(mine), savedWorlds(mine, reference), ...followedTables(live)]);
    task.meta.noticedBy = noticed;
    expect(noticed).not.toBe(null);
  });
});

describe("reference", () => {
  test.for(named("reference"))("%s", async ([, fault], { task }) => {
    const law = await faultyReference(fault);
    const noticed = firstOf([...tables(law), savedWorlds(engine, law)]);
    task.meta.noticedBy = noticed;
    expect(noticed).not.toBe(null);
  });
});

describeKernel("nftables", () => {
  /** Short, and between them about everything that the kernel holds. */
  const played: readonly Scenario[] = [
    ...cnpScenarios.filter(({ id }) => ["Q3", "Q32", "Q44", "Q49", "Q56"].includes(id)),
    rangesScenario,
  ];
  let stage: Stage | null = null;
  afterAll(() => stage?.down());

  async function firstNoticed(up?: Parameters<typeof Stage.up>[1]): Promise<string | null> {
    stage = await Stage.up(cnpWorld, up);
    try {
      for (const scenario of played) {
        for (const family of families) {
          try {
            await stage.play(scenario, family);
          } catch {
            return `${scenario.id} ${family}`;
          }
        }
      }
      return null;
    } finally {
      await stage.down();
      stage = null;
    }
  }

  test("without a fault nothing is noticed", async () => {
    expect(await firstNoticed()).toBe(null);
  });

  test.for(named("nftables"))("%s", async ([, fault], { task }) => {
    const { Sandbox } = await loader(fault)<typeof import("../../src/sandbox/sandbox.ts")>("sandbox/sandbox.ts");
    const noticed = await firstNoticed(Sandbox.up);
    task.meta.noticedBy = noticed;
    expect(noticed).not.toBe(null);
  });
});

declare module "vitest" {
  interface TaskMeta {
    /** Of a seeded fault: the suite, or the scenario in the kernel, that turned red first; null: none did. */
    noticedBy?: string | null;
  }
}
