import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AddressSet, type Family, parseAddress, parseCidr } from "../net/address.ts";
import { compile } from "../policy/compile/live-plan.ts";
import type { Change, Plan } from "../policy/compile/plan.ts";
import { evaluate } from "../policy/evaluate/evaluate.ts";
import { directions } from "../policy/model/verdict.ts";
import type { World } from "../policy/model/world.ts";
import { applyToWorld, arbitraryChange, arbitraryWorld, endsOf, protocolPorts } from "../policy/world.arbitrary.ts";
import { type Fitted, fitting, type Room } from "./closed.ts";
import { Desired } from "./desired.ts";
import { Drops } from "./drops.ts";
import { fullRoom } from "./numbers.ts";
import { garbage, sequence, type Transaction } from "./sequence.ts";
import { cloneState, judge, judgeAcross, maxLookups, type Packet, reachable, read } from "./simulate.arbitrary.ts";
import { applyOp, closed, emptyState, type KernelState, type Op } from "./state.ts";
import { type Changed, touchAll } from "./touched.ts";

interface History {
  readonly world: World;
  /** Batches of changes; each batch is one delta. */
  readonly batches: readonly (readonly Change[])[];
  /** The pod space that is held at first, and from each batch on. */
  readonly held: readonly AddressSet[];
  readonly byInterface: boolean;
  /** Of subject classes. */
  readonly room: number;
  readonly points: readonly (typeof protocolPorts)[number][];
}

const spaces: readonly (readonly string[])[] = [
  [],
  ["10.244.1.0/24"],
  ["10.244.0.0/16", "fd00:244:1::/64"],
  ["10.244.1.0/29", "fd00:244::/32"],
];
const arbitrarySpace = fc
  .constantFrom(...spaces)
  .map((cidrs) => AddressSet.ofCidrs(cidrs.map((text) => parseCidr(text)!.cidr)));

