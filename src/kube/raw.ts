/** Reading API objects field by field. What has the wrong type is absent: a server's stored objects are what they are. */
import { formatAddress, formatCidr, parseAddress, parseCidr } from "../net/address.ts";
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

/**
 * Texts that surely are canonical addresses already, as nearly all of the API are: dotted quads without leading zeros; IPv6
 * in lower case without leading zeros, without groups of 0, and not IPv4-mapped. The rest is parsed.
 */
const quad = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const eightGroups = /^[1-9a-f][0-9a-f]{0,3}(?::[1-9a-f][0-9a-f]{0,3}){7}$/;
const fewGroups = /^(?!.*::.*::)(?!(?:[^:]*:+){7})(?!::ffff:)(?:[1-9a-f][0-9a-f]{0,3}:)+(?::[1-9a-f][0-9a-f]{0,3})+$/;

const isCanonical = (item: string): boolean => quad.test(item) || fewGroups.test(item) || eightGroups.test(item);

/** In canonical spelling; those that are none are left out. */
export const addresses = (list: readonly string[]): string[] =>
  list.flatMap((item) => {
    if (isCanonical(item)) return [item];
    const address = parseAddress(item);
    return address === null ? [] : [formatAddress(address)];
  });

/** In canonical spelling; those that are none are left out. */
export const cidrs = (list: readonly string[]): string[] =>
  list.flatMap((item) => {
    const parsed = parseCidr(item);
    return parsed === null ? [] : [formatCidr(parsed.cidr)];
  });
