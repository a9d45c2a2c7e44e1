/** IP addresses and CIDRs, read as the Kubernetes API server reads them (spec B6, A11.5–A11.7). */
import { bigintSteps, contains, intersect, minus, normalize, type Range, type Ranges, union } from "./interval.ts";

export type Family = "IPv4" | "IPv6";
export const families: readonly Family[] = ["IPv4", "IPv6"];

const bits: Readonly<Record<Family, number>> = { IPv4: 32, IPv6: 128 };

/** Number of bits of an address of a family. */
export const familyBits = (family: Family): number => bits[family];

/** A parsed address; `value` is its unsigned big-endian number. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** In network byte order: 4 or 16 bytes. */
export function addressBytes({ family, value }: Address): Uint8Array {
  const bytes = new Uint8Array(familyBits(family) / 8);
  const view = new DataView(bytes.buffer);
  if (family === "IPv4") {
    view.setUint32(0, Number(value));
  } else {
    view.setBigUint64(0, value >> 64n);
    view.setBigUint64(8, value & 0xffff_ffff_ffff_ffffn);
  }
  return bytes;
}

/** A network; INVARIANT: the bits of `value` beyond `prefix` are 0. */
export interface Cidr {
  readonly family: Family;
  readonly value: bigint;
  readonly prefix: number;
}

/** What was unusual about the text of a parsed address or CIDR. Only `canonical` texts have none of the flags (spec B6.2, B6.5). */
export interface Spelling {
  readonly leadingZeros: boolean;
  readonly ipv4Mapped: boolean;
  readonly hostBits: boolean;
  readonly canonical: boolean;
}

const mappedPrefix = 0xffff_0000_0000n;

interface ParsedAddress {
  readonly address: Address;
  readonly leadingZeros: boolean;
  readonly ipv4Mapped: boolean;
}

function parseIPv4(text: string): { value: bigint; leadingZeros: boolean } | null {
  let value = 0;
  let leadingZeros = false;
  let dots = 0;
  let octet = 0; // decimal even with leading zeros: spec A11.6
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      octet = octet * 10 + digit;
      if (octet > 255 || ++digits > 16) return null;
      continue;
    }
    if (digits === 0 || (i < text.length && (text[i] !== "." || ++dots > 3))) return null;
    if (digits > 1 && text[i - digits] === "0") leadingZeros = true;
    value = value * 256 + octet;
    octet = 0;
    digits = 0;
  }
  return dots === 3 ? { value: BigInt(value), leadingZeros } : null;
}

/** Of a hexadecimal digit's character; -1 for any other. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20; // lower case
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

const colon = 0x3a;
const dot = 0x2e;
/** The groups of the address that is being read, those behind `::` right behind those before it. */
const read = new Uint16Array(8);

function parseIPv6(text: string): { value: bigint; leadingZeros: boolean } | null {
  let leadingZeros = false;
  let count = 0;
  let gap = -1; // so many groups stand before `::`
  let at = 0;
  if (text.startsWith("::")) {
    gap = 0;
    at = 2;
  }
  while (at < text.length) {
    let group = 0;
    let end = at;
    for (let digit = hexDigit(text.charCodeAt(end)); digit >= 0; digit = hexDigit(text.charCodeAt(++end)))
      group = group * 16 + digit;
    const next = text.charCodeAt(end); // NaN at the end of the text
    if (next === dot) {
      const v4 = count > 6 ? null : parseIPv4(text.slice(at));
      if (v4 === null) return null;
      leadingZeros = v4.leadingZeros;
      read[count++] = Number(v4.value >> 16n);
      read[count++] = Number(v4.value & 0xffffn);
      break;
    }
    if (end === at || end - at > 4 || count === 8) return null;
    read[count++] = group;
    if (end === text.length) break;
    if (next !== colon) return null;
    at = end + 1;
    if (at === text.length) return null;
    if (text.charCodeAt(at) !== colon) continue;
    if (gap >= 0) return null;
    gap = count;
    at++;
  }
  if (gap < 0 ? count !== 8 : count === 8) return null;
  const missing = 8 - count;
  const of = (i: number): number => (gap < 0 || i < gap ? read[i]! : i < gap + missing ? 0 : read[i - missing]!);
  const high = of(0) * 2 ** 32 + of(1) * 2 ** 16 + of(2);
  const middle = of(3) * 2 ** 32 + of(4) * 2 ** 16 + of(5);
  const low = of(6) * 2 ** 16 + of(7);
  return { value: (BigInt(high) << 80n) | (BigInt(middle) << 32n) | BigInt(low), leadingZeros };
}

