/** One object of the input, decoded as far as it can be alone; `assemble.ts` joins them. */
import type { Labels } from "../policy/model/labels.ts";
import type { Policy } from "../policy/model/policy.ts";
import type { Source } from "../policy/model/source.ts";
import type { Owner } from "../policy/model/workload.ts";
import type { Node, Pod, Service } from "../policy/model/world.ts";
import type { WorkloadTemplateKind } from "./kinds.ts";

export interface Identity {
  readonly kind: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

/** What an object says of a pod, its own or its template's. */
export type PodFacts = Pick<Pod, "labels" | "ips" | "node" | "hostNetwork" | "phase" | "ports">;

export type Content =
  | { readonly type: "namespace"; readonly labels: Labels }
  | { readonly type: "node"; readonly node: Node }
  | { readonly type: "pod"; readonly pod: PodFacts }
  | {
      readonly type: "workload";
      readonly kind: WorkloadTemplateKind;
      readonly pod: PodFacts;
      readonly replicas: number | null;
    }
  | { readonly type: "service"; readonly service: Service }
  | { readonly type: "endpoints"; readonly service: string; readonly addresses: readonly string[] }
  | { readonly type: "service-ranges"; readonly cidrs: readonly string[] }
  | { readonly type: "policy"; readonly policy: Policy };

export interface ObjectRecord extends Identity {
  /** metadata.generateName stands for the name that it does not have yet: two such objects are two objects. */
  readonly generated: boolean;
  readonly owner: Owner | null;
  /** null: stored in a cluster. */
  readonly source: Source | null;
  readonly content: Content;
}

/** For messages: `at k8s/web.yaml:3:1`, `in the cluster`. */
export function placeOf({ source }: ObjectRecord): string {
  if (source === null) return "in the cluster";
  const { file, line, column } = source.position([]);
  return `at ${file}:${line}:${column}`;
}

export const identityKey = ({ kind, namespace, name }: Identity): string => `${kind}/${namespace}/${name}`;

/** `Deployment shop/web`, `Namespace shop`. */
export const formatIdentity = ({ kind, namespace, name }: Identity): string =>
  `${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;

export type RecordOf<T extends Content["type"]> = ObjectRecord & {
  readonly content: Extract<Content, { readonly type: T }>;
};

export function contents<T extends Content["type"]>(records: readonly ObjectRecord[], type: T): RecordOf<T>[] {
  return records.filter((record): record is RecordOf<T> => record.content.type === type);
}
