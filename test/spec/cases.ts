/**
 * The law's cases, typed: `golden.yaml` (its header defines the format) and `cyclonus-cases.jsonl.gz` (cyclonus's generated
 * conformance cases with the tables that a corrected engine gives). Policies come as they are written: nothing is
 * validated or defaulted. A missing or malformed file throws.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parseAllDocuments } from "yaml";
import type { Family } from "../../src/net/address.ts";
import type { PortProtocol } from "../../src/net/ports.ts";
import { type LabelSelector, type Labels, namespaceNameLabel } from "../../src/policy/model/labels.ts";
import type { NetworkPolicySpec, Policy } from "../../src/policy/model/policy.ts";
import type { End, Flow, Outcome } from "../../src/policy/model/verdict.ts";
import {
  emptyWorld,
  type Node,
  namespacedName,
  type Pod,
  type PodPhase,
  type World,
} from "../../src/policy/model/world.ts";

// ---- golden.yaml ----------------------------------------------------------------------------------------------------

interface CaseHeader {
  readonly id: string;
  readonly title: string;
  readonly rules: readonly string[];
  /** Absent = defined. `ambiguous` cases must not be asserted. */
  readonly status?: "defined" | "recommended" | "ambiguous";
}

interface FixturePod {
  readonly ns: string;
  readonly name: string;
  readonly node?: string;
  readonly ips: readonly string[];
  readonly labels: Labels;
  readonly ports: readonly (readonly [name: string, number: number, protocol: PortProtocol])[];
  readonly hostNetwork?: boolean;
  readonly phase?: PodPhase;
  /** Changes no verdict (spec A17.3). */
  readonly terminating?: boolean;
}

export interface Fixture {
  readonly id: string;
  readonly kind: "Fixture";
  readonly nodes: readonly { readonly name: string; readonly ips: readonly string[]; readonly labels: Labels }[];
  readonly namespaces: readonly { readonly name: string; readonly labels: Labels }[];
  readonly pods: readonly FixturePod[];
}

export interface Query {
  /** `<ns>/<pod>`, `node:<name>` or `ip:<address>`. */
  readonly from: string;
  readonly to: string;
  readonly proto: PortProtocol;
  readonly port: number;
  readonly v?: 4 | 6;
  readonly via?: "service";
  readonly expect: Outcome;
}

/** An API object as written. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

export interface ReachabilityCase extends CaseHeader {
  readonly kind: "Reachability";
  readonly fixture: string;
  readonly extraPods?: readonly FixturePod[];
  readonly policies: readonly RawObject[];
  readonly queries: readonly Query[];
}

export interface SequenceCase extends CaseHeader {
  readonly kind: "Sequence";
  readonly fixture: string;
  readonly steps: readonly {
    readonly policies?: readonly RawObject[];
    /** Replace labels from this step on; keys are `<ns>` and `<ns>/<pod>`. */
    readonly nsLabels?: Readonly<Record<string, Labels>>;
    readonly podLabels?: Readonly<Record<string, Labels>>;
    readonly queries: readonly Query[];
  }[];
}

/** `gate`: StrictIPCIDRValidation on, off, or either. */
export type Gate = "strict" | "legacy" | "any";

export interface ExpectedError {
  readonly path: string;
  readonly type: "Required" | "Invalid" | "NotSupported" | "Forbidden";
  /** A substring of the detail. */
  readonly has: string;
}

export interface ValidationCase extends CaseHeader {
  readonly kind: "Validation";
  readonly gate: Gate;
  readonly object: RawObject;
  /** The complete list; [] = accepted. */
  readonly errors: readonly ExpectedError[];
  /** Substrings, the complete list; absent = none. */
  readonly warnings?: readonly string[];
}

export interface UpdateValidationCase extends CaseHeader {
  readonly kind: "UpdateValidation";
  readonly gate: Gate;
  readonly old: RawObject;
  readonly new: RawObject;
  readonly errors: readonly ExpectedError[];
}

export interface StrictDecodeCase extends CaseHeader {
  readonly kind: "StrictDecode";
  /** Text of the request body. */
  readonly json: string;
  /** Exact texts, in order. */
  readonly findings: readonly string[];
}

export interface CRDValidationCase extends CaseHeader {
  readonly kind: "CRDValidation";
  readonly channel: "standard" | "experimental" | "both";
  readonly object: RawObject;
  readonly valid: boolean;
  readonly because?: string;
}

export interface DefaultingCase extends CaseHeader {
  readonly kind: "Defaulting";
  readonly input: NetworkPolicySpec;
  /** Only the fields named are compared. */
  readonly expect: NetworkPolicySpec;
}

export interface SelectorCase extends CaseHeader {
  readonly kind: "Selector";
  readonly selector: LabelSelector;
  readonly cases: readonly { readonly labels: Labels; readonly match: boolean }[];
}

export interface DomainNameCase extends CaseHeader {
  readonly kind: "DomainName";
  readonly pattern: string;
  readonly cases?: readonly { readonly name: string; readonly match: boolean }[];
  /** Of the pattern itself. */
  readonly valid?: boolean;
}