function parseSpelled(text: string): ParsedAddress | null {
  if (text.includes(":")) {
    const v6 = parseIPv6(text);
    if (v6 === null) return null;
    if (v6.value >> 32n === mappedPrefix >> 32n) {
      // Go keeps IPv4-mapped addresses as IPv4: spec A11.7
      return {
        address: { family: "IPv4", value: v6.value & 0xffff_ffffn },
        leadingZeros: v6.leadingZeros,
        ipv4Mapped: true,
      };
    }
    return { address: { family: "IPv6", value: v6.value }, leadingZeros: v6.leadingZeros, ipv4Mapped: false };
  }
  const v4 = parseIPv4(text);
  return v4 === null
    ? null
    : { address: { family: "IPv4", value: v4.value }, leadingZeros: v4.leadingZeros, ipv4Mapped: false };
}

/** Parses an address; `null` when the API server would not accept it under its old, lenient rules (spec B6.6). */
export function parseAddress(text: string): Address | null {
  return parseSpelled(text)?.address ?? null;
}

/** The network of the first `prefix` bits of an address. */
export function network(address: Address, prefix: number): Cidr {
  const shift = BigInt(bits[address.family] - prefix);
  return { family: address.family, value: (address.value >> shift) << shift, prefix };
}

/** The one-address network of an address. */
export const hostCidr = (address: Address): Cidr => ({ ...address, prefix: bits[address.family] });

export interface ParsedCidr {
  readonly cidr: Cidr;
  readonly address: Address;
  readonly spelling: Spelling;
}

/** Policies repeat a few CIDRs over and over, and each is looked at several times on its way. */
const parsedCidrs = new Map<string, ParsedCidr | null>();
const rememberedCidrs = 5000;
/** Characters of the longest text that is remembered: any that is written sensibly. */
const cidrLength = 50;

/**
 * Parses `address/prefix`; host bits are masked away (spec A11.5), an IPv4-mapped network becomes its IPv4 network (A11.7).
 * `null` when no Kubernetes version accepts the text.
 */
export function parseCidr(text: string): ParsedCidr | null {
  if (text.length > cidrLength) return parseNewCidr(text);
  const known = parsedCidrs.get(text);
  if (known !== undefined) return known;
  if (parsedCidrs.size >= rememberedCidrs) parsedCidrs.clear();
  const parsed = parseNewCidr(text);
  parsedCidrs.set(text, parsed);
  return parsed;
}

function parseNewCidr(text: string): ParsedCidr | null {
  const slash = text.indexOf("/");
  if (slash < 0) return null;
  const parsed = parseSpelled(text.slice(0, slash));
  const prefixText = text.slice(slash + 1);
  if (parsed === null || !/^[0-9]+$/.test(prefixText) || prefixText.length > 8) return null;
  const written = Number(prefixText);
  if (written > (parsed.ipv4Mapped ? 128 : bits[parsed.address.family])) return null;
  if (parsed.ipv4Mapped && written < 96) {
    // ::ffff:0:0/90 and the like cover more than the mapped range: an IPv6 network in Go as well.
    const address: Address = { family: "IPv6", value: mappedPrefix | parsed.address.value };
    const cidr = network(address, written);
    const spelling = {
      leadingZeros: parsed.leadingZeros,
      ipv4Mapped: true,
      hostBits: cidr.value !== address.value,
      canonical: false,
    };
    return { cidr, address, spelling };
  }
  const prefix = parsed.ipv4Mapped ? written - 96 : written;
  const cidr = network(parsed.address, prefix);
  const leadingZeros = parsed.leadingZeros || (prefixText.length > 1 && prefixText.startsWith("0"));
  return {
    cidr,
    address: parsed.address,
    spelling: {
      leadingZeros,
      ipv4Mapped: parsed.ipv4Mapped,
      hostBits: cidr.value !== parsed.address.value,
      canonical: formatCidr(cidr) === text,
    },
  };
}

/** RFC 5952 for IPv6, dotted quad for IPv4. */
export function formatAddress({ family, value }: Address): string {
  if (family === "IPv4") {
    const quad = Number(value);
    return `${quad >>> 24}.${(quad >>> 16) & 255}.${(quad >>> 8) & 255}.${quad & 255}`;
  }
  const groups: number[] = [];
  for (const shift of [96n, 64n, 32n, 0n]) {
    const two = Number(BigInt.asUintN(32, value >> shift));
    groups.push(two >>> 16, two & 0xffff);
  }
  let best = { start: -1, length: 1 }; // a single zero group is not compressed
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
    if (length > 0) i += length - 1;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(":");
  return best.start < 0 ? hex(0, 8) : `${hex(0, best.start)}::${hex(best.start + best.length, 8)}`;
}

/**
 * Texts that surely are canonical addresses already, as nearly all that the API server tells: dotted quads without leading zeros; IPv6
 * in lower case without leading zeros, without groups of 0, and not IPv4-mapped. The rest is parsed.
 */
const quad = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const eightGroups = /^[1-9a-f][0-9a-f]{0,3}(?::[1-9a-f][0-9a-f]{0,3}){7}$/;
const fewGroups = /^(?!.*::.*::)(?!(?:[^:]*:+){7})(?!::ffff:)(?:[1-9a-f][0-9a-f]{0,3}:)+(?::[1-9a-f][0-9a-f]{0,3})+$/;

