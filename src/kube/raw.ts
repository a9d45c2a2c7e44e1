/** Reading API objects field by field. What has the wrong type is absent: a server's stored objects are what they are. */
import { canonicalAddress, formatCidr, parseCidr } from "../net/address.ts";
import type { Labels } from "../policy/model/labels.ts";

export type Raw = Readonly<Record<string, unknown>>;

const nothing: Raw = {};

export const isRaw = (value: unknown): value is Raw =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Without fields when it is no object. */
export const raw = (value: unknown): Raw => (isRaw(value) ? value : nothing);

export const text = (value: unknown): string => (typeof value === "string" ? value : "");

const none: readonly never[] = [];

/** The elements that are objects. */
export const objects = (value: unknown): readonly Raw[] => (Array.isArray(value) ? value.filter(isRaw) : none);

export const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : none;

const noLabels: Labels = {};

/** A map of strings. The object itself where nothing else is in it: it was parsed for us alone. */
export function labels(value: unknown): Labels {
  if (!isRaw(value)) return noLabels;
  for (const key in value) {
    if (typeof value[key] !== "string") {
      return Object.fromEntries(Object.entries(value).filter((entry) => typeof entry[1] === "string")) as Labels;
    }
  }
  return value as Labels;
}

/** In canonical spelling; those that are none are left out. */
export const addresses = (list: readonly string[]): string[] => list.flatMap((item) => canonicalAddress(item) ?? []);

/** In canonical spelling; those that are none are left out. */
export const cidrs = (list: readonly string[]): string[] =>
  list.flatMap((item) => {
    const parsed = parseCidr(item);
    return parsed === null ? [] : [formatCidr(parsed.cidr)];
  });
