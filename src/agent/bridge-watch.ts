/** Looks again and again whether pods hang on a bridge whose packets pass no IP hook. */
import { type BridgeReport, bridgeCondition, lookAtBridges } from "./bridge.ts";
import type { Condition } from "./condition.ts";
import type { Events } from "./events.ts";
import type { Held } from "./held.ts";
import { type Log, messageOf } from "./log.ts";
import type { Network } from "./network.ts";

export interface BridgeWatchDeps {
  readonly network: Network;
  readonly held: Held;
  readonly interfaces: readonly string[];
  readonly log: Log;
  readonly events: Events;
}

/** Milliseconds from look to look: a bridge comes with the node's first pod, and settings can be turned off at any time. */
const interval = 5_000;

export class BridgeWatch {
  readonly #deps: BridgeWatchDeps;
  #condition: Condition = bridgeCondition({ bridges: new Map(), off: [] });
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: BridgeWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), interval).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  condition(): Condition {
    return this.#condition;
  }

  look(): void {
    const { network, held, interfaces, log, events } = this.#deps;
    let report: BridgeReport;
    try {
      report = lookAtBridges(network, held.cidrs, interfaces);
    } catch (error) {
      const text = `this node's links can't be looked at: ${messageOf(error)}`;
      if (this.#condition.text !== text) log.warn({}, text);
      this.#condition = { name: "bridge", state: "warning", text };
      return;
    }
    const before = this.#condition;
    this.#condition = bridgeCondition(report);
    const { state, text } = this.#condition;
    if (text === before.text) return;
    if (state === "failed") {
      log.error({}, text);
      events.tell({ type: "Warning", reason: "BridgeNotFiltered", message: text, policy: null });
    } else log.info({}, text);
  }
}
