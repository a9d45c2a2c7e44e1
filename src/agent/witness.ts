/** What following does, as log lines, Events and metrics. */
import { formatPolicyRef } from "../policy/model/policy.ts";
import type { Events } from "./events.ts";
import type { Witness } from "./follower.ts";
import { type Log, messageOf } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export interface WitnessDeps {
  readonly node: string;
  readonly log: Log;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly saw: Witness["saw"];
}

const rounded = (milliseconds: number): number => Math.round(milliseconds * 100) / 100;

export function witnessOf({ node, log, events, metrics, saw }: WitnessDeps): Witness {
  let isFirst = true;
  let isFailing = false;
  return {
    saw,
    applied(passage, transactions) {
      metrics.applied(passage, transactions);
      const { received, begun, planned, inForce } = passage;
      const parts = { plan: rounded(planned - begun), kernel: rounded(inForce - planned) };
      if (isFirst) log.info({ milliseconds: rounded(inForce - begun), ...parts }, "the first rules are in force");
      else if (transactions.length > 0)
        log.debug(
          {
            watch: received === null ? null : rounded(begun - received),
            ...parts,
            transactions: transactions.map(({ purpose, operations }) => `${purpose} ${operations}`),
          },
          "changes are in force",
        );
      isFirst = false;
      isFailing = false;
    },
    failed(error) {
      metrics.failed();
      const why = messageOf(error);
      log.error({}, `the rules could not be changed, those before stay in force: ${why}`);
      if (!isFailing)
        events.tell({
          type: "Warning",
          reason: "ProgrammingFailed",
          message: `Node ${node}: the rules could not be changed, those before stay in force: ${why}`,
          policy: null,
        });
      isFailing = true;
    },
    problem({ policy, uid, message }) {
      log.warn({ policy: formatPolicyRef(policy), uid }, `this policy fails closed: ${message}`);
      events.tell({ type: "Warning", reason: "PolicyFailsClosed", message, policy, ...(uid === "" ? {} : { uid }) });
    },
  };
}
