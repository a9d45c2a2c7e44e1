/**
 * Endpoint references: how commands, test files, the API and the page name one end of a connection. One grammar, one
 * parser (design: "Endpoint references"). Parsing looks at the text only; `resolve.ts` looks the names up.
 */
import {
  type Cidr,
  familyBits,
  formatAddress,
  formatCidr,
  hostCidr,
  parseAddress,
  parseCidr,
} from "../../net/address.ts";
import type { Labels } from "../model/labels.ts";
import type { WorkloadKind } from "../model/world.ts";
import { isProblem, type Problem } from "./types.ts";

/** @example `shop/{app=web}` → {kind: "labels", namespace: "shop", labels: {app: "web"}} */
export type Reference =
  | { readonly kind: "pod"; readonly namespace: string; readonly name: string }
  | {
      readonly kind: "workload";
      readonly namespace: string;
      readonly workload: Exclude<WorkloadKind, "Pod">;
      readonly name: string;
    }
  | { readonly kind: "service"; readonly namespace: string; readonly name: string }
  /** A pod with exactly these labels, whether one exists or not. */
  | { readonly kind: "labels"; readonly namespace: string; readonly labels: Labels }
  /** Every pod of a namespace; null: of the cluster. */
  | { readonly kind: "pods"; readonly namespace: string | null }
  /** One address is a network of full prefix length. */
  | { readonly kind: "addresses"; readonly cidr: Cidr }
  | { readonly kind: "node"; readonly name: string }
  | { readonly kind: "external" };

export interface ReferenceContext {
  readonly defaultNamespace: string;
}

type KindWord = Exclude<WorkloadKind, "Pod"> | "pod" | "service" | "node";

const kindWords: ReadonlyMap<string, KindWord> = new Map(
  (
    [
      ["Deployment", "deployment deployments deploy"],
      ["StatefulSet", "statefulset statefulsets sts"],
      ["DaemonSet", "daemonset daemonsets ds"],
      ["ReplicaSet", "replicaset replicasets rs"],
      ["Job", "job jobs"],
      ["CronJob", "cronjob cronjobs cj"],
      ["pod", "pod pods po"],
      ["service", "service services svc"],
      ["node", "node nodes no"],
    ] as const
  ).flatMap(([kind, words]) => words.split(" ").map((word): [string, KindWord] => [word, kind])),
);

const groups: Readonly<Partial<Record<KindWord, string>>> = {
  Deployment: "apps",
  StatefulSet: "apps",
  DaemonSet: "apps",
  ReplicaSet: "apps",
  Job: "batch",
  CronJob: "batch",
};

/** As kubectl takes and prints kinds: in any case, with their group and version or without (`deployment.apps`, `Jobs.v1.batch`). */
function kindOf(word: string): KindWord | undefined {
  const [plain, ...qualifiers] = word.toLowerCase().split(".");
  const kind = kindWords.get(plain!);
  const group = kind === undefined ? undefined : groups[kind];
  const fits =
    qualifiers.length === 0 || (group !== undefined && [group, `v1.${group}`].includes(qualifiers.join(".")));
  return fits ? kind : undefined;
}

const name = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
/** Namespaces are DNS labels: `300.1.1.1/8` is a mistyped network, not a pod. */
const namespaceName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const labelKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

const syntax = (message: string): Problem => ({ problem: "syntax", message });

const forms =
  "POD, KIND/NAME, NAMESPACE/POD, NAMESPACE/KIND/NAME, NAMESPACE/{key=value}, NAMESPACE/*, */*, an address, a CIDR, node/NAME or external";

function parseLabels(namespace: string, text: string): Reference | Problem {
  if (!text.endsWith("}")) return syntax(`"${text}": missing "}"`);
  const labels: Record<string, string> = {};
  const inner = text.slice(1, -1).trim();
  for (const pair of inner === "" ? [] : inner.split(",")) {
    const [key, value, more] = pair.split("=").map((part) => part.trim());
    if (
      key === undefined ||
      value === undefined ||
      more !== undefined ||
      !labelKey.test(key) ||
      !labelValue.test(value)
    )
      return syntax(`"${pair.trim()}" in "${text}" is not key=value with a valid label key and value`);
    if (Object.hasOwn(labels, key)) return syntax(`label "${key}" is given twice in "${text}"`);
    labels[key] = value;
  }
  return { kind: "labels", namespace, labels };
}

function ofKind(kind: KindWord, namespace: string, object: string): Reference {
  if (kind === "pod" || kind === "service") return { kind, namespace, name: object };
  if (kind === "node") return { kind, name: object };
  return { kind: "workload", namespace, workload: kind, name: object };
}