const isCanonical = (text: string): boolean => quad.test(text) || fewGroups.test(text) || eightGroups.test(text);

/** An address in canonical spelling: the text itself where it is that; null when `parseAddress` gives null. */
export function canonicalAddress(text: string): string | null {
  if (isCanonical(text)) return text;
  const address = parseAddress(text);
  if (address === null) return null;
  const formatted = formatAddress(address);
  return formatted === text ? text : formatted; // the caller's is in memory already
}

export const formatCidr = ({ prefix, ...address }: Cidr): string => `${formatAddress(address)}/${prefix}`;

/** First and last address of a network. */
export function cidrRange({ family, value, prefix }: Cidr): Range<bigint> {
  return { start: value, end: value | ((1n << BigInt(bits[family] - prefix)) - 1n) };
}

export function cidrContains(cidr: Cidr, address: Address): boolean {
  if (cidr.family !== address.family) return false; // spec A11.3
  const shift = BigInt(bits[cidr.family] - cidr.prefix);
  return cidr.value >> shift === address.value >> shift;
}

/** An immutable set of addresses of both families. */
export class AddressSet {
  static readonly empty: AddressSet = new AddressSet({ IPv4: [], IPv6: [] });
  static readonly all: AddressSet = AddressSet.ofCidrs(families.map((family) => ({ family, value: 0n, prefix: 0 })));

  readonly byFamily: Readonly<Record<Family, Ranges<bigint>>>;
  #key: string | undefined;

  private constructor(byFamily: Readonly<Record<Family, Ranges<bigint>>>) {
    this.byFamily = byFamily;
  }

  static ofCidrs(cidrs: Iterable<Cidr>): AddressSet {
    const lists: Record<Family, Range<bigint>[]> = { IPv4: [], IPv6: [] };
    for (const cidr of cidrs) lists[cidr.family].push(cidrRange(cidr));
    return new AddressSet({ IPv4: normalize(lists.IPv4, bigintSteps), IPv6: normalize(lists.IPv6, bigintSteps) });
  }

  static ofRanges(family: Family, ranges: readonly Range<bigint>[]): AddressSet {
    const normal = normalize(ranges, bigintSteps);
    return new AddressSet(family === "IPv4" ? { IPv4: normal, IPv6: [] } : { IPv4: [], IPv6: normal });
  }

  static ofAddresses(addresses: Iterable<Address>): AddressSet {
    return AddressSet.ofCidrs(Array.from(addresses, hostCidr));
  }

  has(address: Address): boolean {
    return contains(this.byFamily[address.family], address.value);
  }

  get isEmpty(): boolean {
    return families.every((f) => this.byFamily[f].length === 0);
  }

  /** Does the set hold every address of a family? */
  coversFamily(family: Family): boolean {
    return minus(AddressSet.all.byFamily[family], this.byFamily[family], bigintSteps).length === 0;
  }

  union(other: AddressSet): AddressSet {
    return this.#combine(other, (a, b) => union(a, b, bigintSteps));
  }

  intersect(other: AddressSet): AddressSet {
    return this.#combine(other, intersect);
  }

  minus(other: AddressSet): AddressSet {
    return this.#combine(other, (a, b) => minus(a, b, bigintSteps));
  }

  contains(other: AddressSet): boolean {
    return other.minus(this).isEmpty;
  }

  equals(other: AddressSet): boolean {
    return this.key === other.key;
  }

  /** Equal sets have equal keys. */
  get key(): string {
    this.#key ??= families
      .flatMap((f) =>
        this.byFamily[f].map((r) => `${f === "IPv4" ? 4 : 6}:${r.start.toString(36)}-${r.end.toString(36)}`),
      )
      .join(",");
    return this.#key;
  }

  /** The fewest CIDRs that make up the set, IPv4 first, ascending. */
  cidrs(): Cidr[] {
    const out: Cidr[] = [];
    for (const family of families) {
      for (const range of this.byFamily[family]) {
        let start = range.start;
        while (start <= range.end) {
          let size = 0; // log2 of the block
          while (
            size < bits[family] &&
            (start & ((1n << BigInt(size + 1)) - 1n)) === 0n &&
            start + (1n << BigInt(size + 1)) - 1n <= range.end
          )
            size++;
          out.push({ family, value: start, prefix: bits[family] - size });
          start += 1n << BigInt(size);
        }
      }
    }
    return out;
  }

  #combine(other: AddressSet, f: (a: Ranges<bigint>, b: Ranges<bigint>) => Ranges<bigint>): AddressSet {
    return new AddressSet({
      IPv4: f(this.byFamily.IPv4, other.byFamily.IPv4),
      IPv6: f(this.byFamily.IPv6, other.byFamily.IPv6),
    });
  }
}
