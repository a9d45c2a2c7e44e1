import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compile } from "../policy/compile/live-plan.ts";
import { directions } from "../policy/model/verdict.ts";
import { arbitraryChange, arbitraryWorld } from "../policy/world.arbitrary.ts";
import { Collector } from "./collect.ts";
import { Desired } from "./desired.ts";
import { Drops } from "./drops.ts";
import { sequence } from "./sequence.ts";
import { applyOp, emptyState, isRuled, type KernelState, nobody } from "./state.ts";

/** Names that something in the state has and nothing in it stands for. */
function dangling(state: KernelState): string[] {
  return directions.flatMap((direction) => {
    const { subjects, peers, tables, dispatch, exact } = state[direction];
    return [
      ...[...dispatch.values()].filter((subject) => isRuled(subject) && !subjects.has(subject)),
      ...[...exact.values()].filter((peer) => peer !== nobody && !peers.has(peer)),
      ...[...subjects.values()].flatMap((pairs) =>
        [...pairs].flatMap(([peer, table]) => [
          ...(peer === nobody || peers.has(peer) ? [] : [peer]),
          ...(tables.has(table) ? [] : [table]),
        ]),
      ),
      ...[...tables.values()].flatMap(({ pieces }) =>
        pieces.flatMap(({ answer }) => (answer === "allow" || state.denies.has(answer) ? [] : [answer])),
      ),
    ];
  });
}

const arbitraryHistory = arbitraryWorld({ addressless: false }).chain((world) =>
  fc.record({
    world: fc.constant(world),
    /** Changes, and whether there is a look before each. */
    steps: fc.array(fc.tuple(arbitraryChange(world, { addressless: false }), fc.boolean()), {
      minLength: 4,
      maxLength: 12,
    }),
  }),
);

describe("collector", () => {
  test("leaves nothing without what it refers to, and removes nothing that was used since the last look", () => {
    fc.assert(
      fc.property(arbitraryHistory, ({ world, steps }) => {
        const live = compile(world);
        const desired = new Desired(world.nodes[0]?.name ?? "none", new Drops());
        const state = emptyState();
        const collector = new Collector();
        let used = new Set<string>();
        const reach = (touched: ReturnType<Desired["load"]>, nonce: string): void => {
          const transactions = sequence(state, desired.goal, touched, nonce);
          collector.reached(desired.goal);
          for (const { ops } of transactions) for (const op of ops) applyOp(state, op);
          for (const direction of directions) {
            for (const subject of desired.goal[direction].subjects.keys()) used.add(`${direction} ${subject}`);
          }
        };
        const look = (): boolean => {
          const { ops, isMore } = collector.look(state, desired.goal);
          for (const op of ops) {
            if (op.kind === "subject") expect(used).not.toContain(`${op.direction} ${op.subject}`);
            applyOp(state, op);
          }
          used = new Set();
          expect(dangling(state)).toEqual([]);
          return isMore;
        };
        reach(desired.load(live), "load");
        for (const [i, [change, looks]] of steps.entries()) {
          if (looks) look();
          reach(desired.update(live, live.apply([change])), String(i));
        }
        look();
        expect(look()).toBe(false);
        for (const direction of directions) {
          expect(state[direction].subjects).toEqual(desired.goal[direction].subjects);
          expect(state[direction].tables.size).toBe(desired.goal[direction].tables.size);
        }
      }),
      { numRuns: 300 },
    );
  });
});
