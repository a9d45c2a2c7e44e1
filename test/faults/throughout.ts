/** A verdict that changes while a fault lasts: it must come, and stay. */
import { now } from "../fire/native.ts";
import type { Turn } from "./scenario.ts";
import type { Changing, Stage } from "./stage.ts";

/** Below `most`. */
export const random = (most: number): number => Math.random() * most;

/** One for the stage; made with the first fault. */
const changings = new WeakMap<Stage, Changing>();
function changingOf(stage: Stage): Changing {
  const known = changings.get(stage) ?? stage.changing();
  changings.set(stage, known);
  return known;
}

/** Waits until all changing streams have a verdict, which must stay. @param from when it may have come at the earliest */
async function verdictHolds({ stage, recovered, wrong }: Turn, from: number, origin: number): Promise<void> {
  const { streams, isOpen } = changingOf(stage);
  let last = 0;
  for (const stream of streams) {
    const since = await stream.until(isOpen);
    if (since === null) {
      wrong(`${stream.name} is not ${isOpen ? "allowed" : "denied"} after five minutes`);
      continue;
    }
    last = Math.max(last, since);
    // Before it held for good it must not have held and gone again. The packet on the way at the change may be either.
    const packets = stream.packets(from);
    const first = packets.findIndex(({ seen }) => (seen !== null) === isOpen);
    const back = packets.slice(first).filter(({ seen, sent }) => (seen !== null) !== isOpen && sent < since);
    if (first >= 0 && back.length > 0)
      wrong(`${stream.name}: ${back.length} packets had the verdict before again, after ${isOpen ? "open" : "closed"}`);
  }
  recovered(Math.max(0, last - origin));
}

/** What is done around the moment in which a verdict changes. */
export interface Around {
  /** Before the change: those who must bring it about are cut off, say. */
  readonly first?: () => Promise<void> | void;
  /** After it; resolves with the moment from which on the verdict could have been brought about, null: its end. */
  readonly afterwards: () => Promise<number | null>;
}

/** Changes a verdict in a storm of changes, and waits until it is in force. */
export async function throughout(turn: Turn, { first, afterwards }: Around): Promise<void> {
  const { stage } = turn;
  stage.storm.start();
  const changing = changingOf(stage);
  const from = now();
  await first?.();
  await changing.set(!changing.isOpen);
  const origin = (await afterwards()) ?? now();
  await verdictHolds(turn, from, origin);
}
