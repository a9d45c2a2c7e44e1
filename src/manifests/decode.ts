/** One object into a record, or the reasons why not. */
import { decodePolicy, type FieldError, formatFieldError } from "../policy/decode/index.ts";
import { decodeStored } from "../policy/decode/stored.ts";
import type { Policy, PolicyKind } from "../policy/model/policy.ts";
import type { Path } from "../policy/model/source.ts";
import { helmTemplate } from "./documents.ts";
import { type FieldFault, Fields } from "./fields.ts";
import { classify, currentApiVersion, type ReadKind } from "./kinds.ts";
import { type Metadata, readMetadata } from "./metadata.ts";
import { readNode } from "./node.ts";
import type { RawObject } from "./objects.ts";
import { readPod } from "./pod.ts";
import { aboutField, type Problem, type Severity } from "./problem.ts";
import { type Content, formatIdentity, type ObjectRecord } from "./record.ts";
import { readEndpointSlice, readEndpoints, readService, readServiceCidr } from "./service.ts";
import { readWorkload } from "./workload.ts";

export interface DecodeOptions {
  readonly kubernetesVersion?: string;
  readonly crdChannel?: "standard" | "experimental";
  readonly defaultNamespace: string;
}

export interface Decoded {
  /** null: the object can't be read, or is of no use. */
  readonly record: ObjectRecord | null;
  readonly isIgnored: boolean;
  readonly problems: readonly Problem[];
}

export function decodeObject(raw: RawObject, options: DecodeOptions): Decoded {
  const { apiVersion, kind } = raw;
  const repeated = repeatedKeys(raw);
  const kindClass = classify(apiVersion, kind, hasPodTemplate(raw.value));
  switch (kindClass.is) {
    case "ignored":
      return { record: null, isIgnored: true, problems: repeated };
    case "unsupported": {
      const lacks = kindClass.lacks === "policy" ? "its rules are" : "its pods are";
      const message = `${kind} (${apiVersion}) is not understood: ${lacks} missing from the answers`;
      return {
        record: null,
        isIgnored: true,
        problems: [...repeated, problem(raw, "warning", ["kind"], "unsupported-kind", message)],
      };
    }
    case "unknown": {
      const current = currentApiVersion(kind);
      const hint = current === null || current === apiVersion ? "" : `: Kubernetes has it in ${current}`;
      const message = `no matches for kind "${kind}" in version "${apiVersion}"${hint}`;
      return { record: null, isIgnored: false, problems: [problem(raw, "error", ["kind"], "unknown-kind", message)] };
    }
    case "policy":
      // Repeated fields inside it are the decoder's business.
      if (repeated[0]?.severity === "error") return { record: null, isIgnored: false, problems: repeated };
      return decodePolicyObject(raw, options);
    case "read": {
      const { record, problems } = decodeFacts(raw, kindClass.kind, options);
      return { record, isIgnored: false, problems: [...repeated, ...problems] };
    }
  }
}

function problem(raw: RawObject, severity: Severity, path: Path, code: string, message: string): Problem {
  if (raw.source !== null) return { severity, code, message, position: raw.source.position(path), path };
  return { severity, code, message: `${storedName(raw)}: ${message}`, position: null, path };
}

/** An object of a cluster has no line that says which it is. */
function storedName({ kind, value }: RawObject): string {
  const metadata = new Fields(value, [], []).object("metadata");
  return formatIdentity({ kind, namespace: metadata.string("namespace"), name: metadata.string("name") });
}

/** The top level names things twice when the `---` between two objects was forgotten: the first object is lost. */
function repeatedKeys(raw: RawObject): Problem[] {
  const top = raw.duplicates.find((path) => path.length === 1);
  if (top !== undefined) {
    const message = `${String(top[0])}: the key is there twice: is a line with --- missing?`;
    return [problem(raw, "error", top, "duplicate-key", message)];
  }
  const message = "the key is there twice, the last one counts";
  return raw.duplicates.map((path) => problem(raw, "warning", path, "duplicate-key", aboutField(path, message)));
}

function hasPodTemplate(value: Readonly<Record<string, unknown>>): boolean {
  let at: unknown = value;
  for (const step of ["spec", "template", "spec"]) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return false;
    at = (at as Readonly<Record<string, unknown>>)[step];
  }
  return typeof at === "object" && at !== null && "containers" in at;
}

