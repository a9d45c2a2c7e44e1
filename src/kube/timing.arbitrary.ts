/** Times for tests. */
import { realTiming, type Timing } from "./backoff.ts";

/** Waits a tenth of what the product waits. */
export const impatient: Timing = {
  sleep: (milliseconds, signal) => realTiming.sleep(milliseconds / 10, signal),
  random: Math.random,
};

/** Looks for the server, the first and the next ones, and the moment until others follow, for a `random` of one half; ms. */
const shared = [375, 3000, 125];

/** Nobody's own patience ends for so many ms, by default ever: until then streams come back only by what they tell each other. */
export const together = (own = 2 ** 31 - 1): Timing => ({
  sleep: (milliseconds, signal) => realTiming.sleep(shared.includes(milliseconds) ? 5 : own, signal),
  random: () => 0.5,
});
