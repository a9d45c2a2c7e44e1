/** Object metadata (spec B2): what the API server checks of it on create and on update. */
import type { Labels } from "../model/labels.ts";
import type { Path } from "../model/source.ts";
import { type FieldError, invalid, notSupported, required, tooLong } from "./field-error.ts";
import { byteLength, dnsLabelProblems, dnsSubdomainProblems, labelKeyProblems } from "./names.ts";
import { below } from "./place.ts";
import { validateLabels } from "./selector.ts";

interface OwnerReference {
  readonly apiVersion?: string | null;
  readonly kind?: string | null;
  readonly name?: string | null;
  readonly uid?: string | null;
  readonly controller?: boolean | null;
}

interface ManagedFields {
  readonly manager?: string | null;
  readonly operation?: string | null;
  readonly fieldsType?: string | null;
}

type Maybe<T> = T | null;

/** `metadata` after decoding as `objectMeta`. */
export interface DecodedMeta {
  readonly name?: Maybe<string>;
  readonly generateName?: Maybe<string>;
  readonly namespace?: Maybe<string>;
  readonly uid?: Maybe<string>;
  readonly resourceVersion?: Maybe<string>;
  readonly creationTimestamp?: Maybe<string>;
  readonly deletionTimestamp?: Maybe<string>;
  readonly deletionGracePeriodSeconds?: Maybe<number>;
  readonly labels?: Maybe<Labels>;
  readonly annotations?: Maybe<Readonly<Record<string, string>>>;
  readonly ownerReferences?: Maybe<readonly OwnerReference[]>;
  readonly finalizers?: Maybe<readonly string[]>;
  readonly managedFields?: Maybe<readonly ManagedFields[]>;
}

const root: Path = ["metadata"];
const at = (...steps: Path): Path => [...root, ...steps];
const labelsPlace = below(below(null, "metadata"), "labels");
const isEmpty = (text: string | null | undefined): text is "" | null | undefined => (text ?? "") === "";

const annotationBytes = 256 * 1024;

function validateAnnotations(annotations: Readonly<Record<string, string>>): FieldError[] {
  const path = at("annotations");
  const errors = Object.keys(annotations).flatMap((key) =>
    labelKeyProblems(key.toLowerCase()).map((problem) => invalid("B2.6", path, key, problem)),
  );
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) size += byteLength(key) + byteLength(value);
  if (size > annotationBytes) errors.push(tooLong("B2.6", path, annotationBytes));
  return errors;
}

function validateOwner(owner: OwnerReference, path: Path): FieldError[] {
  const errors: FieldError[] = [];
  const { apiVersion = "" } = owner;
  if (isEmpty(apiVersion)) {
    errors.push(required("B2.7", [...path, "apiVersion"], "must not be empty"));
  } else if (!/^([^/]*\/)?[^/]+$/.test(apiVersion)) {
    errors.push(invalid("B2.7", [...path, "apiVersion"], apiVersion, "must be <group>/<version> or <version>"));
  }
  for (const field of ["kind", "name", "uid"] as const) {
    if (isEmpty(owner[field])) errors.push(required("B2.7", [...path, field], "must not be empty"));
  }
  if (apiVersion === "v1" && owner.kind === "Event") {
    errors.push(invalid("B2.7", path, owner, "/v1, Kind=Event is disallowed from being an owner"));
  }
  return errors;
}

