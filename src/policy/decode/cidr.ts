/** CIDR values: the old lenient rules, the strict ones since Kubernetes 1.36, and the warnings (spec B5.5, B6). */
import { cidrRange, familyBits, formatAddress, formatCidr, parseCidr } from "../../net/address.ts";
import { formatPath } from "../model/source.ts";
import { type FieldError, invalid } from "./field-error.ts";
import { quote } from "./go-format.ts";
import { type Place, pathOf } from "./place.ts";

const none: readonly never[] = [];

/** Are strict CIDRs on by default in this Kubernetes version (spec B6.1)? Versions that can't be read count as new. */
export function hasStrictCidrs(kubernetesVersion: string): boolean {
  const match = /^v?(\d+)\.(\d+)/.exec(kubernetesVersion);
  if (match === null) return true;
  const major = Number(match[1]);
  return major > 1 || (major === 1 && Number(match[2]) >= 36);
}

/** At most one error (spec B5.5, B6.2). */
export function validateCidr(text: string, at: Place, strict: boolean): readonly FieldError[] {
  const parsed = parseCidr(text);
  if (parsed === null) {
    return [invalid("B5.5", pathOf(at), text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")];
  }
  if (!strict || parsed.spelling.canonical) return none;
  const { leadingZeros, ipv4Mapped, hostBits } = parsed.spelling;
  const problem = leadingZeros
    ? "must not have leading 0s in IP or prefix length"
    : ipv4Mapped
      ? "must not have an IPv4-mapped IPv6 address"
      : hostBits
        ? "must not have bits set beyond the prefix length"
        : null;
  return problem === null ? none : [invalid("B6.2", pathOf(at), text, problem)];
}

/** What the server warns about in a CIDR that it accepts (spec B6.5). */
export function cidrWarnings(text: string, place: Place): readonly string[] {
  const parsed = parseCidr(text);
  if (parsed === null || parsed.spelling.canonical) return none;
  const { cidr, address, spelling } = parsed;
  const warnings: string[] = [];
  const at = formatPath(pathOf(place));
  const canonical = formatCidr(cidr);
  if (spelling.hostBits) {
    const single = `${formatAddress(address)}/${familyBits(address.family)}`;
    warnings.push(
      `${at}: CIDR value ${quote(text)} is ambiguous in this context (should be ${quote(canonical)} or ${quote(single)}?)`,
    );
  }
  if (spelling.leadingZeros || spelling.ipv4Mapped) {
    warnings.push(`${at}: non-standard CIDR value ${quote(text)} is invalid: use ${quote(canonical)}`);
  }
  if (warnings.length === 0 && cidr.family === "IPv6") {
    warnings.push(`${at}: IPv6 CIDR value ${quote(text)} should be in RFC 5952 canonical format (${quote(canonical)})`);
  }
  return warnings;
}

/**
 * Is `inner` inside `outer` and smaller (spec B5.7)? Sizes are compared as they are written, as the server does, which
 * matters for IPv4-mapped networks. Both must be CIDRs that some Kubernetes version accepts.
 */
export function isStrictSubset(inner: string, outer: string): boolean {
  const a = parseCidr(inner);
  const b = parseCidr(outer);
  if (a === null || b === null || a.cidr.family !== b.cidr.family) return false;
  const { start, end } = cidrRange(b.cidr);
  return a.cidr.value >= start && a.cidr.value <= end && writtenPrefix(inner) > writtenPrefix(outer);
}

const writtenPrefix = (text: string): number => Number(text.slice(text.indexOf("/") + 1));

/** CEL's `isCIDR`: host bits pass, leading zeros, zones and IPv4-mapped addresses do not (spec C8.4). */
export function isCelCidr(text: string): boolean {
  const parsed = parseCidr(text);
  return parsed !== null && !parsed.spelling.leadingZeros && !parsed.spelling.ipv4Mapped;
}
