/** Plays scenarios in the real kernel, one after another in one sandbox: every step is a difference to the step before. */
import { expect } from "vitest";
import type { Family } from "../../src/net/address.ts";
import { addressBytes, socketAddress } from "../../src/netns/bytes.ts";
import type { World } from "../../src/policy/model/world.ts";
import { allot } from "../../src/sandbox/allot.ts";
import type { Drop } from "../../src/sandbox/prober.ts";
import type { Question } from "../../src/sandbox/questions.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { type Frontend, frontends } from "../../src/sandbox/services.ts";
import { type OpenFlow, TcpFlow, UdpFlow } from "../kernel/flows.ts";
import { Bench, expectAgreement, questionOf, throughService } from "../kernel/support.ts";
import { type Cell, cellText, flowOf, type Scenario, type StepState, statesOf } from "./scenario.ts";

/** Client ports of open connections: below those of probes, so that drops tell them apart. */
const clientPorts = { first: 2_000, last: 19_999 };

/** How long to wait for a packet that must come, and for one that must not; ms. Between two namespaces takes less than one. */
const patient = 2_000;
const impatient = 150;

/** What became of a scenario's questions. */
export interface Played {
  readonly cells: number;
  /** Connections that were open over a change, each time they were tried. */
  readonly connections: number;
}

export class Stage {
  readonly #bench: Bench;
  readonly #base: World;
  /** null: pods are asked at their own addresses. */
  readonly #services: readonly Frontend[] | null;
  #nextPort = clientPorts.first;

  /** A sandbox of a world without policies. Pods are dialled through their Services if it has any. */
  static async up(given: World, build?: (world: World) => Promise<Sandbox>): Promise<Stage> {
    const base = allot(given).world;
    return new Stage(await Bench.up(base, build), base);
  }

  private constructor(bench: Bench, base: World) {
    this.#bench = bench;
    this.#base = base;
    this.#services = base.services.length === 0 ? null : frontends(base);
  }

  down(): Promise<void> {
    return this.#bench.down();
  }

  /** Asserts every table of a scenario over one family, and what becomes of connections that are open while it changes. */
  async play(scenario: Scenario, family: Family): Promise<Played> {
    const states = statesOf(this.#base, scenario);
    const connections = watched(states).map((cell) => new Connection(cell));
    const played = { cells: 0, connections: 0 };
    try {
      for (const [i, { world, cells }] of states.entries()) {
        await this.#bench.follow(world);
        const title = `${scenario.id}, step ${i + 1}, ${family}`;
        const now = new Map(cells.map((cell) => [keyOf(cell), cell]));
        const open = connections.filter((one) => one.isOpen && now.has(one.key));
        played.connections += open.length;
        await this.#expectOpen(title, open, now);
        await this.#expectTable(title, world, cells, family);
        played.cells += cells.length;
        for (const connection of connections) {
          const cell = now.get(connection.key);
          if (connection.isOpen || cell?.expect !== "allow") continue;
          expect(await this.#open(connection, world, family), `${title}: opening ${cellText(cell)}`).toBe(true);
        }
      }
    } finally {
      for (const connection of connections) connection.close();
    }
    return played;
  }

  async #expectTable(title: string, world: World, cells: readonly Cell[], family: Family): Promise<void> {
    const judgements = await this.#bench.ask(cells.map((cell) => this.#question(world, cell, family)));
    const wrong = cells.filter((cell, i) => judgements[i]!.kernel !== cell.expect);
    expect(wrong.map(cellText), `${title}: what the kernel does otherwise`).toEqual([]);
    expectAgreement(this.#bench, judgements, isConnection);
  }

  /** An open connection goes on where a new one would be allowed, and is cut in both directions where not. */
  async #expectOpen(title: string, open: readonly Connection[], now: ReadonlyMap<string, Cell>): Promise<void> {
    const wrong: string[] = [];
    const check = async (connection: Connection): Promise<void> => {
      const cell = now.get(connection.key)!;
      const patience = cell.expect === "allow" ? patient : impatient;
      for (const way of ["there", "back"] as const) {
        const arrived = await connection.send(way, patience);
        if (arrived !== (cell.expect === "allow"))
          wrong.push(`${cellText(cell)}: ${way} ${arrived ? "arrives" : "is lost"}`);
      }
    };
    // UDP connections to one pod share its port, and take turns.
    const inTurn = Map.groupBy(open, ({ cell, key }) => (cell.protocol === "TCP" ? key : `${cell.to} ${cell.port}`));
    await Promise.all(
      [...inTurn.values()].map(async (group) => {
        for (const one of group) await check(one);
      }),
    );
    expect(wrong, `${title}: open connections`).toEqual([]);
    // What was cut repeats its packets for a while, which is not asked about again.
    for (const one of open) if (now.get(one.key)!.expect === "deny" && one.cell.protocol === "TCP") one.close();
  }

  #question(world: World, cell: Cell, family: Family): Question {
    const question = questionOf(flowOf(world, cell, family));
    if (question === null) throw new Error(`cannot be asked: ${cellText(cell)}`);
    return this.#services === null ? question : throughService(question, this.#services);
  }

