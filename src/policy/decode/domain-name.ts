/** Domain names as egress peers of cluster policies (spec C8.7). */

/**
 * The pattern of the CRD, to the letter. Its `A-z` lets `[`, `\`, `]`, `^`, `_` and the backtick through at the start of a label.
 */
export const domainNamePattern =
  "^(\\*\\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$";

const label = /^[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?$/;

const labelsOf = (name: string): string[] => (name.endsWith(".") ? name.slice(0, -1) : name).split(".");

/**
 * Does the CRD accept `text`: at least two labels after an optional leading `*.`, and an optional trailing dot? Checked
 * label by label, because the whole pattern takes quadratic time on hostile input.
 */
export function isDomainNamePattern(text: string): boolean {
  const labels = labelsOf(text.startsWith("*.") ? text.slice(2) : text);
  return labels.length >= 2 && labels.every((part) => label.test(part));
}

/**
 * Does a name match: the very name, or for `*.` one or more whole labels before the rest? Letter case and a trailing dot make no
 * difference. Nothing matches what is no valid pattern.
 */
export function matchesDomainName(pattern: string, name: string): boolean {
  if (!isDomainNamePattern(pattern)) return false;
  const wanted = labelsOf(pattern.toLowerCase());
  const given = labelsOf(name.toLowerCase());
  if (given.some((part) => part === "")) return false;
  if (wanted[0] !== "*") return wanted.length === given.length && wanted.every((part, i) => part === given[i]);
  const rest = wanted.slice(1);
  const extra = given.length - rest.length;
  return extra >= 1 && rest.every((part, i) => part === given[extra + i]);
}