function validateOwners(owners: readonly OwnerReference[]): FieldError[] {
  const path = at("ownerReferences");
  const errors = owners.flatMap((owner, i) => validateOwner(owner, [...path, i]));
  const [first, ...more] = owners.filter((o) => o.controller === true).map((o) => `${o.kind ?? ""}/${o.name ?? ""}`);
  for (const other of more) {
    const detail = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${other}`;
    errors.push(invalid("B2.7", path, owners, detail));
  }
  return errors;
}

function validateFinalizers(finalizers: readonly string[]): FieldError[] {
  const path = at("finalizers");
  const errors = finalizers.flatMap((name) => labelKeyProblems(name).map((p) => invalid("B2.7", path, name, p)));
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    errors.push(invalid("B2.7", path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"));
  }
  return errors;
}

const operations = ["Apply", "Update"];
const managerBytes = 128;

function validateManagedFields(entries: readonly ManagedFields[]): FieldError[] {
  return entries.flatMap((entry, i) => {
    const path = at("managedFields", i);
    const errors: FieldError[] = [];
    const { operation, fieldsType, manager } = entry;
    if (isEmpty(operation)) errors.push(required("B2.7", [...path, "operation"], "must not be empty"));
    else if (!operations.includes(operation)) {
      errors.push(notSupported("B2.7", [...path, "operation"], operation, operations));
    }
    if (!isEmpty(fieldsType) && fieldsType !== "FieldsV1") {
      errors.push(invalid("B2.7", [...path, "fieldsType"], fieldsType, "must be `FieldsV1`"));
    }
    if (byteLength(manager ?? "") > managerBytes) errors.push(tooLong("B2.7", [...path, "manager"], managerBytes));
    return errors;
  });
}

/** What create and update check alike. */
function validateCommon(meta: DecodedMeta): FieldError[] {
  return [
    ...validateLabels(meta.labels, labelsPlace, { key: "B2.5", value: "B2.5" }),
    ...validateAnnotations(meta.annotations ?? {}),
    ...validateOwners(meta.ownerReferences ?? []),
  ];
}

/** A trailing dash of a prefix is fine, characters will follow it. The server overwrites the one before the dash as well. */
const maskDash = (prefix: string): string =>
  prefix.length > 1 && prefix.endsWith("-") ? `${prefix.slice(0, -2)}a` : prefix;

/** Metadata of an object to create (spec B2.1–B2.7). Names are DNS subdomains in every kind of policy. */
export function validateMetadata(meta: DecodedMeta, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const { name, generateName, namespace } = meta;
  if (!isEmpty(generateName)) {
    for (const problem of dnsSubdomainProblems(maskDash(generateName))) {
      errors.push(invalid("B2.3", at("generateName"), generateName, problem));
    }
  }
  if (!isEmpty(name)) {
    for (const problem of dnsSubdomainProblems(name)) errors.push(invalid("B2.2", at("name"), name, problem));
  } else if (isEmpty(generateName)) {
    errors.push(required("B2.1", at("name"), "name or generateName is required"));
  }
  if (namespaced) {
    if (isEmpty(namespace)) errors.push(required("B2.4", at("namespace")));
    else {
      for (const p of dnsLabelProblems(namespace)) errors.push(invalid("B2.4", at("namespace"), namespace, p));
    }
  }
  return [
    ...errors,
    ...validateCommon(meta),
    ...validateFinalizers(meta.finalizers ?? []),
    ...validateManagedFields(meta.managedFields ?? []),
  ];
}

/** Fields that the server copies from the stored object when a request leaves them out. */
const kept = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] as const;

/** Metadata of an update (spec B2.8); resourceVersion is the caller's business (B2.9). */
export function validateMetadataUpdate(old: DecodedMeta, next: DecodedMeta): FieldError[] {
  const errors: FieldError[] = [];
  const immutable = (field: keyof DecodedMeta, value: unknown): void => {
    errors.push(invalid("B2.8", at(field), value, "field is immutable"));
  };
  for (const field of ["name", "namespace"] as const) {
    if ((next[field] ?? "") !== (old[field] ?? "")) immutable(field, next[field] ?? "");
  }
  for (const field of kept) {
    if (!isEmpty(next[field]?.toString()) && next[field] !== (old[field] ?? null)) immutable(field, next[field]);
  }
  return [...errors, ...validateCommon(next), ...validateManagedFields(next.managedFields ?? [])];
}