/** A policy of a file with errors is left out: the API server would not store it. */
function decodePolicyObject(raw: RawObject, options: DecodeOptions): Decoded {
  if (raw.source === null) return decodeStoredPolicy(raw);
  const { policy, errors, warnings } = decodePolicy(raw.value, {
    ...options,
    source: raw.source,
    duplicates: raw.duplicates,
  });
  // An unrendered template has errors everywhere; one cause is enough.
  const template = errors.length === 0 ? null : findTemplate(raw.value, []);
  const problems = [
    ...(template !== null
      ? [problem(raw, "error", template, "helm-template", helmTemplate)]
      : errors.map((error) => problem(raw, "error", error.path, "invalid-policy", policyMessage(error)))),
    ...warnings.map((warning) => problem(raw, "warning", [], "policy-warning", warning)),
  ];
  if (policy === null || errors.length > 0) return { record: null, isIgnored: false, problems };
  const generated = !new Fields(raw.value, [], []).object("metadata").has("name");
  return { record: policyRecord(policy, generated, raw), isIgnored: false, problems };
}

function policyRecord(policy: Policy, generated: boolean, { source }: RawObject): ObjectRecord {
  const { kind, metadata } = policy;
  const { namespace, name } = metadata;
  return { kind, namespace, name, generated, owner: null, source, content: { type: "policy", policy } };
}

/** What is not understood of a stored policy is judged as it is enforced: closed, and told. */
function decodeStoredPolicy(raw: RawObject): Decoded {
  const { policy, errors } = decodeStored(raw.value, raw.kind as PolicyKind);
  const problems = errors
    // That names are not known is said by the answers that depend on it.
    .filter(({ code }) => code !== "C8.7")
    .map((error) => problem(raw, "warning", error.path, "stored-policy", `${policyMessage(error)}: taken as closed`));
  return { record: policyRecord(policy, false, raw), isIgnored: false, problems };
}

/** The server's message for a wrong type names the Go field only. */
const policyMessage = (error: FieldError): string =>
  error.kind === "TypeMismatch" ? aboutField(error.path, formatFieldError(error)) : formatFieldError(error);

/** The path of a string with `{{` in it. */
function findTemplate(value: unknown, path: Path): Path | null {
  if (typeof value === "string") return value.includes("{{") ? path : null;
  if (typeof value !== "object" || value === null) return null;
  for (const [key, item] of Object.entries(value)) {
    const found = findTemplate(item, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found !== null) return found;
  }
  return null;
}

const clusterScoped: ReadonlySet<ReadKind> = new Set<ReadKind>(["Namespace", "Node", "ServiceCIDR"]);

function decodeFacts(
  raw: RawObject,
  kind: ReadKind,
  { defaultNamespace }: DecodeOptions,
): { readonly record: ObjectRecord | null; readonly problems: readonly Problem[] } {
  const faults: FieldFault[] = [];
  const object = new Fields(raw.value, [], faults);
  const metadata = readMetadata(object, { namespaced: !clusterScoped.has(kind), defaultNamespace });
  const content = readContent(kind, object, metadata, raw);
  if (faults.length > 0) {
    const problems = faults.map((fault) =>
      problem(raw, "error", fault.path, fault.code, aboutField(fault.path, fault.message)),
    );
    return { record: null, problems };
  }
  const { namespace, name, generated, owner } = metadata;
  return { record: { kind, namespace, name, generated, owner, source: raw.source, content }, problems: [] };
}

function readContent(kind: ReadKind, object: Fields, metadata: Metadata, { source }: RawObject): Content {
  switch (kind) {
    case "Namespace":
      return { type: "namespace", labels: metadata.labels };
    case "Node":
      return { type: "node", node: readNode(object, metadata, source) };
    case "Pod":
      return { type: "pod", pod: readPod(object, metadata.labels) };
    case "Service":
      return { type: "service", service: readService(object, metadata, source) };
    case "Endpoints":
      return readEndpoints(object, metadata);
    case "EndpointSlice":
      return readEndpointSlice(object, metadata);
    case "ServiceCIDR":
      return readServiceCidr(object);
    default:
      return readWorkload(kind, object, metadata);
  }
}
