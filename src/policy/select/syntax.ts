/** What the API server takes as a label key and a label value (spec B3.1, B3.2). */

const name = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const dnsLabel = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/** Is `key` `[prefix/]name`, the prefix a DNS subdomain of at most 253 characters? */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  if (slash < 0) return name.test(key);
  const prefix = key.slice(0, slash);
  return (
    prefix.length <= 253 && prefix.split(".").every((part) => dnsLabel.test(part)) && name.test(key.slice(slash + 1))
  );
}

/** The empty value is valid. */
export const isLabelValue = (value: string): boolean => value === "" || name.test(value);
