/** A verdict that changes while a fault lasts: it must come, and stay. */
import { now } from "../fire/native.ts";
import type { Fault, Turn } from "./scenario.ts";
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
    const first = packets.findIndex(({ arrived }) => (arrived !== null) === isOpen);
    const back = packets.slice(first).filter(({ arrived, sent }) => (arrived !== null) !== isOpen && sent < since);
    if (first >= 0 && back.length > 0)
      wrong(`${stream.name}: ${back.length} packets had the verdict before again, after ${isOpen ? "open" : "closed"}`);
  }
  recovered(Math.max(0, last - origin));
}

/** Changes a verdict in a storm of changes, and waits until it is in force. */
export async function throughout(fault: Fault, turn: Turn): Promise<void> {
  const { stage } = turn;
  stage.storm.start();
  const changing = changingOf(stage);
  const from = now();
  await fault.first?.(turn);
  await changing.set(!changing.isOpen);
  const origin = (await fault.afterwards?.(turn)) ?? now();
  await verdictHolds(turn, from, origin);
}