const arbitraryHistory: fc.Arbitrary<History> = arbitraryWorld({ addressless: false }).chain((world) =>
  fc.record({
    world: fc.constant(world),
    batches: fc.array(fc.array(arbitraryChange(world, { addressless: false }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 4,
    }),
    held: fc.oneof(
      arbitrarySpace.map((space) => Array.from({ length: 5 }, () => space)),
      fc.array(arbitrarySpace, { minLength: 5, maxLength: 5 }),
    ),
    byInterface: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
    room: fc.oneof({ weight: 3, arbitrary: fc.constant(fullRoom.subjects) }, fc.nat({ max: 2 })),
    points: fc.uniqueArray(fc.constantFrom(...protocolPorts), { minLength: 2, maxLength: 2 }),
  }),
);

const familyOf = (address: string): Family => parseAddress(address)!.family;

const addressesOf = (world: World): string[] =>
  endsOf(world).flatMap((end) =>
    end.kind === "address" ? [end.address] : end.kind === "pod" ? end.pod.ips : end.node.ips,
  );

/** Packets between addresses of any of several worlds, over some ports. */
function packetsOf(worlds: readonly World[], node: string, points: History["points"]): Packet[] {
  const behind = new Set(worlds.flatMap((w) => w.pods.filter((pod) => pod.node === node).flatMap((pod) => pod.ips)));
  const addresses = [...new Set(worlds.flatMap(addressesOf))];
  const own = new Set(worlds.flatMap((world) => world.nodes.filter((n) => n.name === node).flatMap((n) => n.ips)));
  return addresses
    .filter((source) => !own.has(source)) // what the own node opens passes no hook of ours
    .flatMap((source) =>
      addresses
        .filter((destination) => familyOf(destination) === familyOf(source))
        .flatMap((destination) =>
          points.map(
            (point): Packet => ({
              hook: own.has(destination) ? "input" : "forward",
              family: familyOf(source),
              source,
              destination,
              behind,
              ...point,
            }),
          ),
        ),
    );
}

const isClosed = (goal: KernelState, { source, destination, hook }: Packet): boolean =>
  goal.egress.dispatch.get(source) === closed ||
  (hook === "forward" && goal.ingress.dispatch.get(destination) === closed);

/** What the plan says where this node enforces: egress of its own pods, ingress to its own pods. */
function expected(plan: Plan, node: string, goal: KernelState, packet: Packet): boolean {
  const { held, byInterface } = goal;
  const from = { kind: "address", address: packet.source } as const;
  const to = { kind: "address", address: packet.destination } as const;
  const local = ({ address }: typeof from): boolean => {
    const end = plan.endAt(address);
    return end?.kind === "pod" && end.pod.node === node;
  };
  const stranger = (end: typeof from): boolean =>
    !local(end) && (held.has(read(end.address)) || (byInterface && packet.behind?.has(end.address) === true));
  if (stranger(from) || (packet.hook === "forward" && stranger(to))) return false;
  if (isClosed(goal, packet)) return false;
  if (!local(from) && !local(to)) return true;
  const verdict = evaluate(plan, { ...packet, from, to, viaService: true });
  if (local(from) && verdict.egress.verdict === "deny") return false;
  return !local(to) || packet.hook === "input" || verdict.ingress.verdict === "allow";
}

const judged = ({ egress, ingress, held, byInterface }: KernelState, packet: Packet): boolean =>
  egress.dispatch.has(packet.source) ||
  ingress.dispatch.has(packet.destination) ||
  [packet.source, packet.destination].some(
    (end) => held.has(read(end)) || (byInterface && packet.behind?.has(end) === true),
  );

type Sequence = (before: KernelState, after: KernelState, touched: Changed, nonce: string) => Transaction[];

/** Follows a history; returns the first packet that gets neither the verdict before nor the one after. */
function violation(history: History, make: Sequence): string | null {
  const { world, batches, held, byInterface, points } = history;
  const room: Room = { ...fullRoom, subjects: history.room };
  const node = world.nodes[0]?.name ?? "none";
  const live = compile(world);
  const desired = new Desired(node, new Drops(), byInterface);
  const state = emptyState(byInterface);
  let now = world;
  let fitted: Fitted = fitting(desired.goal, room);
  const run = (
    touched: Changed,
    packets: readonly Packet[],
    before: readonly boolean[],
    after: readonly boolean[],
    nonce: string,
  ): string | null => {
    let previous = cloneState(state);
    const { goal } = fitted;
    const transactions = make(state, goal, goal === desired.goal ? touched : touchAll(state, goal), nonce);
    const steps = [...transactions.map((t) => t.ops), garbageOnly];
    for (const [index, step] of steps.entries()) {
      const ops = step === garbageOnly ? garbage(state, goal) : step;
      for (const op of ops) applyOp(state, op);
      for (const [i, packet] of packets.entries()) {
        if (![previous, state].some((s) => judged(s, packet))) continue;
        for (let turn = 0; turn <= maxLookups; turn++) {
          const allowed = judgeAcross(previous, state, turn, packet) === "allow";
          if (allowed === before[i] || allowed === after[i]) continue;
          const seen = { packet, turn, index, before: before[i], after: after[i], transactions, nonce };
          return JSON.stringify(seen, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
        }
      }
      previous = cloneState(state);
    }
    for (const [i, packet] of packets.entries()) {
      if ((judge(state, packet) === "allow") !== after[i])
        return `final: ${JSON.stringify({ packet, after: after[i] })}`;
    }
    return null;
  };
  const verdicts = (packets: readonly Packet[]): boolean[] =>
    packets.map((packet) => expected(live, node, fitted.goal, packet));
  {
    const packets = packetsOf([world], node, points);
    desired.hold(held[0]!);
    const touched = desired.load(live);
    fitted = fitting(desired.goal, room);
    const found = run(
      touched,
      packets,
      packets.map(() => true),
      verdicts(packets),
      "load",
    );
    if (found !== null) return found;
  }
  for (const [index, batch] of batches.entries()) {
    const next = batch.reduce(applyToWorld, now);
    const packets = packetsOf([now, next], node, points);
    const before = verdicts(packets);
    const delta = live.apply(batch);
    desired.hold(held[index + 1]!);
    const known = fitted.goal === desired.goal;
    const touched = desired.update(live, delta);
    fitted = fitting(desired.goal, room);
    const all = known ? touched : touchAll(state, fitted.goal);
    const found = run(all, packets, before, verdicts(packets), String(index));
    if (found !== null) return found;
    now = next;
    const fresh = new Desired(node, new Drops(), byInterface);
    fresh.hold(held[index + 1]!);
    fresh.load(compile(now));
    if (fitted.goal === desired.goal) expect(reachable(state)).toEqual(reachable(fresh.goal));
  }
  return null;
}

const garbageOnly: readonly Op[] = [];

/** Milliseconds for hundreds of histories where other work has most of the machine. */
const patience = 300_000;

describe("sequence", () => {
  test(
    "gives every packet in every state, and between two, the verdict before or after",
    () => {
      fc.assert(
        fc.property(arbitraryHistory, (history) => {
          expect(violation(history, sequence)).toBeNull();
        }),
        { numRuns: 100 },
      );
    },
    patience,
  );

  test(
    "a sequence that swaps everything at once is caught",
    () => {
      const naive: Sequence = (before, after, touched, nonce) => {
        const ops = sequence(before, after, touched, nonce).flatMap((t) => t.ops);
        return [{ purpose: "open", ops }];
      };
      const caught = fc.check(
        fc.property(arbitraryHistory, (history) => violation(history, naive) === null),
        { numRuns: 300, endOnFailure: true },
      );
      expect(caught.failed).toBe(true);
    },
    patience,
  );

  test(
    "an epoch begins after the last closing and before anything opens",
    () => {
      fc.assert(
        fc.property(arbitraryHistory, ({ world, batches }) => {
          const live = compile(world);
          const desired = new Desired(world.nodes[0]?.name ?? "none", new Drops());
          const state = emptyState();
          for (const step of sequence(state, desired.goal, desired.load(live), "load")) {
            for (const op of step.ops) applyOp(state, op);
          }
          for (const [index, batch] of batches.entries()) {
            const steps = sequence(state, desired.goal, desired.update(live, live.apply(batch)), String(index));
            const order = ["prepare", "close", "epoch", "open", "forget"];
            const ranks = steps.map((step) => order.indexOf(step.purpose));
            expect(ranks).toEqual([...ranks].sort());
            const ops = steps.flatMap((step) => step.ops);
            const epoch = ops.findIndex(({ kind }) => kind === "epoch");
            const closing = steps.filter((step) => step.purpose === "close").flatMap((step) => step.ops);
            if (epoch >= 0) expect(closing.every((op) => ops.indexOf(op) <= epoch)).toBe(true);
            expect(
              steps.every((step) => step.ops.filter(({ kind }) => kind === "owe" || kind === "epoch").length < 2),
            ).toBe(true);
            for (const op of steps.flatMap((step) => step.ops)) applyOp(state, op);
          }
        }),
        { numRuns: 50 },
      );
    },
    patience,
  );

  test(
    "finds its way from any state to any other",
    () => {
      fc.assert(
        fc.property(arbitraryWorld({ addressless: false }), arbitraryWorld({ addressless: false }), (one, other) => {
          const node = one.nodes[0]?.name ?? "none";
          const goals = [one, other].map((world) => {
            const desired = new Desired(node, new Drops());
            const touched = desired.load(compile(world));
            return { goal: desired.goal, touched };
          });
          const state = emptyState();
          for (const { goal, touched } of goals) {
            const all = state.hooked ? touchAll(state, goal) : touched;
            for (const step of sequence(state, goal, all, "x")) for (const op of step.ops) applyOp(state, op);
            for (const op of garbage(state, goal)) applyOp(state, op);
            expect(reachable(state)).toEqual(reachable(goal));
            for (const direction of directions) expect(state[direction].subjects).toEqual(goal[direction].subjects);
          }
        }),
        { numRuns: 50 },
      );
    },
    patience,
  );
});