export type GoldenCase =
  | ReachabilityCase
  | SequenceCase
  | ValidationCase
  | UpdateValidationCase
  | StrictDecodeCase
  | CRDValidationCase
  | DefaultingCase
  | SelectorCase
  | DomainNameCase;

const golden = parseAllDocuments(readFileSync(new URL("golden.yaml", import.meta.url), "utf8")).map((document) => {
  if (document.errors[0] !== undefined) throw document.errors[0];
  return document.toJS() as Fixture | GoldenCase;
});

export const fixtures: ReadonlyMap<string, Fixture> = new Map(
  golden.filter((one) => one.kind === "Fixture").map((fixture) => [fixture.id, fixture]),
);

/** Every case, `ambiguous` ones included, in the order of the file. */
export const goldenCases: readonly GoldenCase[] = golden.filter((one) => one.kind !== "Fixture");

/** The cases of one kind that must hold: all but the ambiguous ones. */
export const assertedCases = <K extends GoldenCase["kind"]>(kind: K): readonly Extract<GoldenCase, { kind: K }>[] =>
  goldenCases.filter((one): one is Extract<GoldenCase, { kind: K }> => one.kind === kind && one.status !== "ambiguous");

/** A policy as it is written, with the metadata that every policy has. */
export const toPolicy = ({ kind, metadata, spec }: RawObject): Policy =>
  ({
    kind,
    metadata: { ...metadata, namespace: metadata.namespace ?? "" },
    ...(spec === undefined ? {} : { spec }),
    source: null,
  }) as Policy;

const toPod = ({ ns, name, node, ips, labels, ports, hostNetwork = false, phase = "Running" }: FixturePod): Pod => ({
  namespace: ns,
  name,
  labels,
  ips,
  node: node ?? null,
  hostNetwork,
  phase,
  ports: ports.map(([portName, number, protocol]) => ({ name: portName, number, protocol })),
  workload: { kind: "Pod", name },
  template: false,
  replicas: null,
  source: null,
});

/** The world of a fixture under policies. */
export function worldOf(
  fixtureId: string,
  policies: readonly RawObject[],
  extraPods: readonly FixturePod[] = [],
): World {
  const fixture = fixtures.get(fixtureId);
  if (fixture === undefined) throw new Error(`golden.yaml has no fixture ${fixtureId}`);
  return {
    ...emptyWorld,
    nodes: fixture.nodes.map((node) => ({ ...node, podCIDRs: [], source: null })),
    namespaces: fixture.namespaces.map(({ name, labels }) => ({
      name,
      labels: { ...labels, [namespaceNameLabel]: name },
      defined: true,
      source: null,
    })),
    pods: [...fixture.pods, ...extraPods].map(toPod),
    policies: policies.map(toPolicy),
  };
}

/** The worlds of a sequence's steps; labels and policies stay until a later step replaces them. */
export function sequenceWorlds({
  fixture,
  steps,
}: SequenceCase): { readonly world: World; readonly queries: readonly Query[] }[] {
  let world = worldOf(fixture, []);
  return steps.map(({ policies, nsLabels = {}, podLabels = {}, queries }) => {
    world = {
      ...world,
      namespaces: world.namespaces.map((namespace) => {
        const labels = nsLabels[namespace.name];
        return labels === undefined
          ? namespace
          : { ...namespace, labels: { ...labels, [namespaceNameLabel]: namespace.name } };
      }),
      pods: world.pods.map((pod) => ({ ...pod, labels: podLabels[namespacedName(pod)] ?? pod.labels })),
      policies: policies === undefined ? world.policies : policies.map(toPolicy),
    };
    return { world, queries };
  });
}

