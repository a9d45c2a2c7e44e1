/** Small worlds for the agent's tests. */

import type { Change } from "../policy/compile/plan.ts";
import { namespaceNameLabel } from "../policy/model/labels.ts";
import type { NetworkPolicy } from "../policy/model/policy.ts";
import type { Namespace, Node, Pod } from "../policy/model/world.ts";
import { nodeNamed, podNamed, shopNamespace } from "../policy/objects.arbitrary.ts";
import type { EarlyPod } from "./early-addresses.ts";
import type { Log } from "./log.ts";

export const node = (name: string, ips: readonly string[], podCIDRs: readonly string[] = []): Node => ({
  ...nodeNamed(name, ...ips),
  podCIDRs,
});

export const namespace = (name: string): Namespace => ({
  ...shopNamespace,
  name,
  labels: { [namespaceNameLabel]: name },
});

export const pod = (name: string, more: Partial<Pod> = {}): Pod =>
  podNamed(name, { uid: `uid-${name}`, node: "n1", ...more });

/** Isolates `app` for ingress, and allows `from`. */
export const isolate = (name: string, app: string, from: readonly string[] = []): NetworkPolicy => ({
  kind: "NetworkPolicy",
  metadata: { namespace: "shop", name },
  spec: {
    podSelector: { matchLabels: { app } },
    policyTypes: ["Ingress"],
    ingress: from.map((peer) => ({ from: [{ podSelector: { matchLabels: { app: peer } } }] })),
  },
  source: null,
});

export const put = {
  pod: (object: Pod): Change => ({ op: "put", kind: "pod", object }),
  node: (object: Node): Change => ({ op: "put", kind: "node", object }),
  policy: (object: NetworkPolicy): Change => ({ op: "put", kind: "policy", object }),
};
export const removePod = (name: string): Change => ({ op: "remove", kind: "pod", key: `shop/${name}` });
export const removePolicy = (name: string): Change => ({
  op: "remove",
  kind: "policy",
  key: `NetworkPolicy/shop/${name}`,
});

export const earlyPod = (name: string, more: Partial<EarlyPod> = {}): EarlyPod => ({
  namespace: "shop",
  name,
  uid: `uid-${name}`,
  ips: null,
  told: [],
  gone: [],
  ...more,
});

/** Keeps what is logged: `level message {fields}`. */
export class LogBook implements Log {
  readonly lines: string[] = [];
  debug = (): void => undefined;
  info = (fields: object, message: string): void => this.#add("info", fields, message);
  warn = (fields: object, message: string): void => this.#add("warn", fields, message);
  error = (fields: object, message: string): void => this.#add("error", fields, message);

  #add(level: string, fields: object, message: string): void {
    this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  }
}
