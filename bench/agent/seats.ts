import type { Seat } from "../../src/netns/sockets.ts";
import type { Stage } from "./stage.ts";

/** Where the sockets of the stage's pod `i` are. */
export const seatOf = (stage: Stage, i: number): Seat => stage.cluster.seat(stage.pods[i]!);
