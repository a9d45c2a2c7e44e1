/** Numbers of classes and tables in the kernel's 32-bit keys. */
import type { Direction } from "../policy/model/verdict.ts";
import type { Room } from "./closed.ts";
import type { Hash } from "./names.ts";

/** Subject classes have the upper 12 bits of a key, peer classes and tables the lower 20. */
export const subjectBits = 12;
const lowBits = 20;
const maxLow = 2 ** lowBits - 1;

/** The number of a peer class that is `nobody` by an entry of its own: 0 would mean that there is no entry. */
export const explicitNobody = maxLow;

/** Of a table's 20 bits the upper 3 tell which maps hold elements of it, so that the others need no lookup. */
const tableBits = 17;
export const tableFlags = { ranges: 4 << tableBits, ports: 2 << tableBits, protocols: 1 << tableBits } as const;

/** nft's type of `meta priority`: two hexadecimal halves. */
export const classid = (value: number): string => `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;

/** Inverse of `classid`, of what nft prints. */
export function parseClassid(text: string): number {
  if (text === "none") return 0;
  const [high = "", low = ""] = text.split(":");
  const value = Number.parseInt(high === "" ? "0" : high, 16) * 0x10000 + Number.parseInt(low === "" ? "0" : low, 16);
  if (Number.isNaN(value)) throw new Error(`not a class id: ${text}`);
  return value;
}

/** The key of a subject class and a peer class (0 for `nobody`). */
export const pairKey = (subject: number, peer: number): number => subject * 2 ** lowBits + peer;
export const splitKey = (key: number): { subject: number; low: number } => ({
  subject: key >>> lowBits,
  low: key & maxLow,
});

/** Keeps the subject's part of a key. */
export const subjectMask: string = classid(pairKey(2 ** subjectBits - 1, 0));

/** Hands out numbers from 1, a number that was given back last of all; flags above them are the caller's. */
export class Numbers {
  readonly #what: string;
  readonly #limit: number;
  readonly #mask: number;
  readonly #byHash = new Map<Hash, number>();
  readonly #free: number[] = [];
  #next = 1;

  /**
   * @param bits of a number, without flags
   * @param limit the greatest number
   */
  constructor(what: string, bits: number, limit: number) {
    this.#what = what;
    this.#mask = 2 ** bits - 1;
    this.#limit = limit;
  }

  /** Takes over a number, with its flags, that the kernel already uses. */
  adopt(hash: Hash, number: number): void {
    this.#byHash.set(hash, number);
    const own = number & this.#mask;
    for (; this.#next <= own; this.#next++) if (this.#next < own) this.#free.push(this.#next);
    const free = this.#free.indexOf(own);
    if (free >= 0) this.#free.splice(free, 1);
  }

  /** How many more there is room for. */
  get left(): number {
    return this.#limit - this.#byHash.size;
  }

  /** @throws when there are more than a key has room for */
  add(hash: Hash, flags = 0): number {
    const known = this.#byHash.get(hash);
    if (known !== undefined) return known;
    const own = this.#free.shift() ?? this.#next++;
    if (own > this.#limit) throw new Error(`more than ${this.#limit} ${this.#what} on one node`);
    this.#byHash.set(hash, own + flags);
    return own + flags;
  }

  /** The number with its flags. */
  of(hash: Hash): number {
    const number = this.#byHash.get(hash);
    if (number === undefined) throw new Error(`no number for ${this.#what} ${hash}`);
    return number;
  }

  release(hash: Hash): void {
    const number = this.#byHash.get(hash);
    if (number === undefined) return;
    this.#byHash.delete(hash);
    this.#free.push(number & this.#mask);
  }
}

export interface DirectionNumbers {
  readonly subjects: Numbers;
  readonly peers: Numbers;
  readonly tables: Numbers;
}

export type KernelNumbers = Readonly<Record<Direction, DirectionNumbers>>;

/** Subjects from here on are no classes: their keys say how far a packet has got, see `skeleton.ts`. */
export const firstSign = 2 ** subjectBits - 4;

/** What keys have room for, in one direction. */
export const fullRoom: Room = { subjects: firstSign - 1, tables: 2 ** tableBits - 1 };

export const kernelNumbers = (room: Room = fullRoom): KernelNumbers => {
  // The last peer is `explicitNobody`.
  const direction = (name: Direction): DirectionNumbers => ({
    subjects: new Numbers(`${name} subject classes`, subjectBits, room.subjects),
    peers: new Numbers(`${name} peer classes`, lowBits, maxLow - 1),
    tables: new Numbers(`${name} port tables`, tableBits, room.tables),
  });
  return { egress: direction("egress"), ingress: direction("ingress") };
};
