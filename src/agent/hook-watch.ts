/** Looks again and again for ways on which packets of pods go past the hooks: bridges without br_netfilter, and IPVS. */
import { readFileSync } from "node:fs";
import type { Network } from "../netns/namespace.ts";
import { bridgeCondition, lookAtBridges } from "./bridge.ts";
import type { Condition } from "./condition.ts";
import type { Events } from "./events.ts";
import type { Held } from "./held.ts";
import { type Log, messageOf } from "./log.ts";

export interface HookWatchDeps {
  readonly network: Network;
  readonly held: Held;
  readonly interfaces: readonly string[];
  readonly log: Log;
  readonly events: Events;
}

/** Milliseconds from look to look: a bridge comes with the node's first pod, and settings can be turned off at any time. */
const interval = 5_000;

const reasons: Readonly<Record<string, string>> = { bridge: "BridgeNotFiltered", ipvs: "IPVSNotFiltered" };

export class HookWatch {
  readonly #deps: HookWatchDeps;
  #conditions: readonly Condition[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: HookWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), interval).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  conditions(): readonly Condition[] {
    return this.#conditions;
  }

  look(): void {
    const { network, held, interfaces } = this.#deps;
    const before = this.#conditions;
    this.#conditions = [
      looked("bridge", () => bridgeCondition(lookAtBridges(network, held.cidrs, interfaces))),
      looked("ipvs", () => ipvsCondition(network)),
    ];
    for (const now of this.#conditions) {
      const was = before.find(({ name }) => name === now.name) ?? { state: "ok", text: "" };
      if (was.text !== now.text && (was.state !== "ok" || now.state !== "ok")) this.#tell(now);
    }
  }

  #tell({ name, state, text }: Condition): void {
    const { log, events } = this.#deps;
    if (state === "ok") log.info({}, text);
    else log.error({}, text);
    if (state === "failed") events.tell({ type: "Warning", reason: reasons[name]!, message: text, policy: null });
  }
}

function looked(name: string, look: () => Condition): Condition {
  try {
    return look();
  } catch (error) {
    return { name, state: "warning", text: `it can't be looked at: ${messageOf(error)}` };
  }
}

/**
 * A packet that IPVS sends to a pod of the same node goes from the input hook to the output hook, and past forward: the
 * pod's ingress rules never see it.
 */
export function ipvsCondition(network: Network): Condition {
  const name = "ipvs";
  let services: number;
  try {
    const text = network.run<string>(() => readFileSync("/proc/thread-self/net/ip_vs", "utf8"));
    services = text.split("\n").filter((line) => /^(TCP|UDP|SCTP|FWM) /.test(line)).length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    services = 0;
  }
  if (services === 0) return { name, state: "ok", text: "no Services in IPVS" };
  return {
    name,
    state: "failed",
    text:
      `IPVS has ${services} Services: policies do NOT hold on what it sends to pods of its own node. ` +
      "Use another mode of kube-proxy (nftables, iptables), and clear what it left: kube-proxy --cleanup",
  };
}