function parseNames(text: string, { defaultNamespace }: ReferenceContext): Reference | Problem {
  const parts = text.split("/");
  const isGood = (part: string, i: number): boolean =>
    kindOf(part) !== undefined || (i === 0 && parts.length > 1 ? namespaceName : name).test(part);
  const bad = parts.find((part, i) => !isGood(part, i));
  if (bad !== undefined || parts.length > 3) {
    const what = bad === undefined || bad === "" || bad === text ? "" : `: "${bad}" is not a name`;
    return syntax(`"${text}" is no endpoint reference${what}; expected ${forms}`);
  }
  const [first, second, third] = parts;
  if (second === undefined) return { kind: "pod", namespace: defaultNamespace, name: first! };
  if (third === undefined) {
    const kind = kindOf(first!);
    return kind === undefined
      ? { kind: "pod", namespace: first!, name: second }
      : ofKind(kind, defaultNamespace, second);
  }
  const kind = kindOf(second);
  if (kind === undefined) return syntax(`"${second}" in "${text}" is no kind of workload`);
  if (kind === "node") return syntax(`"${text}": nodes have no namespace; write node/${third}`);
  return ofKind(kind, first!, third);
}

/** Four numbers with dots: a mistyped address (10.0.0.256, 10.0.0.0/33), not the name of a pod that nobody finds. */
const looksLikeAddress = /^\d+(\.\d+){3}(\/\d+)?$/;

/**
 * Reads one reference. Two words whose first is a kind mean KIND/NAME in the default namespace.
 * @example parseReference("deploy web", {defaultNamespace: "shop"}) // {kind: "workload", namespace: "shop", workload: "Deployment", name: "web"}
 */
export function parseReference(text: string, context: ReferenceContext): Reference | Problem {
  const trimmed = text.trim();
  if (trimmed === "external") return { kind: "external" };
  if (trimmed === "*/*") return { kind: "pods", namespace: null };
  const brace = trimmed.indexOf("{");
  if (brace >= 0) {
    const namespace = trimmed.slice(0, brace);
    if (namespace === "") return parseLabels(context.defaultNamespace, trimmed);
    if (!namespace.endsWith("/") || !namespaceName.test(namespace.slice(0, -1)))
      return syntax(`"${namespace}" before "{" is not NAMESPACE/`);
    return parseLabels(namespace.slice(0, -1), trimmed.slice(brace));
  }
  const address = parseAddress(trimmed);
  if (address !== null) return { kind: "addresses", cidr: hostCidr(address) };
  const network = parseCidr(trimmed);
  if (network !== null) return { kind: "addresses", cidr: network.cidr };
  if (looksLikeAddress.test(trimmed)) return syntax(`"${text}" is no valid IP address or CIDR`);
  if (trimmed.endsWith("/*") && namespaceName.test(trimmed.slice(0, -2)))
    return { kind: "pods", namespace: trimmed.slice(0, -2) };
  const words = trimmed.split(/\s+/);
  if (words.length === 2 && kindOf(words[0]!) !== undefined && name.test(words[1]!))
    return ofKind(kindOf(words[0]!)!, context.defaultNamespace, words[1]!);
  return parseNames(trimmed, context);
}

/** Takes the reference at the front of command line words: two words when the first is a kind, else one. */
export function takeReference(
  words: readonly string[],
  context: ReferenceContext,
): { readonly reference: Reference; readonly rest: readonly string[] } | Problem {
  const [first, second] = words;
  if (first === undefined) return syntax(`missing endpoint reference; expected ${forms}`);
  const count = second !== undefined && kindOf(first) !== undefined ? 2 : 1;
  const reference = parseReference(words.slice(0, count).join(" "), context);
  return isProblem(reference) ? reference : { reference, rest: words.slice(count) };
}

/** `ns/name`; with the kind where the namespace's name would be read as a kind. */
export const podReference = (namespace: string, pod: string): string =>
  kindOf(namespace) === undefined ? `${namespace}/${pod}` : `${namespace}/pod/${pod}`;

/** Canonical spelling: namespace always given, long kinds in lower case. Parses back to the same reference. */
export function formatReference(reference: Reference): string {
  switch (reference.kind) {
    case "pod":
      return podReference(reference.namespace, reference.name);
    case "workload":
      return `${reference.namespace}/${reference.workload.toLowerCase()}/${reference.name}`;
    case "service":
      return `${reference.namespace}/service/${reference.name}`;
    case "labels":
      return `${reference.namespace}/{${Object.entries(reference.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(",")}}`;
    case "pods":
      return `${reference.namespace ?? "*"}/*`;
    case "addresses": {
      const { cidr } = reference;
      return cidr.prefix === familyBits(cidr.family) ? formatAddress(cidr) : formatCidr(cidr);
    }
    case "node":
      return `node/${reference.name}`;
    case "external":
      return "external";
  }
}
