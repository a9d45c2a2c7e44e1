/** One kind of fault: what is made to happen, how often, and what the traffic says of it. */
import { now } from "../fire/native.ts";
import type { Stage } from "./stage.ts";
import { throughout } from "./throughout.ts";
import type { Toll } from "./traffic.ts";

/** What one repetition can use. */
export interface Turn {
  readonly stage: Stage;
  /** Of this repetition, from 0. */
  readonly index: number;
  /** Notes how long it took until the new verdict was in force, in ms. */
  recovered(milliseconds: number): void;
  /** A verdict that came back after it had changed, or anything else that must not be. */
  wrong(what: string): void;
}

export interface Fault {
  readonly name: string;
  /** For the page: what is done. */
  readonly what: string;
  readonly long: number;
  /** Repetitions in `npm test`; 0: not there. */
  readonly short: number;
  /** Denied packets may pass while rules are missing, and how long is what is measured: nothing can prevent it. */
  readonly unpreventable?: boolean;
  /** Before the first and after the last repetition. */
  before?(stage: Stage): Promise<void>;
  after?(stage: Stage): Promise<void>;
  /** In each repetition, before a verdict changes: those who must bring it about are cut off, say. */
  first?(turn: Turn): Promise<void> | void;
  /** After that; resolves with the moment from which on the verdict could have been brought about, null: its end. */
  afterwards?(turn: Turn): Promise<number | null>;
  /** In place of a verdict that changes, with `first` and `afterwards` around it. */
  once?(turn: Turn): Promise<void>;
}

export interface FaultResult extends Omit<Toll, "examples"> {
  readonly name: string;
  readonly what: string;
  readonly repetitions: number;
  readonly unpreventable: boolean;
  /** ms, in the order measured. */
  readonly recoveries: readonly number[];
  /** Changes of the storm meanwhile. */
  readonly changes: number;
  readonly seconds: number;
  readonly wrong: readonly string[];
  readonly examples: readonly string[];
}

/** Runs a fault again and again with traffic all the time. @throws only what makes going on senseless */
export async function run(
  stage: Stage,
  fault: Fault,
  repetitions: number,
  say: (line: string) => void,
): Promise<FaultResult> {
  const { traffic, storm } = stage;
  const recoveries: number[] = [];
  const wrong: string[] = [];
  const begun = now();
  const changes = storm.changes;
  await fault.before?.(stage);
  const since = await traffic.snapshot();
  let done = 0;
  try {
    for (; done < repetitions; done++) {
      const turn: Turn = {
        stage,
        index: done,
        recovered: (milliseconds) => recoveries.push(milliseconds),
        wrong: (what) => {
          wrong.push(what);
          say(`${fault.name} ${done}: ${what}`);
        },
      };
      await (fault.once?.(turn) ?? throughout(fault, turn));
      if (done % 10 === 9) say(`${fault.name}: ${done + 1} of ${repetitions}`);
    }
  } catch (error) {
    wrong.push(`repetition ${done}: ${error instanceof Error ? error.message : String(error)}`);
    say(`${fault.name} ${wrong.at(-1)}`);
  }
  await storm.stop();
  try {
    await fault.after?.(stage);
    // Whatever happened, the kernels are now what the cluster says, and new flows come about.
    await stage.kernelsEqual();
    const fresh = await stage.openFlows();
    traffic.remove(fresh);
  } catch (error) {
    wrong.push(error instanceof Error ? error.message : String(error));
    say(`${fault.name} afterwards: ${wrong.at(-1)}`);
  }
  const toll = await traffic.toll(since);
  for (const line of toll.examples) say(`${fault.name}: ${line}`);
  return {
    name: fault.name,
    what: fault.what,
    repetitions: done,
    unpreventable: fault.unpreventable ?? false,
    recoveries,
    changes: storm.changes - changes,
    seconds: (now() - begun) / 1000,
    ...toll,
    wrong,
  };
}

/** Nothing passed that may not, nothing was cut, and all verdicts came and stayed. */
export const isClean = ({ leaked, cut, lost, wrong, unpreventable }: FaultResult): boolean =>
  (unpreventable || leaked === 0) && cut === 0 && lost === 0 && wrong.length === 0;
