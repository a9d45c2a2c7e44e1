/** What the agent does for the CNI plugin: answers its questions, and keeps it in the node's chain of plugins. */
import { keepCniConfig } from "./cni-config.ts";
import { serveCni } from "./cni-server.ts";
import type { Condition } from "./condition.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { PodGate } from "./pod-gate.ts";

export interface PluginOptions {
  /** Where the plugin asks. */
  readonly socket: string;
  /** The container runtime's folder of network configurations; null: whoever installed the plugin sees to the chain. */
  readonly confDir: string | null;
}

export interface PluginSide {
  conditions(): readonly Condition[];
  close(): Promise<void>;
}

/** @throws Error when the socket can't be listened on */
export async function servePlugin(
  { socket, confDir }: PluginOptions,
  { gate, log, metrics }: { readonly gate: PodGate; readonly log: Log; readonly metrics: Pick<Metrics, "cni"> },
): Promise<PluginSide> {
  const name = "cni";
  let condition: Condition = { name, state: "ok", text: `answers on ${socket}` };
  const server = await serveCni(socket, gate, {
    onCall: ({ operation, pod, response, milliseconds }) => {
      metrics.cni(operation, response.ok ? "ok" : response.refusal, milliseconds);
      const fields = {
        operation,
        ...(pod === null ? {} : { pod: `${pod.namespace}/${pod.name}`, uid: pod.uid }),
        milliseconds: Math.round(milliseconds),
      };
      if (response.ok) log.debug(fields, "the CNI plugin was answered");
      else log.warn(fields, `the CNI plugin was refused: ${response.message}`);
    },
    onProblem: (message) => log.warn({}, `CNI plugin: ${message}`),
  });
  if (confDir === null) return { conditions: () => [condition], close: () => server.close() };
  const keeper = keepCniConfig({
    folder: confDir,
    settings: { socket },
    onState: (state) => {
      if (state.kind === "problem") {
        condition = { name, state: "warning", text: `pod starts may not be held: ${state.message}` };
        log.error({}, condition.text);
      } else if (state.kind === "waiting") {
        condition = { name, state: "warning", text: `no network plugin in ${confDir} yet` };
        log.warn({}, condition.text);
      } else {
        const text = `pods of ${state.source} are held until they are programmed`;
        condition = { name, state: "ok", text: state.gate ? text : `${text}; no gate before its first plugin` };
        log.info({}, condition.text);
      }
    },
    onWrite: (file) => log.info({ file: `${confDir}/${file}` }, "the chain of network plugins was written"),
  });
  return {
    conditions: () => [condition],
    close: async () => {
      keeper.close();
      await server.close();
    },
  };
}