  #open(connection: Connection, world: World, family: Family): Promise<boolean> {
    const { from, to, via, port } = this.#question(world, connection.cell, family);
    const [client, server] = [this.#bench.sandbox.seat(from), this.#bench.sandbox.seat(to)];
    const clientPort = this.#nextPort;
    this.#nextPort = clientPort === clientPorts.last ? clientPorts.first : clientPort + 1;
    const dialled = socketAddress(addressBytes(via?.frontend.address ?? to.address), via?.frontend.port ?? port);
    const options = { clientPort, dialled };
    if (connection.cell.protocol === "TCP") return connection.open(() => TcpFlow.open(client, server, port, options));
    return connection.open(async () => new UdpFlow(client, server, port, options));
  }
}

const isConnection = ({ record: { tuple } }: Drop): boolean =>
  tuple !== null &&
  [tuple.sourcePort, tuple.destinationPort].some((port) => port >= clientPorts.first && port <= clientPorts.last);

const keyOf = ({ from, to, protocol, port }: Cell): string => `${from} ${to} ${protocol} ${port}`;

/** A connection that is to be open over the steps of a scenario. */
class Connection {
  readonly cell: Cell;
  readonly key: string;
  #flow: OpenFlow | null = null;
  /** Makes a UDP flow's sockets anew, on the same ports: between packets others want the server's. */
  #again: (() => Promise<OpenFlow | null>) | null = null;

  constructor(cell: Cell) {
    this.cell = cell;
    this.key = keyOf(cell);
  }

  get isOpen(): boolean {
    return this.#flow !== null || this.#again !== null;
  }

  /** Does it open, and do packets arrive both ways? */
  async open(make: () => Promise<OpenFlow | null>): Promise<boolean> {
    if (this.cell.protocol === "TCP") {
      this.#flow = await make();
      if (this.#flow === null) return false;
    } else {
      this.#again = make;
    }
    return (await this.send("there", patient)) && (await this.send("back", patient));
  }

  async send(way: "there" | "back", patience: number): Promise<boolean> {
    if (this.#again === null) return this.#flow![way](patience);
    const flow = (await this.#again())!;
    try {
      return await flow[way](patience);
    } finally {
      flow.close();
    }
  }

  close(): void {
    this.#flow?.close();
    this.#flow = null;
    this.#again = null;
  }
}

/** So many connections whose verdict changes, and that never do. */
const changing = 6;
const steady = 2;

/** The connections worth keeping open: spread over all pairs and ports of tables that more than one step has. */
function watched(states: readonly StepState[]): Cell[] {
  const all = states.flatMap(({ cells }) => cells).filter(({ protocol }) => protocol !== "SCTP");
  const pairs = [...Map.groupBy(all, keyOf).values()].filter((steps) => steps.length > 1);
  const changes = pairs.filter((steps) => new Set(steps.map(({ expect: outcome }) => outcome)).size > 1);
  const stays = pairs.filter((steps) => steps.every(({ expect: outcome }) => outcome === "allow"));
  return [...spread(changes, changing), ...spread(stays, steady)].map((steps) => steps[0]!);
}

const spread = <T>(all: readonly T[], count: number): T[] =>
  all.filter((_, i) => Math.floor((i * count) / all.length) !== Math.floor(((i - 1) * count) / all.length));