function nodeNamed(world: World, name: string | null): Node {
  const node = world.nodes.find((one) => one.name === name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
}

function endOf(world: World, ref: string): End {
  if (ref.startsWith("node:")) return { kind: "node", node: nodeNamed(world, ref.slice("node:".length)) };
  if (ref.startsWith("ip:")) return { kind: "address", address: ref.slice("ip:".length) };
  const pod = world.pods.find((one) => namespacedName(one) === ref);
  if (pod === undefined) throw new Error(`no pod ${ref}`);
  // A hostNetwork pod is its node: spec A8.2.
  return pod.hostNetwork ? { kind: "node", node: nodeNamed(world, pod.node) } : { kind: "pod", pod };
}

/** The connection attempt that a query asks about. */
export function toFlow(world: World, { from, to, proto, port, v, via }: Query): Flow {
  const ends = { from: endOf(world, from), to: endOf(world, to) };
  const family: Family = v === 6 ? "IPv6" : "IPv4";
  return { ...ends, family, protocol: proto, port, ...(via === "service" ? { viaService: true } : {}) };
}

/**
 * The queries of a case, and the same over IPv6 of those that ask about IPv4, where the answer must be the same: where no
 * policy names addresses, and both ends are pods or nodes that have one of the family.
 */
export function queriesOfBothFamilies(world: World, { policies, queries }: ReachabilityCase): readonly Query[] {
  if (/"(ipBlock|networks)"/.test(JSON.stringify(policies))) return queries;
  const dual = (ref: string): boolean => {
    if (ref.startsWith("ip:")) return false;
    const end = endOf(world, ref);
    const ips = end.kind === "pod" ? end.pod.ips : end.kind === "node" ? end.node.ips : [];
    return ips.some((ip) => ip.includes(":"));
  };
  const twins = queries.filter(({ v, from, to }) => v !== 6 && dual(from) && dual(to));
  return [...queries, ...twins.map((query): Query => ({ ...query, v: 6 }))];
}

// ---- cyclonus -------------------------------------------------------------------------------------------------------

interface CyclonusPod {
  readonly Namespace: string;
  readonly Name: string;
  readonly IP: string;
  readonly Labels: Labels;
  readonly NamespaceLabels: Labels;
}

/** `PROTOCOL/port` → one row per source, one letter per destination: `.` open, `X` blocked. */
export type CyclonusTable = Readonly<Record<`${PortProtocol}/${number}`, readonly string[]>>;

export interface CyclonusStep {
  readonly policies: readonly Omit<RawObject, "apiVersion" | "kind">[];
  readonly pods: readonly CyclonusPod[];
  /** Rows and columns of the tables, `ns/name`. */
  readonly order: readonly string[];
  readonly Combined: CyclonusTable;
  readonly Ingress: CyclonusTable;
  readonly Egress: CyclonusTable;
}

export interface CyclonusCase {
  readonly id: number;
  readonly description: string;
  readonly tags: readonly string[];
  readonly steps: readonly CyclonusStep[];
}

export const cyclonusCases: readonly CyclonusCase[] = gunzipSync(
  readFileSync(new URL("cyclonus-cases.jsonl.gz", import.meta.url)),
)
  .toString("utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as CyclonusCase);

/** Every pod of cyclonus serves 80 and 81 on every protocol, under these names. */
const cyclonusPorts = [80, 81].flatMap((number) =>
  (["TCP", "UDP", "SCTP"] as const).map((protocol) => ({
    name: `serve-${number}-${protocol.toLowerCase()}`,
    number,
    protocol,
  })),
);

/** `192.168.1.1` → `fd00::c0a8:101`, and networks with 96 bits more: the cases are about IPv4 alone. */
function inIPv6(text: string): string {
  const [address = "", prefix] = text.split("/");
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  const moved = `fd00::${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  return prefix === undefined ? moved : `${moved}/${96 + Number(prefix)}`;
}

const allInIPv6 = (policies: CyclonusStep["policies"]): CyclonusStep["policies"] =>
  JSON.parse(JSON.stringify(policies).replaceAll(/\d+\.\d+\.\d+\.\d+\/\d+/g, inIPv6)) as CyclonusStep["policies"];

/** `family`: the same case with every address moved to that family. */
export function cyclonusWorld({ pods, policies }: CyclonusStep, family: Family = "IPv4"): World {
  const namespaces = new Map(pods.map((pod) => [pod.Namespace, pod.NamespaceLabels]));
  return {
    ...emptyWorld,
    namespaces: [...namespaces].map(([name, labels]) => ({ name, labels, defined: true, source: null })),
    pods: pods.map((pod) => ({
      namespace: pod.Namespace,
      name: pod.Name,
      labels: pod.Labels,
      ips: [family === "IPv4" ? pod.IP : inIPv6(pod.IP)],
      node: null,
      hostNetwork: false,
      phase: "Running",
      ports: cyclonusPorts,
      workload: { kind: "Pod", name: pod.Name },
      template: false,
      replicas: null,
      source: null,
    })),
    policies: (family === "IPv4" ? policies : allInIPv6(policies)).map((policy) =>
      toPolicy({ ...policy, apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" }),
    ),
  };
}

/** One cell of a step's tables: what each direction and both together must say. */
export interface CyclonusCell {
  readonly flow: Flow;
  readonly combined: Outcome;
  readonly ingress: Outcome;
  readonly egress: Outcome;
  /** A pod to itself: the cases block it, Kubernetes does not (spec A7.1), so it is not compared. */
  readonly loopback: boolean;
}

export function* cyclonusCells(step: CyclonusStep, world: World, family: Family = "IPv4"): Generator<CyclonusCell> {
  const pods = step.order.map((ref) => endOf(world, ref));
  const outcome = (table: CyclonusTable, key: keyof CyclonusTable, row: number, column: number): Outcome => {
    const letter = table[key]?.[row]?.[column];
    if (letter !== "." && letter !== "X") throw new Error(`cyclonus table ${key} lacks row ${row}, column ${column}`);
    return letter === "." ? "allow" : "deny";
  };
  for (const key of Object.keys(step.Combined) as (keyof CyclonusTable)[]) {
    const [protocol, port] = key.split("/") as [PortProtocol, string];
    for (const [row, from] of pods.entries()) {
      for (const [column, to] of pods.entries()) {
        yield {
          flow: { from, to, family, protocol, port: Number(port) },
          combined: outcome(step.Combined, key, row, column),
          ingress: outcome(step.Ingress, key, row, column),
          egress: outcome(step.Egress, key, row, column),
          loopback: row === column,
        };
      }
    }
  }
}
