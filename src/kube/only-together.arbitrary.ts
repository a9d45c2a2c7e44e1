/** A time in which nobody's own patience ever ends: streams come back only by what they tell each other. */
import { realTiming, type Timing } from "./backoff.ts";

/** Looks for the server, and the moment until others follow, for a `random` of one half; ms. */
const shared = [3000, 250];

export const onlyTogether: Timing = {
  sleep: (milliseconds, signal) => realTiming.sleep(shared.includes(milliseconds) ? 5 : 2 ** 31 - 1, signal),
  random: () => 0.5,
};
