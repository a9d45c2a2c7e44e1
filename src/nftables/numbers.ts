/** Numbers of classes and tables in the kernel's 32-bit keys. */
import type { Direction } from "../policy/model/verdict.ts";
import type { Hash } from "./names.ts";

/** Subject classes have the upper 12 bits of a key, peer classes and tables the lower 20. */
const lowBits = 20;
const maxSubjects = 2 ** 12 - 2; // the last one would look like the kernel's "root" handle
const maxLow = 2 ** lowBits - 1;

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
export const subjectMask: string = classid(pairKey(2 ** 12 - 1, 0));

/** Hands out numbers from 1; a number that was given back comes last. */
export class Numbers {
  readonly #what: string;
  readonly #limit: number;
  readonly #byHash = new Map<Hash, number>();
  readonly #free: number[] = [];
  #next = 1;

  constructor(what: string, limit: number) {
    this.#what = what;
    this.#limit = limit;
  }

  /** Takes over a number that the kernel already uses. */
  adopt(hash: Hash, number: number): void {
    this.#byHash.set(hash, number);
    for (; this.#next <= number; this.#next++) if (this.#next < number) this.#free.push(this.#next);
  }

  /** @throws when there are more than a key has room for */
  add(hash: Hash): number {
    const known = this.#byHash.get(hash);
    if (known !== undefined) return known;
    const number = this.#free.shift() ?? this.#next++;
    if (number > this.#limit) throw new Error(`more than ${this.#limit} ${this.#what} on one node`);
    this.#byHash.set(hash, number);
    return number;
  }

  of(hash: Hash): number {
    const number = this.#byHash.get(hash);
    if (number === undefined) throw new Error(`no number for ${this.#what} ${hash}`);
    return number;
  }

  release(hash: Hash): void {
    const number = this.#byHash.get(hash);
    if (number === undefined) return;
    this.#byHash.delete(hash);
    this.#free.push(number);
  }
}

export interface DirectionNumbers {
  readonly subjects: Numbers;
  readonly peers: Numbers;
  readonly tables: Numbers;
}

export type KernelNumbers = Readonly<Record<Direction, DirectionNumbers>>;

export const kernelNumbers = (): KernelNumbers => {
  const direction = (name: Direction): DirectionNumbers => ({
    subjects: new Numbers(`${name} subject classes`, maxSubjects),
    peers: new Numbers(`${name} peer classes`, maxLow),
    tables: new Numbers(`${name} port tables`, maxLow),
  });
  return { egress: direction("egress"), ingress: direction("ingress") };
};
