/** Sets of (protocol, destination port) pairs. */
import { contains, intersect, minus, normalize, numberSteps, type Range, type Ranges, union } from "./interval.ts";

/**
 * The protocols that policies tell apart. `other` stands for every IP protocol that has no ports in the API (ICMP, ESP, …):
 * spec A15.3, C9.1. It is one point, port 0.
 */
export type Protocol = "TCP" | "UDP" | "SCTP" | "other";
/** The protocols that have ports. */
export type PortProtocol = Exclude<Protocol, "other">;

export const portProtocols: readonly PortProtocol[] = ["TCP", "UDP", "SCTP"];

/** As IANA numbers them. */
export const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const satisfies Readonly<Record<PortProtocol, number>>;
export const protocols: readonly Protocol[] = [...portProtocols, "other"];

export const minPort = 1;
export const maxPort = 65535;

const everyPort: Ranges<number> = [{ start: minPort, end: maxPort }];
const everyOther: Ranges<number> = [{ start: 0, end: 0 }];

/** One contiguous piece of a port set. For `other` start and end are 0. */
export interface PortRange {
  readonly protocol: Protocol;
  readonly start: number;
  readonly end: number;
}

/**
 * An immutable set of (protocol, port) pairs; ports 1–65535 of TCP, UDP and SCTP, and the single point `other`.
 * Port 0 is no port: it can't be allowed by a policy.
 */
export class PortSet {
  static readonly empty: PortSet = new PortSet({ TCP: [], UDP: [], SCTP: [], other: [] });
  /** Every port of every protocol, `other` included. */
  static readonly all: PortSet = new PortSet({ TCP: everyPort, UDP: everyPort, SCTP: everyPort, other: everyOther });
  /** Every port of TCP, UDP and SCTP: what `any` means in a question. */
  static readonly allPorts: PortSet = new PortSet({ TCP: everyPort, UDP: everyPort, SCTP: everyPort, other: [] });

  readonly byProtocol: Readonly<Record<Protocol, Ranges<number>>>;
  #key: string | undefined;

  private constructor(byProtocol: Readonly<Record<Protocol, Ranges<number>>>) {
    this.byProtocol = byProtocol;
  }

  /** Ports outside 1–65535 are cut off; an inverted range is empty (spec C16.4). */
  static of(ranges: Iterable<PortRange>): PortSet {
    const lists: Record<Protocol, Range<number>[]> = { TCP: [], UDP: [], SCTP: [], other: [] };
    for (const { protocol, start, end } of ranges) {
      if (protocol === "other") lists.other.push({ start: 0, end: 0 });
      else lists[protocol].push({ start: Math.max(start, minPort), end: Math.min(end, maxPort) });
    }
    return new PortSet({
      TCP: normalize(lists.TCP, numberSteps),
      UDP: normalize(lists.UDP, numberSteps),
      SCTP: normalize(lists.SCTP, numberSteps),
      other: normalize(lists.other, numberSteps),
    });
  }

  static single(protocol: Protocol, port: number): PortSet {
    return PortSet.of([{ protocol, start: port, end: port }]);
  }

  static protocol(protocol: Protocol): PortSet {
    return PortSet.of([{ protocol, start: minPort, end: maxPort }]);
  }

  has(protocol: Protocol, port: number): boolean {
    return contains(this.byProtocol[protocol], protocol === "other" ? 0 : port);
  }

  get isEmpty(): boolean {
    const { TCP, UDP, SCTP, other } = this.byProtocol;
    return TCP.length === 0 && UDP.length === 0 && SCTP.length === 0 && other.length === 0;
  }

  get isAll(): boolean {
    return this.equals(PortSet.all);
  }

  union(other: PortSet): PortSet {
    if (this === other || other.isEmpty) return this;
    if (this.isEmpty) return other;
    return this.#combine(other, (a, b) => union(a, b, numberSteps));
  }

  intersect(other: PortSet): PortSet {
    if (this === other || other === PortSet.all) return this;
    if (this === PortSet.all) return other;
    return this.#combine(other, intersect);
  }

  minus(other: PortSet): PortSet {
    if (this === other) return PortSet.empty;
    if (other.isEmpty) return this;
    return this.#combine(other, (a, b) => minus(a, b, numberSteps));
  }

  equals(other: PortSet): boolean {
    return this.key === other.key;
  }

  /** Equal sets have equal keys; short and stable, usable as a map key or in a hash. */
  get key(): string {
    this.#key ??= protocols
      .filter((p) => this.byProtocol[p].length > 0)
      .map(
        (p) =>
          `${p}:${this.byProtocol[p].map((r) => (r.start === r.end ? `${r.start}` : `${r.start}-${r.end}`)).join(",")}`,
      )
      .join(";");
    return this.#key;
  }

  *ranges(): Generator<PortRange> {
    for (const protocol of protocols)
      for (const { start, end } of this.byProtocol[protocol]) yield { protocol, start, end };
  }

  #combine(other: PortSet, f: (a: Ranges<number>, b: Ranges<number>) => Ranges<number>): PortSet {
    const a = this.byProtocol;
    const b = other.byProtocol;
    return new PortSet({
      TCP: f(a.TCP, b.TCP),
      UDP: f(a.UDP, b.UDP),
      SCTP: f(a.SCTP, b.SCTP),
      other: f(a.other, b.other),
    });
  }
}
